"""Auxiliary image regularization: its numbers, its gradients, its limit."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import assert_trains_plainly, batch, compiled
from helpers.toy_batch import FEATURES, assert_differentiates

from ldl_fer.methods.air import group_norm

KERNEL = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.1], [-0.6, 0.2, 0.2]], np.float32)


def by_loops(features, kernel):
    found = np.zeros(len(features))
    for i, v in enumerate(features):
        x = v / np.linalg.norm(v)
        for c in range(kernel.shape[1]):
            found[i] += np.linalg.norm(x * kernel[:, c]) / np.sqrt((v != 0).sum())
    return found / kernel.shape[1]


def test_the_norm_is_the_formula():
    found = group_norm(FEATURES, KERNEL).numpy()
    np.testing.assert_allclose(found, by_loops(FEATURES, KERNEL), rtol=1e-5)
    assert abs(found.mean() - 0.202410) < 1e-6


def test_the_gradient_is_the_kernels_alone():
    features = tf.constant(FEATURES, tf.float64)
    assert_differentiates(lambda kernel: group_norm(features, kernel), KERNEL)
    with tf.GradientTape() as tape:
        tape.watch(features)
        norm = group_norm(features, tf.constant(KERNEL, tf.float64))
    assert tape.gradient(norm, features) is None


def test_neither_no_features_nor_no_weights_give_nan():
    for features, kernel in ((0 * FEATURES, KERNEL), (FEATURES, 0 * KERNEL)):
        kernel = tf.constant(kernel)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            norm = group_norm(features, kernel)
        assert np.isfinite(tape.gradient(norm, kernel)).all()
        np.testing.assert_allclose(norm, np.zeros(4), atol=1e-5)


def test_without_weight_it_is_plain_training():
    assert_trains_plainly(compiled("air", air_weight=0.0))


def test_the_loss_has_the_norm_of_its_own_last_layer():
    made, data = compiled("air", air_weight=3.0), batch()
    with tf.GradientTape(persistent=True) as tape:
        rows = made.losses(data, None)
        norm = tf.reduce_sum(rows.group_norm)
    kernel, first = made.network.get_layer("logits").kernel, made.network.trainable_variables[0]
    np.testing.assert_allclose(
        rows.loss - rows.classification_loss,
        3 * by_loops(rows.features.numpy(), kernel.numpy()),
        rtol=1e-4,
        atol=1e-6,
    )
    assert np.abs(tape.gradient(norm, kernel)).max() > 1e-4
    assert tape.gradient(norm, first) is None
