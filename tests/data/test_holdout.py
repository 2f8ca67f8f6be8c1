"""A part of the pictures is held out: stratified, seeded, and without a picture in both parts."""

import numpy as np
import pandas as pd
import pytest
from helpers.annotation_tables import random_annotations

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.holdout import split_annotations
from ldl_fer.errors import InputError


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_split_is_stratified_seeded_and_complete(fraction):
    annotations = random_annotations(1000, seed=3)
    train, held_out = split_annotations(annotations, fraction, seed=5)
    rows = np.concatenate([train.table["source_row"], held_out.table["source_row"]])
    assert sorted(rows) == list(range(1000))
    assert len(held_out) == round(fraction * 1000)
    for part in (train, held_out):
        source = part.table["source_row"].to_numpy()
        assert (np.diff(source) > 0).all()
        assert part.paths == [annotations.paths[row] for row in source]
    # Each class gives its share, to the one row by which rounding may miss it.
    share = np.bincount(annotations.labels, minlength=7) * fraction
    assert np.abs(np.bincount(held_out.labels, minlength=7) - share).max() < 1.0
    again = split_annotations(annotations, fraction, seed=5)[1]
    other = split_annotations(annotations, fraction, seed=6)[1]
    assert again.fingerprint() == held_out.fingerprint() != other.fingerprint()


def test_classes_too_small_to_split_stay_in_training():
    labels = np.repeat([0, 1, 2, 3], [40, 30, 1, 9])
    table = random_annotations(len(labels)).table.assign(expression=labels)
    train, held_out = split_annotations(Annotations(table, CLASS_NAMES), 0.1, seed=0)
    # 0.1 x 40 = 4 and 0.1 x 30 = 3 rows; 0.1 x 9 < 1 row.
    assert np.bincount(held_out.labels).tolist() == [4, 3]
    assert np.bincount(train.labels).tolist() == [36, 27, 1, 9]


@pytest.mark.parametrize("fraction, rows", [(0.0, 100), (1.0, 100), (-0.1, 100), (0.01, 90)])
def test_split_refuses(fraction, rows):
    with pytest.raises(InputError, match="fraction|hold out"):
        split_annotations(random_annotations(rows, classes=1), fraction, seed=0)


def test_all_rows_of_a_picture_go_to_one_part():
    once = random_annotations(200, seed=1)
    # A second annotator's rows behind the first's, and a third's of some, with other labels.
    second = once.table.assign(expression=(once.labels + 1) % 7)
    table = pd.concat([once.table, second, second[:50]], ignore_index=True)
    train, held_out = split_annotations(Annotations(table, CLASS_NAMES), 0.2, seed=4)
    assert not set(train.paths) & set(held_out.paths)
    assert len(train) + len(held_out) == 450 and len(set(held_out.paths)) == 40
    # The pictures are those that are held out where each has one row.
    assert set(held_out.paths) == set(split_annotations(once, 0.2, seed=4)[1].paths)
