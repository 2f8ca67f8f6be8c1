"""Plain training against a step written by hand, with both optimizers and with class weights."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    assert_equal_variables,
    batch,
    compiled,
    mean_cross_entropy,
    softmax,
    step_by_hand,
    tiny_network,
)

WEIGHTS = [3.0, 0.5, 1.0, 2.0, 0.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("optimizer", "batch_norm"),
    [(tf.keras.optimizers.SGD, True), (tf.keras.optimizers.Adam, False)],
)
def test_steps_are_those_written_by_hand(optimizer, batch_norm):
    made = compiled("cross_entropy", tiny_network(batch_norm=batch_norm), optimizer(0.01))
    plain, by_hand = tiny_network(batch_norm=batch_norm), optimizer(0.01)
    before = [variable.numpy() for variable in plain.variables]
    for seed in range(3):
        data = batch(seed)
        made.reset_metrics()
        logs = made.train_step(data)
        expected = step_by_hand(
            by_hand,
            plain.trainable_variables,
            lambda data=data: mean_cross_entropy(
                data["label"], plain(data["image"], training=True)[1]
            ),
        )
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-6)
        np.testing.assert_allclose(logs["classification_loss"], expected, rtol=1e-6)
    assert all((a != b.numpy()).any() for a, b in zip(before, plain.variables, strict=True))
    assert_equal_variables(made.network.variables, plain.variables)


def test_class_weights_are_factors_of_each_samples_loss():
    made, plain = compiled("cross_entropy", class_weights=WEIGHTS), tiny_network()
    data, optimizer = batch(), tf.keras.optimizers.SGD(0.1)
    logs = made.train_step(data)
    labels = data["label"].numpy()
    probabilities = softmax(plain(data["image"], training=True)[1].numpy())
    # 1/B sum_i w_{y_i} (-log f_{y_i}): divided by B, not by the sum of the weights
    expected = sum(WEIGHTS[y] * -np.log(p[y]) for y, p in zip(labels, probabilities, strict=True))
    np.testing.assert_allclose(logs["loss"], expected / BATCH, rtol=1e-5)
    twin = tiny_network()
    weights = tf.constant(WEIGHTS)

    def loss():
        logits = twin(data["image"], training=True)[1]
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(tf.gather(weights, labels) * each) / BATCH

    step_by_hand(optimizer, twin.trainable_variables, loss)
    assert_equal_variables(made.network.variables, twin.variables)


def test_the_gradient_at_the_logits_is_prediction_minus_label():
    made, data = compiled("cross_entropy"), batch()
    with tf.GradientTape() as tape:
        rows = made.losses(data, made.look_up(data))
        loss = tf.reduce_sum(rows.loss)
    gradient = tape.gradient(loss, rows.logits).numpy()
    # dL_i/dz_ij = f_ij - l_ij
    expected = softmax(rows.logits.numpy())
    for row, label in zip(expected, data["label"].numpy(), strict=True):
        row[label] -= 1.0
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
