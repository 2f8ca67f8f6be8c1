"""Near duplicates: exactly the pairs that comparing all with all finds."""

import numpy as np
import pytest

from ldl_fer.doctor import duplicates
from ldl_fer.doctor.duplicates import identical_groups, near_pairs
from ldl_fer.doctor.pictures import ODD


def made_up_signatures(count=300, copies=40, seed=0):
    """Random signatures with versions of some, more or less alike, half of them mirrored."""
    random = np.random.default_rng(seed)
    fading = 1.0 / (1.0 + np.arange(255))  # few numbers hold most, as in pictures
    base = random.normal(size=(count, 255)) * fading
    versions = base[:copies] + random.uniform(0, 0.2, (copies, 1)) * base[copies : 2 * copies]
    versions[::2, ODD] *= -1
    made = np.vstack([base, versions])
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)


def all_pairs(signatures, correlation):
    """By brute force: {(i, j): the larger correlation of i with j and with j mirrored}."""
    exact = signatures.astype(np.float64)
    flipped = exact * np.where(ODD, -1, 1)
    best = np.maximum(exact @ exact.T, exact @ flipped.T)
    i, j = np.nonzero(np.triu(best >= correlation, 1))
    return {(a, b): best[a, b] for a, b in zip(i.tolist(), j.tolist(), strict=True)}


@pytest.mark.parametrize("correlation", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("rows", [1024, 50])
def test_pairs_are_those_of_brute_force(correlation, rows, monkeypatch):
    monkeypatch.setattr(duplicates, "_ROWS", rows)  # several blocks
    monkeypatch.setattr(duplicates, "_COLUMNS", 2 * rows)
    signatures = made_up_signatures()
    expected = all_pairs(signatures, correlation)
    pairs, found, mirrored = near_pairs(signatures, correlation, progress=False)
    assert len(expected) >= 3 and mirrored.any() and not mirrored.all()
    assert {tuple(pair) for pair in pairs.tolist()} == set(expected)
    assert len(pairs) == len(expected)
    np.testing.assert_allclose(found, [expected[tuple(pair)] for pair in pairs], atol=1e-5)
    assert (np.diff(found) <= 0).all()


def test_blank_pictures_are_like_nothing():
    signatures = np.zeros([4, 255], np.float16)
    assert near_pairs(signatures, progress=False)[0].shape == (0, 2)
    signatures[2:, 3] = 1
    assert near_pairs(signatures, progress=False)[0].tolist() == [[2, 3]]


def test_identical_groups():
    digests = np.array([[1, 2], [0, 1], [1, 2], [3, 3], [0, 1], [1, 2], [2, 1]], np.uint8)
    groups = identical_groups(digests)
    assert [group.tolist() for group in groups] == [[0, 2, 5], [1, 4]]
