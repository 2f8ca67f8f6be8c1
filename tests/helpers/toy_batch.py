"""A batch of four samples by which loss functions are checked against numbers made elsewhere.

The expected numbers beside it in the tests were computed with NumPy from the papers' formulas.
"""

import numpy as np
import tensorflow as tf

FEATURES = np.array([[1, 0, 2], [0, 1, 1], [2, 1, 0], [-1, 1, 0.5]], np.float32)
LABELS = np.array([0, 1, 0, 2], np.int32)
LOGITS = np.array([[2, 1, 0], [0.5, 1.5, -0.5], [0, 1, 0.5], [0.2, 0.1, 0.3]], np.float32)
CENTERS = np.array([[0.5, 0, 1], [0, 1, 0], [-1, 0, 0.5]], np.float32)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def gradient_of(function, *values):
    """Returns the gradients of the sum of a function's values at float64 arguments."""
    values = [tf.constant(value, tf.float64) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(function(*values))
    return [None if g is None else g.numpy() for g in tape.gradient(total, values)]


def finite_differences(function, *values, step=1e-6):
    """Returns the same by central differences."""
    values, found = [np.array(value, np.float64) for value in values], []

    def total():
        return float(tf.reduce_sum(function(*(tf.constant(v) for v in values))))

    for value in values:
        gradient = np.zeros_like(value)
        for place in np.ndindex(*value.shape):
            kept = value[place]
            value[place] = kept + step
            above = total()
            value[place] = kept - step
            gradient[place] = (above - total()) / (2 * step)
            value[place] = kept
        found.append(gradient)
    return found


def assert_differentiates(function, *values, step=1e-6, atol=1e-7):
    """Asserts that both agree."""
    differences = finite_differences(function, *values, step=step)
    for found, expected in zip(gradient_of(function, *values), differences, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol)


def assert_loss_differentiates(made, atol=1e-4, **with_labels):
    """Asserts it of a method's whole loss, by the features.

    Args:
      made: a model of the features' own network, `feature_network(3, 3)`.
      atol: of a gradient.
      **with_labels: what else the method reads of a batch.
    """
    rest = {"label": tf.constant(LABELS), "sample_id": tf.range(4), **with_labels}

    def loss(features):
        data = rest | {"image": features}
        return made.losses(data, made.look_up(data)).loss

    # The network counts in float32.
    assert_differentiates(loss, FEATURES, step=1e-2, atol=atol)
