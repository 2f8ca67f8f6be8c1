"""Measures how a model agrees with the valence and arousal that a CSV gives."""

from pathlib import Path

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.preparation.affect import BATCH_SIZE
from ldl_fer.preparation.affect.agreement import agreement
from ldl_fer.preparation.affect.filling import Affect, predict_pictures
from ldl_fer.preparation.affect.human_values import class_means_beside_human, shift_sentence
from ldl_fer.preparation.affect.partial_annotations import GIVEN, SOURCE, PartialAnnotations


def evaluate_model(
    annotations: PartialAnnotations,
    model: Affect,
    image_dir: str | Path,
    batch_size: int = BATCH_SIZE,
    progress: bool = True,
) -> tuple[dict, list[str]]:
    """Compares a model's values, clipped to [-1, 1], with those of the rows that have both.

    Args:
      annotations: the given values.
      model: what is measured.
      image_dir: where the paths start.
      batch_size, progress: as `predict_pictures` takes them.

    Returns:
      `agreement`'s result with "left_out", the number of rows without values; and sentences on
      given values that are no people's: filled by a model, or shifted.

    Raises:
      InputError: fewer than two rows have values, or as `predict_pictures`.
    """
    rows = np.flatnonzero(~annotations.missing)
    if len(rows) < 2:
        raise InputError(
            f"{len(rows)} rows have valence and arousal: there is nothing to compare with. Give a "
            "CSV that has them."
        )
    paths = [Path(image_dir) / annotations.paths[row] for row in rows]
    values = predict_pictures(model, paths, rows.tolist(), batch_size, progress).clip(-1.0, 1.0)
    given = annotations.valence_arousal[rows]
    found = agreement(given, values) | {"left_out": len(annotations) - len(rows)}
    return found, _doubts(annotations, rows, given)


def _doubts(annotations: PartialAnnotations, rows: np.ndarray, given: np.ndarray) -> list[str]:
    sources = annotations.texts.get(SOURCE, [""] * len(annotations))
    filled = sum(sources[row] not in ("", GIVEN) for row in rows)
    texts = []
    if filled:
        texts.append(
            f"{filled:,} of {len(rows):,} rows have their values from a model ({SOURCE}): "
            "agreement with them is no agreement with people."
        )
    means = class_means_beside_human(annotations.class_names, annotations.labels[rows], given)
    if shift := shift_sentence(means):
        texts.append(f"of the given values, {shift} Agreement with them may be imitation.")
    return texts
