"""Holds out a part of the pictures, stratified by class."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError

SOURCE_ROW = "source_row"  # column of a part: the rows' numbers in the whole


def split_annotations(
    annotations: Annotations, fraction: float, seed: int
) -> tuple[Annotations, Annotations]:
    """Holds out a part of the pictures, stratified by class.

    All rows of a picture, where it has several, go to one part; its class is that of the first.

    Args:
      annotations: all rows.
      fraction: of the pictures, between 0 and 1, that are held out.
      seed: >= 0; the same seed is the same split.

    Returns:
      Training and validation part, each in the order of the rows and with their former numbers
      in the column `source_row`. A class with less than one picture for either part stays whole in
      the training part.

    Raises:
      InputError: the fraction is not between 0 and 1, or no class is large enough.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"the held-out fraction is {fraction}; it must lie between 0 and 1.")
    picture, first = pd.factorize(annotations.table[PATH])[0], ~annotations.table[PATH].duplicated()
    labels = annotations.labels[first]
    counts = np.bincount(labels, minlength=len(annotations.class_names))
    large = counts * min(fraction, 1.0 - fraction) >= 1.0
    pictures, classes = np.flatnonzero(large[labels]), int(large.sum())
    if not classes:
        raise InputError(
            f"no class has enough pictures to hold out {fraction} of them (the largest has "
            f"{counts.max()}). Give --val_data_path or a larger --validation_fraction."
        )
    size = min(max(round(fraction * len(pictures)), classes), len(pictures) - classes)
    _, held_out = train_test_split(
        pictures, test_size=size, random_state=seed, stratify=labels[pictures]
    )
    mask = np.isin(picture, held_out)
    numbered = annotations.table.assign(**{SOURCE_ROW: np.arange(len(annotations))})
    whole = Annotations(numbered, annotations.class_names)
    return whole.subset(np.flatnonzero(~mask)), whole.subset(np.flatnonzero(mask))
