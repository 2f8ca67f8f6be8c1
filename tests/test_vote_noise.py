"""Noise out of human votes: by chances with a formula."""

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.vote_noise import draw_one_vote, flip_by_votes


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
def test_votes_refuse(flip):
    rate = 0.5 if flip is flip_by_votes else None
    with pytest.raises(InputError, match="a column votes_<class in lower case> for each of the 3"):
        flip(np.zeros(4, int), rate, 3, 0, None)
    with pytest.raises(InputError, match=r"shape \[4, 2\]; 4 rows of 3 classes need \[4, 3\]"):
        flip(np.zeros(4, int), rate, 3, 0, np.ones([4, 2]))
