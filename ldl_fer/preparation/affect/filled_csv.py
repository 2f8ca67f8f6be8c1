"""A CSV filled by a model, and what is said of it: `predict` and `prototypes`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ldl_fer.data.annotation_checks import NEIGHBORS
from ldl_fer.errors import InputError
from ldl_fer.files import same_file
from ldl_fer.preparation.affect.agreement import agreement, agreement_table, worse_than_constant
from ldl_fer.preparation.affect.filling import Affect, class_table, fill, warnings_of
from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations


def check_paths(annotations_path: str, image_dir: str, output: str) -> None:
    """What can be said of the paths before a model is loaded.

    Raises:
      InputError: no such CSV or folder, or the output is the input.
    """
    if not Path(annotations_path).is_file():
        raise InputError(f"{annotations_path} does not exist. Correct --annotations.")
    if not Path(image_dir).is_dir():
        raise InputError(f"{image_dir} is no folder. Correct --image_dir.")
    if same_file(annotations_path, output):
        raise InputError(f"{output} is the input itself. Name another --output.")


def fill_csv(
    annotations_path: str,
    image_dir: str,
    output: str,
    model: Affect,
    class_names: Sequence[str],
    overwrite: bool,
    batch_size: int,
) -> None:
    """Fills a CSV by a model and prints what came out.

    Raises:
      InputError: as `check_paths`, `read_partial_annotations` and `fill`.
    """
    check_paths(annotations_path, image_dir, output)
    partial = read_partial_annotations(annotations_path, class_names)
    filled, rows, values = fill(partial, model, image_dir, overwrite, batch_size)
    filled.write(output)
    print(class_table(partial, rows, values))
    given = partial.valence_arousal[rows]
    known = np.isfinite(given).all(axis=1)
    told = warnings_of(partial, rows, values)
    if known.sum() > 1:
        found = agreement(given[known], values[known].clip(-1.0, 1.0))
        print(f"\nAgreement with the values that were there:\n{agreement_table(found)}")
        told += [
            f"{text}. Are --columns, --channels and the scaling of the pixels right?"
            for text in worse_than_constant(found)
        ]
    warn(told)
    stale = NEIGHBORS in partial.texts and NEIGHBORS not in filled.texts
    dropped = "; knn dropped, it was of other values" if stale else ""
    print(f"\n{output}: {len(rows):,} of {len(partial):,} rows filled by {model.source}{dropped}")


def warn(texts: Iterable[str]) -> None:
    """Prints sentences as warnings."""
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)
