"""Eq. 2-6 in order, by loops: what each part makes of a label and its neighbors."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.methods.targets import Neighbors, construct_targets

BATCH, NEIGHBORS, CLASSES = 4, 3, 5


@pytest.mark.parametrize("kernel", ["gaussian", "laplace"])
@pytest.mark.parametrize("floor", [None, -0.2])
@pytest.mark.parametrize("calibrated", [False, True])
def test_target_is_equations_2_to_6(calibrated, floor, kernel):
    random = np.random.default_rng(0)
    label = np.eye(CLASSES, dtype=np.float32)[[0, 2, 4, 1]]
    place = random.uniform(-0.5, 0.5, [BATCH, 2]).astype(np.float32)
    places = random.uniform(-0.5, 0.5, [BATCH, NEIGHBORS, 2]).astype(np.float32)
    logit = random.uniform(-2, 2, [BATCH, NEIGHBORS]).astype(np.float32)
    uncertainty = np.array([0.0, 0.3, 1.0, 0.8], np.float32)
    f = random.dirichlet(np.ones(CLASSES), [BATCH, NEIGHBORS]).astype(np.float32)
    made = construct_targets(
        tf.constant(label),
        tf.constant(place),
        tf.constant(places),
        tf.constant(logit) if calibrated else None,
        Neighbors(tf.zeros([BATCH, NEIGHBORS, 2]), tf.constant(f)),
        tf.constant(uncertainty),
        0.4,
        kernel,
        floor,
    )
    for i in range(BATCH):
        c = []
        for k in range(NEIGHBORS):
            # s = exp(-|da|_2^2 / 0.4^2), or exp(-|da|_1 / 0.4)
            gap = (place[i] - places[i, k]).astype(np.float64)
            s = np.exp(-gap @ gap / 0.16 if kernel == "gaussian" else -np.abs(gap).sum() / 0.4)
            np.testing.assert_allclose(made.similarity[i, k], s, rtol=1e-5)
            # zeta = sigmoid(max(g, floor)), c = zeta s
            g = logit[i, k] if floor is None else max(logit[i, k], floor)
            zeta = 1 / (1 + np.exp(-g)) if calibrated else 1.0
            np.testing.assert_allclose(made.calibration[i, k], zeta, rtol=1e-5)
            c.append(zeta * s)
        np.testing.assert_allclose(made.contribution[i], c, rtol=1e-5)
        # d~ = sum_k c_k f(x^k) / sum_k c_k; d = (1 - lambda) l + lambda d~
        aggregated = sum(c[k] * f[i, k] for k in range(NEIGHBORS)) / sum(c)
        np.testing.assert_allclose(made.aggregated[i], aggregated, rtol=1e-5, atol=1e-7)
        mixed = (1 - uncertainty[i]) * label[i] + uncertainty[i] * aggregated
        np.testing.assert_allclose(made.target[i], mixed, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(made.uncertainty, uncertainty)
