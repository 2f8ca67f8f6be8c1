"""The noise adaptation layer: its numbers, its two stages, what it starts from."""

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
from helpers.toy_batch import FEATURES, LABELS, LOGITS, PROBABILITIES, assert_differentiates

from ldl_fer.methods.nal import (
    channel_of_confusion,
    channel_of_noise,
    noisy_log_probabilities,
)

TRANSITION = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]], np.float32)


def loss_of(channel):
    found = noisy_log_probabilities(LOGITS, channel).numpy()
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
    return -found[np.arange(4), LABELS].mean()


def test_the_simple_channel_is_the_formula():
    channel = np.log(TRANSITION)[np.newaxis]
    found = np.exp(noisy_log_probabilities(LOGITS, channel))
    np.testing.assert_allclose(found, PROBABILITIES @ TRANSITION, rtol=1e-5)
    assert abs(loss_of(channel) - 0.929050) < 1e-6


def test_the_complex_channel_is_the_formula():
    kernel = np.zeros([3, 3, 3], np.float32)
    kernel[:, 0, 1], kernel[:, 2, 0] = [0.1, 0, -0.1], [0, 0.2, 0]
    channel = np.einsum("bv,vij->bij", FEATURES, kernel) + np.log(TRANSITION)
    found = np.exp(noisy_log_probabilities(LOGITS, channel.astype(np.float32)))
    np.testing.assert_allclose(found[0], [0.595255, 0.259091, 0.145654], atol=1e-6)
    assert abs(loss_of(channel.astype(np.float32)) - 0.929582) < 1e-6


def test_the_gradients_are_those_of_the_formula():
    def function(logits, channel):
        return noisy_log_probabilities(logits, channel)[:, 1]

    assert_differentiates(function, LOGITS, np.log(TRANSITION)[np.newaxis])


def test_a_channel_that_errs_never_is_plain_training():
    channel = 1e3 * np.eye(3, dtype=np.float32)[np.newaxis]
    np.testing.assert_allclose(
        noisy_log_probabilities(LOGITS, channel), np.log(PROBABILITIES), rtol=1e-5
    )


def test_what_the_channel_starts_from():
    counts = tf.constant([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [2.0, 2.0, 4.0]])
    expected = [[0.75, 0.25, 0], [1 / 3, 1 / 3, 1 / 3], [0.25, 0.25, 0.5]]
    np.testing.assert_allclose(tf.nn.softmax(channel_of_confusion(counts)), expected, atol=1e-6)
    expected = [[0.54, 0.23, 0.23], [0.23, 0.54, 0.23], [0.23, 0.23, 0.54]]
    np.testing.assert_allclose(softmax(channel_of_noise(0.46, 3)), expected, atol=1e-6)


def test_stages_and_start_are_those_written_by_hand():
    # 9 epochs of 2 steps, a third of them plain: the confusion is that of steps 5 and 6.
    made = compiled("nal", epochs=9)
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(0.1)
    channel = tf.Variable(channel_of_noise(0.46, CLASSES))
    optimizer.build([*twin.trainable_variables, channel])
    counts = np.zeros([CLASSES, CLASSES])
    for number in range(1, 9):
        data = batch(number)
        label, seen = data["label"].numpy(), []

        def loss(data=data, label=label, number=number, seen=seen):
            p = tf.nn.softmax(twin(data["image"], training=True)[1])
            seen.append(p.numpy().argmax(axis=1))
            q = p if number <= 6 else p @ tf.nn.softmax(channel)
            return -tf.reduce_mean(tf.math.log(tf.gather(q, label, batch_dims=1)))

        variables = twin.trainable_variables + ([channel] if number > 6 else [])
        expected = step_by_hand(optimizer, variables, loss)
        made.reset_metrics()
        np.testing.assert_allclose(made.train_step(data)["loss"], expected, rtol=1e-5)
        if number in (5, 6):
            np.add.at(counts, (seen[0], label), 1)
        np.testing.assert_array_equal(made.confusion_counts, counts)
        if number == 6:
            assert counts.sum() == 2 * BATCH
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            channel.assign(np.log(shares + 1e-8))
        np.testing.assert_allclose(made.channel, channel, atol=1e-4)
    assert_equal_variables(made.network.variables, twin.variables, atol=1e-5)


def test_a_step_that_is_left_out_is_not_counted():
    made = compiled("nal", nal_plain_share=1.0, epochs=1)
    data = batch()
    rows = made.losses(data, None)
    sums = made.sums_of_step(data, rows)
    made.after_step(data, rows, [], tf.constant(False), sums)
    assert not made.confusion_counts.numpy().any()


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_plain_training_has_its_weight(weight):
    made = compiled("nal", nal_plain_share=0.0, nal_plain_weight=weight, nal_noise=0.3)
    plain, data = compiled("cross_entropy"), batch()
    label, rows = data["label"].numpy(), made.losses(data, None)
    p = softmax(rows.logits.numpy())
    q = p @ softmax(channel_of_noise(0.3, CLASSES))
    own, noisy = (-np.log(values[np.arange(BATCH), label]) for values in (p, q))
    np.testing.assert_allclose(rows.loss, weight * own + (1 - weight) * noisy, rtol=1e-4)
    np.testing.assert_allclose(rows.classification_loss, own, rtol=1e-4)
    if weight == 1.0:
        made.train_step(data)
        plain.train_step(data)
        trained = (one.network.trainable_variables for one in (made, plain))
        assert_equal_variables(*trained)


def test_the_complex_channel_starts_as_the_simple_one_and_learns_a_faces_errors():
    simple = compiled("nal", nal_plain_share=0.0)
    made = compiled("nal", nal_plain_share=0.0, nal_channel="complex")
    first = [one.losses(batch(), None).loss for one in (simple, made)]
    np.testing.assert_allclose(*first, rtol=1e-6)
    made.train_step(batch())
    assert np.abs(made.channel_kernel).max() > 0
    features = tf.constant(np.random.default_rng(0).normal(size=[2, 10]), tf.float32)
    found, kernel = made.channel_of(features), made.channel_kernel.numpy().reshape([10, 7, 7])
    expected = np.einsum("bv,vij->bij", features, kernel) + made.channel.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "channel_kernel" in made.parts() and "channel_kernel" not in simple.parts()
