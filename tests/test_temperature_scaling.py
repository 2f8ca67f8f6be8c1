"""Temperature scaling finds the temperature that labels were drawn at."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from ldl_fer.temperature_scaling import confidence_quality, entropy, fit, scaled


def test_scaled_is_softmax_of_divided_logits():
    # softmax(log p / 2) = sqrt(p) / sum sqrt(p): sqrt(0.8) / (sqrt(0.8) + sqrt(0.2)) = 2 / 3
    np.testing.assert_allclose(scaled(np.array([[0.8, 0.2]]), 2.0), [[2 / 3, 1 / 3]])
    logits = np.random.default_rng(0).normal(0, 3, [50, 7])
    found = scaled(softmax(logits, axis=1), 0.7)
    np.testing.assert_allclose(found, softmax(logits / 0.7, axis=1), atol=1e-12)
    # A probability that float32 could not hold stays the smallest, and nothing is infinite.
    assert np.isfinite(scaled(np.array([[1.0, 0.0]]), 5.0)).all()
    with pytest.raises(ValueError, match="above 0, not 0"):
        scaled(softmax(logits, axis=1), 0.0)


def test_entropy_in_nats():
    found = entropy(np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]]))
    np.testing.assert_allclose(found, [math.log(4), 0.0, math.log(2)])


@pytest.mark.parametrize("true", [0.5, 2.5])
def test_fit_finds_the_temperature_labels_were_drawn_at(true):
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, [20000, 5])
    drawn_from = softmax(logits / true, axis=1)
    labels = (random.random([20000, 1]) > drawn_from.cumsum(axis=1)).sum(axis=1)
    probabilities = softmax(logits, axis=1)
    found = fit(labels, probabilities)
    assert found == pytest.approx(true, rel=0.03)

    def loss(t):
        return confidence_quality(labels, scaled(probabilities, t))["nll"]

    assert loss(found) < min(loss(0.99 * found), loss(1.01 * found))  # a minimum
    before = confidence_quality(labels, probabilities)["expected_calibration_error"]
    after = confidence_quality(labels, scaled(probabilities, found))
    assert after["expected_calibration_error"] < 0.015 < 0.05 < before
