"""Smoothed labels against loops, and a step written by hand."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    assert_equal_variables,
    batch,
    compiled,
    softmax,
    step_by_hand,
    tiny_network,
)

from ldl_fer.methods.baselines import smoothed_label


def by_loops(labels, smoothing, classes):
    """l'_j = (1 - epsilon) [j = y] + epsilon / C."""
    return np.array(
        [[(1 - smoothing) * (j == y) + smoothing / classes for j in range(classes)] for y in labels]
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.37, 1.0])
@pytest.mark.parametrize(("size", "classes"), [(1, 2), (5, 3), (4, 7), (3, 11), (2, 1)])
def test_smoothed_label_is_the_formula(smoothing, size, classes):
    labels = np.random.default_rng(size).integers(0, classes, size)
    found = smoothed_label(tf.one_hot(labels, classes), smoothing).numpy()
    np.testing.assert_allclose(found, by_loops(labels, smoothing, classes), atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)


def test_a_distribution_is_smoothed_like_a_label():
    # 0.8 * (0.5, 0.5, 0, 0) + 0.2 / 4
    found = smoothed_label(tf.constant([[0.5, 0.5, 0.0, 0.0]]), 0.2)
    np.testing.assert_allclose(found, [[0.45, 0.45, 0.05, 0.05]], rtol=1e-6)


@pytest.mark.parametrize("shape", [[7], [2, 3, 7], []])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="rank"):
        smoothed_label(tf.zeros(shape), 0.1)


def test_labels_without_doubt_are_plain_training():
    smoothed, plain = compiled("label_smoothing", smoothing=0.0), compiled("cross_entropy")
    for seed in range(2):
        smoothed.train_step(batch(seed))
        plain.train_step(batch(seed))
    assert_equal_variables(smoothed.variables, plain.variables)


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_steps_are_those_written_by_hand(smoothing):
    weights = np.array([3.0, 0.5, 1.0, 2.0, 0.0, 1.0, 4.0], np.float32)
    made = compiled("label_smoothing", class_weights=weights.tolist(), smoothing=smoothing)
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(0.1)
    for seed in range(3):
        data = batch(seed)
        labels = data["label"].numpy()
        target = tf.constant(by_loops(labels, smoothing, CLASSES), tf.float32)

        def loss(data=data, labels=labels, target=target):
            logits = twin(data["image"], training=True)[1]
            each = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            return tf.reduce_sum(weights[labels] * each) / BATCH

        made.reset_metrics()
        logs = made.train_step(data)
        expected = step_by_hand(optimizer, twin.trainable_variables, loss)
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-6)
    assert_equal_variables(made.network.variables, twin.variables)


def test_the_given_class_is_not_pushed_to_certainty():
    # The least loss is at f = l', where the gradient f - l' is zero.
    made, data = compiled("label_smoothing"), batch()
    with tf.GradientTape() as tape:
        rows = made.losses(data, None)
        loss = tf.reduce_sum(rows.loss)
    gradient = tape.gradient(loss, rows.logits)
    expected = softmax(rows.logits.numpy()) - by_loops(data["label"].numpy(), 0.1, CLASSES)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
