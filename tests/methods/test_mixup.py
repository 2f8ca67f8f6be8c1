"""mixup: its shares, its mixtures, a step written by hand."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    feature_network,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import assert_loss_differentiates

from ldl_fer.methods.mixup import mixed, mixing_share


@tf.function
def draws(alpha, count=400):
    return tf.map_fn(
        lambda i: mixing_share(tf.stack([7, i]), alpha),
        tf.range(count),
        fn_output_signature=tf.float32,
    )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_are_of_the_beta_distribution(alpha):
    shares = draws(alpha).numpy()
    assert shares.min() >= 0 and shares.max() <= 1
    # mean 1/2, variance 1 / (4 (2 alpha + 1))
    assert abs(shares.mean() - 0.5) < 0.08
    np.testing.assert_allclose(shares.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.2)
    np.testing.assert_array_equal(shares, draws(alpha))


def test_tiny_shapes_of_the_distribution_give_no_nan():
    assert np.isfinite(draws(1e-6, 50)).all()


def test_rows_are_mixed_with_the_row_before():
    values = tf.constant([[1.0, 0.0], [2.0, 8.0], [3.0, 4.0]])
    np.testing.assert_allclose(
        mixed(values, tf.constant(0.75)), [[1.5, 1.0], [1.75, 6.0], [2.75, 5.0]]
    )


def test_steps_are_those_written_by_hand():
    weights = np.array([3, 0.5, 1, 2, 0.25, 1, 4], np.float32)
    made = compiled("mixup", class_weights=weights.tolist(), mixup_alpha=1.0, seed=5)
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(0.1)
    for number in range(3):
        data = batch(number)
        label = data["label"].numpy()
        share = float(mixing_share(tf.constant([5, number], tf.int64), 1.0))
        assert 0.01 < share < 0.99
        images = data["image"].numpy().astype(np.float32)
        images = share * images + (1 - share) * np.roll(images, 1, axis=0)

        def loss(images=images, label=label, share=share):
            logs = tf.nn.log_softmax(twin(images, training=True)[1])
            total = 0.0
            for i, own in enumerate(label):
                other = label[i - 1]
                total -= share * weights[own] * logs[i, own]
                total -= (1 - share) * weights[other] * logs[i, other]
            return total / len(label)

        made.reset_metrics()
        logs = made.train_step(data)
        np.testing.assert_allclose(
            logs["loss"], step_by_hand(optimizer, twin.trainable_variables, loss), rtol=1e-5
        )
    assert_equal_variables(made.network.variables, twin.variables, atol=1e-5)


def test_the_gradient_is_that_of_the_loss():
    made = compiled("mixup", feature_network(3, 3), mixup_alpha=1.0)
    assert 0.1 < mixing_share(tf.constant([0, 0], tf.int64), 1.0) < 0.9
    assert_loss_differentiates(made)


def test_an_alpha_near_zero_is_plain_training():
    made = compiled("mixup", mixup_alpha=1e-6)
    shares = [float(mixing_share(tf.constant([0, step], tf.int64), 1e-6)) for step in range(3)]
    assert all(min(share, 1 - share) < 1e-20 for share in shares)  # One of both faces is left.
    assert_trains_plainly(made)


def test_a_batch_of_equal_pictures_is_plain_training():
    made, data = compiled("mixup", tiny_network(batch_norm=False)), batch()
    data["image"] = tf.repeat(data["image"][:1], 6, axis=0)
    data["label"] = tf.repeat(data["label"][:1], 6, axis=0)
    p = softmax(made(data["image"])[1].numpy())[0, data["label"][0].numpy()]
    np.testing.assert_allclose(made.losses(data, None).loss, np.full(6, -np.log(p)), rtol=1e-4)
