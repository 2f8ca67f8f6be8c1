"""Class means beside people's: shifted values are named, near ones and small classes are not."""

import numpy as np
import pytest

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.affect.human_values import (
    FEWEST_ROWS,
    HUMAN_MEANS,
    class_means_beside_human,
    shift_sentence,
)

LABELS = np.repeat(np.arange(7), FEWEST_ROWS)
PLACES = np.array([HUMAN_MEANS[name] for name in CLASS_NAMES])
NOISE = np.random.default_rng(0).normal(0, 0.1, [len(LABELS), 2])


def sentence(values, labels=LABELS, names=CLASS_NAMES):
    return shift_sentence(class_means_beside_human(names, labels, values))


def test_values_of_people_are_near():
    assert set(HUMAN_MEANS) == set(CLASS_NAMES)
    assert sentence(PLACES[LABELS] + NOISE) == ""
    means = class_means_beside_human(CLASS_NAMES, LABELS, PLACES[LABELS])
    assert len(means) == 14 and all(abs(mean.off) < 1e-9 for mean in means)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shift_of_one_class_is_named_with_both_numbers(axis):
    values = PLACES[LABELS].copy()
    values[LABELS == 1, axis] -= 0.66
    name, human = ("valence", 0.67) if axis == 0 else ("arousal", 0.08)
    assert f": {name} of Happy {human - 0.66:.2f} ({human:.2f})." in sentence(values)


def test_a_correlation_does_not_see_what_is_seen_here():
    """Shrunk and shifted values correlate perfectly with people's."""
    values = 0.4 * PLACES[LABELS] + [-0.2, 0.3]
    text = sentence(values)
    assert "arousal of Neutral 0.29 (-0.02)" in text and "valence of Neutral" not in text  # .18 off
    # Happy: .4 x .67 - .2 = .07, .60 off, is the worst
    assert text.partition("): ")[2].startswith("valence of Happy 0.07 (0.67)")


def test_the_means_of_ferplus_as_the_issue_has_them():
    """Neutral -.28 and Happy .01 in valence were called fine by their correlation."""
    values = PLACES[LABELS].copy()
    values[LABELS == 0, 0], values[LABELS == 1, 0] = -0.28, 0.01
    text = sentence(values)
    assert "valence of Happy 0.01 (0.67), valence of Neutral -0.28 (-0.03)." in text


def test_what_cannot_be_compared_is_left_out():
    values = np.zeros([len(LABELS), 2])
    assert sentence(values, names=[f"class {n}" for n in range(7)]) == ""
    few = np.flatnonzero((LABELS != 1) | (np.arange(len(LABELS)) % FEWEST_ROWS > 0))
    assert "Happy" in sentence(values) and "Happy" not in sentence(values[few], LABELS[few])
    values[LABELS == 1, 1] = np.nan
    assert "Happy" not in sentence(values)
    assert "Anger" not in sentence(values, np.where(LABELS == 6, -1, LABELS))
    words = ("neutral", "happiness", "sadness", "surprised", "afraid", "disgusted", "angry")
    assert "valence of sadness 0.00 (-0.63)" in sentence(values, names=words)
