"""The verdict on a distribution."""

import math

import numpy as np
import pytest

from ldl_fer.inference.predict.face import judge

NAMES = ("Neutral", "Happy", "Sad")
BOX = (1.0, 2.0, 3.0, 4.0)


def test_says_what_follows_from_the_distribution():
    face = judge(np.array([0.25, 0.5, 0.25]), NAMES, box=BOX, score=0.8)
    assert face.distribution == {"Neutral": 0.25, "Happy": 0.5, "Sad": 0.25}
    assert (face.leading, face.confidence, face.margin) == ("Happy", 0.5, 0.25)
    # -(1/2) log(1/2) - 2 (1/4) log(1/4) = (3/2) log 2
    assert face.entropy == pytest.approx(1.5 * math.log(2))
    assert (face.box, face.score, face.landmarks, face.valence) == (BOX, 0.8, None, None)


@pytest.mark.parametrize(
    ("probabilities", "doubts"),
    [
        ((0.10, 0.60, 0.30), ()),
        ((0.05, 0.50, 0.45), ("margin",)),
        ((0.32, 0.39, 0.29), ("margin", "confidence")),
        ((0.00, 1.00, 0.00), ()),
    ],
)
def test_ambiguous_below_margin_or_confidence(probabilities, doubts):
    face = judge(np.array(probabilities), NAMES, margin=0.1, min_confidence=0.4, box=BOX)
    assert face.doubts == doubts
    assert face.ambiguous == bool(doubts)


def test_a_low_confidence_alone_and_doubts_switched_off():
    face = judge(np.array([0.25, 0.45, 0.3]), NAMES, margin=0.1, min_confidence=0.5, box=BOX)
    assert face.doubts == ("confidence",)
    tie = judge(np.array([0.4, 0.4, 0.2]), NAMES, margin=0.0, min_confidence=0.0, box=BOX)
    assert not tie.ambiguous and {tie.leading, tie.runner_up} == {"Neutral", "Happy"}
