"""A part of the rows, held out by class."""

import numpy as np
from sklearn.model_selection import train_test_split

from ldl_fer.annotations import Annotations
from ldl_fer.errors import InputError

SOURCE_ROW = "source_row"  # column of a part: the rows' numbers in the whole


def split_annotations(
    annotations: Annotations, fraction: float, seed: int
) -> tuple[Annotations, Annotations]:
    """Holds out a part of the rows, stratified by class.

    Args:
      annotations: what is split.
      fraction: of the rows, between 0 and 1, that are held out.
      seed: >= 0; the same seed is the same split.

    Returns:
      training and validation part, each in the order of the rows and with their former numbers
      in the column `source_row`. A class with less than one row for either part stays whole in
      the training part.

    Raises:
      InputError: the fraction is not between 0 and 1, or no class is large enough.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"the held-out fraction is {fraction}; it must lie between 0 and 1.")
    labels = annotations.labels
    counts = np.bincount(labels, minlength=len(annotations.class_names))
    large = counts * min(fraction, 1.0 - fraction) >= 1.0
    rows, classes = np.flatnonzero(large[labels]), int(large.sum())
    if not classes:
        raise InputError(
            f"no class has enough rows to hold out {fraction} of them (the largest has "
            f"{counts.max()}). Give a validation CSV or a larger fraction."
        )
    size = min(max(round(fraction * len(rows)), classes), len(rows) - classes)
    _, held_out = train_test_split(rows, test_size=size, random_state=seed, stratify=labels[rows])
    mask = np.zeros(len(annotations), bool)
    mask[held_out] = True
    numbered = annotations.table.assign(**{SOURCE_ROW: np.arange(len(annotations))})
    whole = Annotations(numbered, annotations.class_names)
    return whole.subset(np.flatnonzero(~mask)), whole.subset(np.flatnonzero(mask))
