"""Every kind of noise: exactly as much as asked, where it is asked, by chances with a formula."""

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.preparation.noise.kinds import (
    KINDS,
    draw_one_vote,
    flip_by_confusion,
    flip_by_votes,
    flip_pairs,
    flip_symmetric,
)

# Class 0 is never confused, 1 goes to 0 (1/4) and 2 (1/4), 2 to 3 only (1/10), 3 anywhere (3/4).
CONFUSION = np.array([[9, 0, 0, 0], [1, 2, 1, 0], [0, 0, 18, 2], [1, 1, 1, 1]])


def transitions(before, after, classes):
    pairs = np.asarray(before) * classes + after
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def votes_of(rows, classes, seed=0):
    """Ten votes a row, spread more or less by row."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(classes, 0.3), rows)
    return random.multinomial(10, shares).astype(np.float32)


def source_of(kind, rows, classes):
    if kind == "votes":
        votes = votes_of(rows, classes)
        return [votes + 1]  # every row has votes for every class, so that any rate is possible
    return [np.ones([classes, classes])] if kind == "confusion" else []


@pytest.mark.parametrize("kind", ["symmetric", "pair", "confusion", "votes"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 10, 1237])
def test_exactly_the_asked_share_changes(kind, rows, classes, rate):
    labels = np.random.default_rng(1).integers(0, classes, rows)
    sources = source_of(kind, rows, classes)
    given = [labels.copy(), *(source.copy() for source in sources)]
    noisy = KINDS[kind].flip(labels, rate, classes, 2, *sources)
    assert noisy.dtype == np.int32 and noisy.shape == labels.shape
    assert (noisy != labels).sum() == round(rate * rows)
    assert ((noisy >= 0) & (noisy < classes)).all()
    for before, now in zip(given, [labels, *sources], strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides(kind):
    labels = np.random.default_rng(0).integers(0, 7, 500)
    source = KINDS[kind].source
    sources = source_of(source, 500, 7)
    rate = None if kind == "one_vote" else 0.3
    first = KINDS[kind].flip(labels, rate, 7, 4, *sources)
    np.testing.assert_array_equal(first, KINDS[kind].flip(labels, rate, 7, 4, *sources))
    assert (first != KINDS[kind].flip(labels, rate, 7, 5, *sources)).any()


def test_symmetric_draws_as_it_always_did():
    """Recorded from the first version of the module: files made then can be made again."""
    noisy = flip_symmetric(np.arange(20) % 7, 0.3, 7, seed=0)
    changed = {int(row): int(noisy[row]) for row in np.flatnonzero(noisy != np.arange(20) % 7)}
    assert changed == {0: 5, 4: 3, 5: 4, 8: 5, 10: 0, 12: 2}


def test_symmetric_is_uniform_over_other_classes_and_rows():
    classes, rows = 7, 70_000
    labels = np.tile(np.arange(classes), rows // classes)
    noisy = flip_symmetric(labels, 0.3, classes, seed=0)
    off = transitions(labels, noisy, classes)[~np.eye(classes, dtype=bool)]
    # 21,000 changed rows over 42 pairs: mean 500; chi-squared of 41 degrees has mean 41 and
    # standard deviation sqrt(82) = 9.1, so 5 deviations either side are 0 to 87, and below 10 is
    # too even for chance.
    expected = 0.3 * rows / off.size
    statistic = ((off - expected) ** 2 / expected).sum()
    assert 10 < statistic < 87
    # Changed rows are spread: each tenth of the file holds 2,100, standard deviation
    # sqrt(21000 x 0.1 x 0.9 x 0.7) = 36, so 5 deviations are 182.
    tenths = (noisy != labels).reshape(10, -1).sum(axis=1)
    assert np.abs(tenths - 2100).max() < 182


def test_pair_is_the_next_class():
    labels = np.tile(np.arange(5), 2000)
    noisy = flip_pairs(labels, 0.4, 5, seed=0)
    moved = noisy != labels
    np.testing.assert_array_equal(noisy[moved], (labels[moved] + 1) % 5)
    # 4,000 of 10,000 without replacement: 800 a class, standard deviation
    # sqrt(4000 x 0.2 x 0.8 x 0.6) = 19.6, 5 of them are 98; five equal counts would be no draw.
    counts = np.bincount(labels[moved], minlength=5)
    assert np.abs(counts - 800).max() < 98 and counts.std() > 0


def test_classes_without_a_pair_stay():
    labels = np.tile(np.arange(5), 200)
    noisy = flip_pairs(labels, 0.3, 5, seed=0, pairs=np.array([0, 1, 4, 3, 0]))
    counts = transitions(labels, noisy, 5)
    # Classes 2 and 4 have 400 rows: round(0.3 x 400) = 120 change, 2 to 4 or 4 to 0.
    assert counts[2, 4] + counts[4, 0] == 120 and min(counts[2, 4], counts[4, 0]) > 0
    counts[2, 4] = counts[4, 0] = 0
    np.testing.assert_array_equal(counts, np.diag(np.diag(counts)))
    np.testing.assert_array_equal(np.diag(counts)[[0, 1, 3]], 200)
    with pytest.raises(InputError, match="none of the 9 rows has a class with a pair"):
        flip_pairs(np.ones(9, int), 0.3, 5, 0, np.array([0, 1, 4, 3, 0]))


@pytest.mark.parametrize(
    "rate, off",
    [
        # Class shares off the diagonal: 0, 1/2, 1/10, 3/4; 10,000 rows each. Their own rate is
        # their mean, 1.35 / 4. At 0.2 all are scaled by 0.2 x 4 / 1.35.
        (None, [0.0, 0.5, 0.1, 0.75]),
        (0.2, [0.0, 0.5 * 0.8 / 1.35, 0.1 * 0.8 / 1.35, 0.75 * 0.8 / 1.35]),
        # At 0.525 class 3 changes whole, the others (2.1 - 1) / 0.6 times their share; at 0.6
        # classes 1 and 3 change whole and 0.4 of class 2.
        (0.525, [0.0, 0.5 * 1.1 / 0.6, 0.1 * 1.1 / 0.6, 1.0]),
        (0.6, [0.0, 1.0, 0.4, 1.0]),
    ],
)
def test_confusion_follows_the_matrix(rate, off):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(4), 10_000))
    noisy = flip_by_confusion(labels, rate, 4, 3, CONFUSION)
    counts = transitions(labels, noisy, 4)
    changed = counts.sum(axis=1) - np.diag(counts)
    assert changed.sum() == round(10_000 * sum(off))
    # Binomial standard deviation sqrt(n p (1 - p)) is an upper bound: the total is fixed.
    deviation = np.sqrt(10_000 * np.array(off) * (1 - np.array(off)))
    assert (np.abs(changed - 10_000 * np.array(off)) <= 4.5 * deviation).all()
    # Where they go: class 1 evenly to 0 and 2, class 3 evenly to 0, 1, 2, class 2 to 3 alone.
    np.testing.assert_array_equal(counts[CONFUSION == 0], 0)
    expected = np.array([changed[1] / 2] * 2 + [changed[3] / 3] * 3)
    found = np.array([counts[1, 0], counts[1, 2], counts[3, 0], counts[3, 1], counts[3, 2]])
    # Chi-squared of 1 + 2 degrees: 24.4 is exceeded once in 50,000.
    assert 0 < ((found - expected) ** 2 / expected).sum() < 24.4


def test_confusion_takes_counts_or_shares():
    labels = np.random.default_rng(1).integers(0, 4, 1000)
    shares = CONFUSION / CONFUSION.sum(axis=1, keepdims=True)
    by_counts = flip_by_confusion(labels, 0.2, 4, 0, CONFUSION * 4)
    np.testing.assert_array_equal(by_counts, flip_by_confusion(labels, 0.2, 4, 0, shares * 4))


def test_wrong_confusions_are_refused():
    labels = np.repeat(np.arange(4), 25)
    # 75 rows are of classes that are confused: at most 0.75, and that is possible.
    assert (flip_by_confusion(labels, 0.75, 4, 0, CONFUSION) != labels).sum() == 75
    text = "80 of 100 labels are to change, but only 75 rows are of a class .* at most 0.75"
    with pytest.raises(InputError, match=text):
        flip_by_confusion(labels, 0.8, 4, 0, CONFUSION)
    for matrix, text in (
        (None, "give --confusion=FILE"),
        (np.ones([3, 3]), r"has shape \[3, 3\]; 4 classes need \[4, 4\]"),
        (-CONFUSION, "no finite numbers"),
        (CONFUSION * np.nan, "no finite numbers"),
    ):
        with pytest.raises(InputError, match=text):
            flip_by_confusion(labels, 0.2, 4, 0, matrix)


def test_votes_doubt_decides_which_rows_change():
    # Four sorts of 5,000 rows with label 1 of 3 classes: its part of the votes is 1, 0.9, 0.6, 0.
    sorts = np.array([[0, 10, 0], [9, 81, 0], [0.1, 0.6, 0.3], [5, 0, 5]])
    sort = np.random.default_rng(1).permutation(np.repeat(np.arange(4), 5000))
    labels = np.ones(20_000, int)
    noisy = flip_by_votes(labels, 0.15, 3, 0, sorts[sort])
    assert (noisy != labels).sum() == 3000
    # Chances in proportion to 0, 0.1, 0.4, 1, 3,000 in all: 0, 200, 800, 2000 of each 5,000.
    chances = np.array([0, 200, 800, 2000]) / 5000
    changed = np.bincount(sort[noisy != labels], minlength=4)
    deviation = np.sqrt(5000 * chances * (1 - chances))
    assert (np.abs(changed - 5000 * chances) <= 4.5 * deviation).all()
    # New labels: votes for 0 and 2 are 1 : 0, 1 : 3, 5 : 5.
    to_0 = np.bincount(sort[noisy == 0], minlength=4)
    assert to_0[1] == changed[1]
    assert abs(to_0[2] - changed[2] / 4) < 4.5 * np.sqrt(changed[2] * 3 / 16)
    assert abs(to_0[3] - changed[3] / 2) < 4.5 * np.sqrt(changed[3] / 4)


def test_votes_scale_and_saturate():
    random = np.random.default_rng(0)  # ten votes a row, spread more or less by row
    votes = random.multinomial(10, random.dirichlet(np.full(7, 0.3), 3000)).astype(np.float32)
    votes[:100] = 0
    labels = votes.argmax(axis=1)
    noisy = flip_by_votes(labels, 0.3, 7, 0, votes)
    shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)
    np.testing.assert_array_equal(noisy[:100], labels[:100])  # without votes, nothing happens
    assert (votes[np.arange(3000), noisy] > 0)[noisy != labels].all()
    np.testing.assert_array_equal(flip_by_votes(labels, 0.3, 7, 0, votes * 4), noisy)
    # All that can change, changes: rows with a vote for another class.
    possible = (shares.max(axis=1) < 1) & (np.arange(3000) >= 100)
    rate = possible.sum() / 3000
    every = flip_by_votes(labels, rate, 7, 0, votes)
    np.testing.assert_array_equal(every != labels, possible)
    text = rf"but only {possible.sum()} rows have votes for another class .* at most 0\.\d+"
    with pytest.raises(InputError, match=text):
        flip_by_votes(labels, rate + 0.001, 7, 0, votes)


def test_one_vote_is_drawn_from_the_votes():
    sorts = np.array([[10, 0, 0], [5, 3, 2], [0, 0, 0], [0, 0.25, 0.75]])
    sort = np.random.default_rng(1).permutation(np.repeat(np.arange(4), 6000))
    labels = np.array([0, 0, 1, 0])[sort]
    drawn = draw_one_vote(labels, None, 3, 0, sorts[sort])
    assert drawn.dtype == np.int32
    counts = np.array([np.bincount(drawn[sort == s], minlength=3) for s in range(4)])
    assert counts[0].tolist() == [6000, 0, 0]
    assert counts[2].tolist() == [0, 6000, 0]  # no votes: the label, 1
    # Chi-squared of 2 and of 1 degrees, together 3: 24.4 is exceeded once in 50,000.
    expected = 6000 * np.array([0.5, 0.3, 0.2, 0.25, 0.75])
    found = np.array([*counts[1], *counts[3][1:]])
    assert counts[3][0] == 0
    assert 0 < ((found - expected) ** 2 / expected).sum() < 24.4
    with pytest.raises(InputError, match="takes no rate"):
        draw_one_vote(labels, 0.3, 3, 0, sorts[sort])


@pytest.mark.parametrize("flip", [flip_by_votes, draw_one_vote])
def test_wrong_votes_are_refused(flip):
    rate = 0.5 if flip is flip_by_votes else None
    with pytest.raises(InputError, match="a column votes_<class in lower case> for each of the 3"):
        flip(np.zeros(4, int), rate, 3, 0, None)
    with pytest.raises(InputError, match=r"shape \[4, 2\]; 4 rows of 3 classes need \[4, 3\]"):
        flip(np.zeros(4, int), rate, 3, 0, np.ones([4, 2]))


@pytest.mark.parametrize("kind", ["symmetric", "pair", "confusion", "votes"])
@pytest.mark.parametrize(
    "labels, rate, classes, seed, text",
    [
        ([0, 1], 1.01, 7, 0, "rate is 1.01"),
        ([0, 1], -0.1, 7, 0, "rate is -0.1"),
        ([0, 1], float("nan"), 7, 0, "rate is nan"),
        ([0, 0], 0.5, 1, 0, "1 classes"),
        ([0, 7], 0.5, 7, 0, "row 1 has label 7"),
        ([-1, 0], 0.5, 7, 0, "row 0 has label -1"),
        ([0, 1], 0.5, 7, -1, "seed is -1"),
    ],
)
def test_values_out_of_range_are_refused(kind, labels, rate, classes, seed, text):
    sources = source_of(kind, len(labels), classes)
    with pytest.raises(InputError, match=text):
        KINDS[kind].flip(np.array(labels), rate, classes, seed, *sources)


@pytest.mark.parametrize("kind", ["symmetric", "pair", "votes"])
def test_a_missing_rate_is_refused(kind):
    with pytest.raises(InputError, match="needs a rate, such as --rate=0.3"):
        KINDS[kind].flip(np.array([0, 1]), None, 7, 0, *source_of(kind, 2, 7))
