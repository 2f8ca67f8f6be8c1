"""Latent points: their places, label distributions, and the geometry of a face."""

import numpy as np
import pytest

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.drawn_faces.latents import (
    FREQUENCIES,
    LATENT_PROTOTYPES,
    SPREAD,
    face_geometry,
    sample_latent,
    true_distribution,
)

NEUTRAL, HAPPY, SAD, SURPRISE, FEAR, DISGUST, ANGER = LATENT_PROTOTYPES


def generator(seed=0):
    return np.random.default_rng(seed)


def test_distribution_is_the_softmax_of_squared_distances():
    latents = generator().uniform(-1, 1, (50, 4))
    got = true_distribution(latents)
    for latent, row in zip(latents, got, strict=True):
        # exp(-||z - p_j||^2 / (2 SPREAD^2)) / its sum over j
        weights = [np.exp(-sum((latent - p) ** 2) / (2 * SPREAD**2)) for p in LATENT_PROTOTYPES]
        np.testing.assert_allclose(row, np.array(weights) / sum(weights), rtol=1e-9)


def test_distribution_of_a_far_latent_is_finite():
    far = np.array([50.0, -50.0, 50.0, -50.0])
    row = true_distribution(far)
    assert np.isfinite(row).all()
    assert row.sum() == pytest.approx(1.0, abs=1e-12)


def test_distribution_of_a_point_between_two_prototypes_is_a_tie():
    row = true_distribution((FEAR + ANGER) / 2)
    assert row[4] == pytest.approx(row[6], abs=1e-12)  # equal distances
    assert set(np.argsort(row)[-2:]) == {4, 6}


def test_each_prototype_is_most_likely_its_own_class():
    np.testing.assert_array_equal(true_distribution(LATENT_PROTOTYPES).argmax(1), range(7))


def test_latents_have_the_stated_mean_and_spread():
    random = generator(1)
    latents = np.array([sample_latent(random) for _ in range(4000)])
    assert np.abs(latents[:, :2]).max() <= 1.0
    # E[z] = sum_j f_j p_j; Var = sum_j f_j p_j^2 - E^2 + SPREAD^2; four standard errors of a mean
    mean = FREQUENCIES @ LATENT_PROTOTYPES
    deviation = np.sqrt(FREQUENCIES @ LATENT_PROTOTYPES**2 - mean**2 + SPREAD**2)
    for axis in (2, 3):  # the two that are not clipped
        assert abs(latents[:, axis].mean() - mean[axis]) < 4 * deviation[axis] / np.sqrt(4000)
        assert latents[:, axis].std() == pytest.approx(deviation[axis], rel=0.06)


# Along each axis of the latent space, what grows (+1) and what shrinks (-1) all the way.
LINKS = [
    ("mouth_curvature", 0, +1),
    ("mouth_opening", 1, +1),
    ("mouth_width", 0, +1),
    ("mouth_width", 1, -1),
    ("brow_height", 1, +1),
    ("brow_height", 2, -1),
    ("brow_slope", 0, -1),
    ("brow_slope", 2, -1),
    ("brow_slope", 3, -1),
    ("frown", 0, -1),
    ("frown", 2, +1),
    ("frown", 3, +1),
    ("eye_openness", 1, +1),
    ("eye_openness", 2, -1),
    ("eye_openness", 3, -1),
    ("pupil", 1, +1),
    ("lip_raise", 3, +1),
    ("nose_wrinkle", 3, +1),
]


@pytest.mark.parametrize("name, axis, sign", LINKS)
def test_geometry_follows_the_latent_monotonically(name, axis, sign):
    for base in generator(2).uniform(-0.6, 0.6, (5, 4)):
        line = np.tile(base, (41, 1))
        line[:, axis] = np.linspace(-1, 1, 41)
        steps = np.diff([getattr(face_geometry(latent), name) for latent in line]) * sign
        assert (steps > -1e-12).all()
        assert steps.sum() > 0.2
        assert steps.max() < 0.15  # continuous: about 2.2 per unit at most, 0.05 units a step


def test_a_face_at_rest_has_geometry_zero():
    rest = face_geometry(np.zeros(4))
    np.testing.assert_allclose(rest._replace(mouth_opening=0.0), 0.0, atol=1e-12)
    assert -0.2 < rest.mouth_opening < 0.0  # closed


def test_expressions_differ_by_the_textbook_signs():
    faces = {
        name: face_geometry(latent)
        for name, latent in zip(CLASS_NAMES, LATENT_PROTOTYPES, strict=True)
    }

    def highest(part):
        return max(faces, key=lambda name: getattr(faces[name], part))

    def lowest(part):
        return min(faces, key=lambda name: getattr(faces[name], part))

    assert highest("mouth_curvature") == "Happy"
    assert highest("mouth_width") == "Happy"
    assert highest("mouth_opening") == "Surprise"
    assert highest("nose_wrinkle") == "Disgust"
    assert highest("lip_raise") == "Disgust"
    assert highest("brow_slope") == "Fear"
    assert lowest("brow_slope") == "Anger"
    assert highest("frown") == "Anger"
    assert highest("head_drop") == "Sad"
