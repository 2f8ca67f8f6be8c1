"""Noisy copies of annotations: the clean label kept, pairs."""

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.noise.add import add_noise, noise_report, parse_pairs
from ldl_fer.preparation.noise.kinds import (
    flip_by_confusion,
    flip_by_votes,
    flip_pairs,
    flip_symmetric,
)


def test_clean_labels_survive_a_second_dose():
    clean = made_up_annotations()
    once = add_noise(clean, "symmetric", 0.4, seed=0)
    twice = add_noise(once, "pair", 0.4, seed=1)
    for noisy in (once, twice):
        np.testing.assert_array_equal(noisy.table["clean_expression"], clean.labels)
    changed = (twice.labels != once.labels).sum()
    assert changed == 20  # 0.4 x 50
    report = noise_report(once, twice)
    assert report["changed"] == 20 and report["rate_realized"] == 0.4
    assert report["rate_total"] == (twice.labels != clean.labels).mean() != 0.4
    assert "clean_expression" not in clean.table


def test_each_kind_gets_its_source():
    clean = made_up_annotations(votes=True)
    matrix = np.random.default_rng(1).uniform(size=[7, 7])
    names = {"fear": "Surprise", "Sad": "Anger"}
    expected = {
        "symmetric": flip_symmetric(clean.labels, 0.3, 7, 5),
        "pair": flip_pairs(clean.labels, 0.3, 7, 5, np.array([0, 1, 6, 3, 3, 5, 6])),
        "confusion": flip_by_confusion(clean.labels, 0.3, 7, 5, matrix),
        "votes": flip_by_votes(clean.labels, 0.3, 7, 5, clean.votes),
    }
    sources = {"pair": {"pairs": names}, "confusion": {"confusion": matrix}}
    for kind, labels in expected.items():
        noisy = add_noise(clean, kind, 0.3, 5, **sources.get(kind, {}))
        np.testing.assert_array_equal(noisy.labels, labels)
        assert (noisy.labels != clean.labels).any()
        columns = clean.table.columns.drop("expression")
        pd.testing.assert_frame_equal(noisy.table[columns], clean.table[columns])
    drawn = add_noise(clean, "one_vote", None, 5)
    assert (clean.votes[np.arange(50), drawn.labels] > 0).all()


@pytest.mark.parametrize(
    "kind, rate, sources, text",
    [
        ("flip", 0.4, {}, "'flip' is no kind of noise; there are: symmetric, pair, confusion"),
        ("symmetric", 0.4, {"pairs": {"Fear": "Sad"}}, "symmetric does not use --pairs"),
        ("votes", 0.4, {"confusion": np.eye(7)}, "votes does not use --confusion"),
        ("votes", 0.4, {}, "a column votes_"),
        ("pair", 0.4, {"pairs": {"Fear": "Sorrow"}}, "names 'Sorrow', which is no class; there"),
        ("pair", 0.4, {"pairs": {"Fear": "fear"}}, "makes fear its own pair"),
        ("pair", 0.4, {"pairs": {"Fear": "Sad", "fear": "Anger"}}, "names fear twice"),
    ],
)
def test_add_noise_refuses(kind, rate, sources, text):
    with pytest.raises(InputError, match=text):
        add_noise(made_up_annotations(), kind, rate, 0, **sources)


def test_human_votes_of_real_faces(ferplus):
    clean = read_annotations(ferplus / "train.csv")
    votes = clean.votes.astype(float)
    noisy = add_noise(clean, "votes", 0.3, 0)
    moved = np.flatnonzero(noisy.labels != clean.labels)
    assert len(moved) == round(0.3 * len(clean)) == 3681
    assert (votes[moved, noisy.labels[moved]] > 0).all()
    # One vote a row differs from the label with chance 1 - q: a sum of independent draws, whose
    # variance is the sum of q (1 - q).
    q = votes[np.arange(len(clean)), clean.labels] / votes.sum(axis=1)
    drawn = add_noise(clean, "one_vote", None, 0)
    changed = (drawn.labels != clean.labels).sum()
    assert abs(changed - (1 - q).sum()) < 4.5 * np.sqrt((q * (1 - q)).sum())


def test_parse_pairs():
    assert parse_pairs(["Fear:Surprise", " Sad : Anger"]) == {"Fear": "Surprise", "Sad": "Anger"}
    for items, text in (
        (["Fear"], "has 'Fear'; write CLASS:CLASS"),
        (["Fear:"], "write CLASS:CLASS"),
        (["Fear:Sad:Anger"], "write CLASS:CLASS"),
        (["Fear:Sad", "Fear:Anger"], "gives Fear two pairs"),
    ):
        with pytest.raises(InputError, match=text):
            parse_pairs(items)
