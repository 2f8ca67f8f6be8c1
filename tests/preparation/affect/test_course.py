"""Overfitting is told from a training that was too short, and from one that learned nothing."""

import numpy as np
import pytest

from ldl_fer.preparation.affect.agreement import agreement
from ldl_fer.preparation.affect.course import OVERFITTED, RISING, STALLED, advice, course_of

EPOCHS = np.arange(30)


def curve(start, end, pace):
    """CCC that goes from start to end, by 63 % within `pace` epochs."""
    return end + (start - end) * np.exp(-EPOCHS / pace)


def noisy(values, seed, scale=0.015):
    return values + np.random.default_rng(seed).normal(0.0, scale, len(values))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("training", "validation", "kind"),
    [
        (curve(0.0, 0.85, 12), curve(0.0, 0.40, 3), OVERFITTED),  # flat since epoch 8
        (curve(0.0, 0.95, 5), curve(0.0, 0.45, 2) - 0.006 * EPOCHS, OVERFITTED),  # falling
        (curve(0.0, 0.98, 2), curve(0.0, 0.21, 4), OVERFITTED),  # 300 FER+ faces, measured
        (curve(0.0, 0.80, 25), curve(0.0, 0.70, 25), RISING),
        (curve(0.0, 0.60, 40), curve(0.0, 0.55, 40), RISING),
        (curve(0.0, 0.10, 2), curve(0.0, 0.08, 2), STALLED),
        (curve(0.0, 0.90, 4), curve(0.0, 0.88, 4), STALLED),  # as good as it gets
    ],
)
def test_courses(training, validation, kind, seed):
    course = course_of(noisy(training, seed), noisy(validation, seed + 100))
    assert course.kind == kind
    assert ("Train longer" in course.cure) == (kind == RISING)


def test_the_sentence_has_the_epoch_and_the_numbers():
    training = np.linspace(0.1, 0.8, 40)
    validation = np.minimum(np.linspace(0.1, 0.8, 40), 0.25)  # from epoch 9 on
    course = course_of(training, validation)
    assert course.kind == OVERFITTED and "overfits" in course.text
    assert "since epoch 8" in course.text and "training faces is 0.7" in course.text
    assert "not longer" in course.cure and "more faces" in course.cure


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_few_epochs_say_nothing_yet(epochs):
    course = course_of([0.1] * epochs, [0.1] * epochs)
    assert course.kind == RISING and course.cure == "Train longer."


def test_values_that_are_not_finite():
    nothing = [float("nan")] * 12
    assert course_of(nothing, nothing).kind == STALLED
    assert course_of([float("nan")] * 2 + [0.5] * 20, [0.2] * 22).kind in (OVERFITTED, STALLED)


def test_the_advice_fits_the_course():
    given = np.array([[0.3, 0.1], [-0.3, -0.1]] * 10)
    good = {"validation": agreement(given, 0.8 * given, resamples=20)}
    poor = {"validation": agreement(given, -given, resamples=20)}
    overfitted = course_of(curve(0.0, 0.85, 12), curve(0.0, 0.40, 3))
    rising = course_of(curve(0.0, 0.80, 25), curve(0.0, 0.70, 25))
    assert advice(good, rising) == []
    stalled = course_of(curve(0.0, 0.90, 4), curve(0.0, 0.88, 4))
    (text,) = advice(good, stalled)
    assert "has not risen since epoch" in text and text.endswith("Longer training will not help.")
    assert advice(poor, stalled)[-1] == f"{stalled.text} {stalled.cure}"
    (text,) = advice(good, overfitted)  # the best epoch's network may still be of use
    assert "overfits" in text and "not longer" in text
    valence, arousal, text = advice(poor, overfitted)
    assert "validation: the RMSE of valence" in valence and "arousal" in arousal
    assert "overfits" in text and not any("Train longer" in t for t in (valence, arousal, text))
    assert advice(poor, rising)[-1] == "Train longer."
