"""The small network: what it costs, and that it learns."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import images_of, multiply_adds, network_of

from ldl_fer.networks.network import BACKBONES


def test_small_cnn_is_cheap_and_not_negative():
    model = BACKBONES["small_cnn"](48)
    # Stem: 24^2 pixels, 3 x 3 x 3 x 16. A block from a to b channels: two 3 x 3 convolutions and
    # a 1 x 1 shortcut, 9 a b + 9 b b + a b, at its own resolution.
    widths, sides = (16, 24, 48, 96, 160), (24, 12, 6, 3)
    expected = 24**2 * 27 * 16
    for a, b, side in zip(widths, widths[1:], sides, strict=False):
        expected += side**2 * (10 * a * b + 9 * b * b)
    assert multiply_adds(model) == expected
    features = model(images_of(48)).numpy()
    assert features.min() >= 0 and features.max() > 0


@pytest.mark.slow
def test_small_cnn_overfits_a_handful():
    network = network_of("small_cnn")
    optimizer = tf.keras.optimizers.Adam(1e-2)
    images, labels = images_of(batch=14), np.arange(14) % 7

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = network(images, training=True)[1]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    first = float(step())
    losses = [float(step()) for _ in range(40)]
    assert first > 1.0 and losses[-1] < 0.05
