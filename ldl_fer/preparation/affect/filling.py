"""Predicts valence and arousal for the rows of a CSV, and finds suspicious values."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from ldl_fer.config.progress import tqdm
from ldl_fer.data.pictures import read_picture
from ldl_fer.errors import InputError
from ldl_fer.preparation.affect import BATCH_SIZE
from ldl_fer.preparation.affect.human_values import class_means_beside_human, shift_sentence
from ldl_fer.preparation.affect.partial_annotations import PartialAnnotations

LEAST_DEVIATION = 0.05  # below it, values say hardly anything
SATURATION = 0.99  # raters hardly ever say more
MOST_SATURATED = 0.05  # share of rows
_THREADS = 4
_CURE = "Replace it, drop the row, or correct --image_dir"


class Affect(Protocol):
    """A model of valence and arousal: an `AffectModel`, or `Prototypes`."""

    image_size: int
    source: str

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Returns [B, 2] for uint8 RGB [B, H, W, 3]."""


def predict_pictures(
    model: Affect,
    paths: Sequence[Path],
    rows: Sequence[int],
    batch_size: int = BATCH_SIZE,
    progress: bool = True,
) -> np.ndarray:
    """Returns a model's unclipped answers for picture files, face crops.

    Args:
      model: reads them.
      paths: M files.
      rows: [M] row numbers in the CSV, for messages.
      batch_size: pictures per call of the model.
      progress: show a bar.

    Returns:
      [M, 2] float32, valence and arousal.

    Raises:
      InputError: a picture cannot be read, or as `AffectModel.outputs`.
    """
    made = np.empty([len(paths), 2], np.float32)
    bar = tqdm(None, "valence and arousal", len(paths), unit="picture", disable=not progress)
    with bar, ThreadPoolExecutor(_THREADS) as pool:
        for start, images in _batches(pool, paths, rows, model.image_size, batch_size):
            made[start : start + len(images)] = model.outputs(images)
            bar.update(len(images))
    return made


def fill(
    annotations: PartialAnnotations,
    model: Affect,
    image_dir: str | Path,
    overwrite: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: bool = True,
) -> tuple[PartialAnnotations, np.ndarray, np.ndarray]:
    """Puts the model's values, clipped to [-1, 1], where there are none.

    Args:
      annotations: N rows.
      model: gives the values.
      image_dir: where the paths start.
      overwrite: replace values that are there, too.
      batch_size, progress: as `predict_pictures` takes them.

    Returns:
      The filled table, the M rows that were predicted, and the model's unclipped values [M, 2].

    Raises:
      InputError: no row misses a value, or as `predict_pictures`.
    """
    rows = np.arange(len(annotations)) if overwrite else np.flatnonzero(annotations.missing)
    if not len(rows):
        raise InputError(
            "every row has valence and arousal: there is nothing to fill. Add --overwrite to "
            "replace them."
        )
    paths = [Path(image_dir) / annotations.paths[row] for row in rows]
    values = predict_pictures(model, paths, rows.tolist(), batch_size, progress)
    filled = annotations.filled(rows, values.clip(-1.0, 1.0), model.source, overwrite)
    return filled, rows, values


def class_table(annotations: PartialAnnotations, rows: np.ndarray, values: np.ndarray) -> str:
    """Formats a line per class: rows filled; mean, smallest and largest valence and arousal."""
    labels, values = annotations.labels[rows], values.clip(-1.0, 1.0)
    width = max(map(len, ("class", *annotations.class_names)))
    lines = [f"{'class':<{width}}{'rows':>9}{'valence':>26}{'arousal':>26}"]
    for label, name in enumerate(annotations.class_names):
        chosen = values[labels == label]
        cells = "".join(
            f"{f'{x.mean():.2f} [{x.min():.2f}, {x.max():.2f}]':>26}"
            for x in chosen.T
            if len(chosen)
        )
        lines.append(f"{name:<{width}}{len(chosen):>9,}{cells}")
    return "\n".join(lines)


def saturated(values: np.ndarray) -> np.ndarray:
    """Returns bool [M]: rows of [M, 2] with a value in (0.99, 1] or [-1, -0.99); NaN is in neither.

    A value outside of [-1, 1] is no saturation, but a wrong range.
    """
    size = np.abs(values)
    return ((size > SATURATION) & (size <= 1.0)).any(axis=1)


def warnings_of(
    annotations: PartialAnnotations, rows: np.ndarray, values: np.ndarray, flagged: bool = True
) -> list[str]:
    """Returns a sentence for each thing suspicious about unclipped values [M, 2] for M rows.

    Args:
      annotations, rows, values: as filled.
      flagged: whether flags say how the model is fed and read, so that they may be wrong.
    """
    found = []

    def add(text: str, flags: str) -> None:
        found.append(f"{text} {flags}" if flagged else text)

    for name, x in zip(("valence", "arousal"), values.T, strict=True):
        outside = int((np.abs(x) > 1.0).sum())
        if outside:
            add(
                f"{outside} of {len(x)} values of {name} lay outside of [-1, 1] (from "
                f"{x.min():.2f} to {x.max():.2f}) and were clipped.",
                "If it is many, look at --output_scale, --tanh, --columns and the scaling of the "
                "pixels.",
            )
        if len(x) > 1 and x.std() < LEAST_DEVIATION:
            add(
                f"{name} is nearly the same everywhere ({x.mean():.3f}, standard deviation "
                f"{x.std():.3f}).",
                "Are the scaling of the pixels, --channels and --columns right?",
            )
    share = saturated(values).mean() if len(values) else 0.0
    if share > MOST_SATURATED:
        add(
            f"the model saturates: {share:.0%} of the rows have a valence or arousal beyond "
            f"{SATURATION} or -{SATURATION}, where it no longer tells faces apart. Train it anew, "
            "as `ldl-fer affect train` advises.",
            "Of another's model, look at the scaling of the pixels and --tanh.",
        )
    valence_of = {}
    for label, name in enumerate(annotations.class_names):
        chosen = values[annotations.labels[rows] == label, 0]
        if len(chosen):
            valence_of[name] = float(chosen.mean())
    for sad in ("Sad", "Anger"):
        if {"Happy", sad} <= valence_of.keys() and valence_of["Happy"] <= valence_of[sad]:
            add(
                f"Happy faces have a mean valence of {valence_of['Happy']:.2f}, {sad} ones of "
                f"{valence_of[sad]:.2f}: this is no valence.",
                "Look at --columns, --channels and the scaling of the pixels.",
            )
    labels = annotations.labels[rows]
    means = class_means_beside_human(annotations.class_names, labels, values.clip(-1.0, 1.0))
    shift = shift_sentence(means)
    if shift:
        add(
            f"{shift} It may be the faces, or the values that the model learned from.",
            "Of another's model, look at --columns, --channels and the scaling of the pixels.",
        )
    return found


def _batches(
    pool: Executor, paths: Sequence[Path], rows: Sequence[int], size: int, batch_size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (position, images [B, size, size, 3]), the next batch being decoded meanwhile."""

    def begun(start):
        chosen = slice(start, start + batch_size)
        pairs = zip(paths[chosen], rows[chosen], strict=True)
        return [pool.submit(read_picture, path, size, _CURE, row) for path, row in pairs]

    starts = range(0, len(paths), batch_size)
    coming = begun(0)
    for start in starts:
        images, coming = coming, begun(start + batch_size)
        yield start, np.stack([image.result() for image in images])
