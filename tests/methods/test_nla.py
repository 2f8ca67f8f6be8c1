"""NLA: its numbers, its gradients, its limits."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    assert_dropout_is_shared,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
    tiny_network,
)
from helpers.toy_batch import LOGITS, ONE_HOT, assert_differentiates

from ldl_fer.methods.nla import correlation, doubt_weight, flip_divergence, label_and_rival


@pytest.mark.parametrize(
    ("given", "rival", "eps", "expected"),
    [
        *((0.5, 0.5, 0.0, 0.198944), (0.5, 0.5, 0.5, 0.208550), (0.5, 0.5, 1.0, 0.248680)),
        *((0.9, 0.05, 0.0, 0.158612), (0.9, 0.05, 0.5, 0.175105), (0.9, 0.05, 1.0, 0.215530)),
        *((0.3, 0.5, 0.5, 0.290889), (0.05, 0.9, 0.5, 0.002424)),
    ],
)
def test_the_weight_is_the_density(given, rival, eps, expected):
    found = doubt_weight(tf.constant([given]), tf.constant([rival]), tf.constant(eps))
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_the_rival_is_the_most_probable_other_class():
    p = tf.constant([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    given, rival = label_and_rival(tf.eye(3), p)
    np.testing.assert_allclose(given, [0.5, 0.3, 0.2])
    np.testing.assert_allclose(rival, [0.3, 0.5, 0.5])


def test_the_correlation_grows():
    found = correlation(tf.constant([0.0, 0.1, 1.0]))
    np.testing.assert_allclose(found, [0, 1 - np.exp(-1.5), 1 - np.exp(-15)], rtol=1e-5)


def test_dropout_of_a_frozen_backbones_head_is_no_divergence():
    assert_dropout_is_shared("nla", "flip_divergence", atol=1e-6)


def test_the_divergence_is_the_formula():
    other = LOGITS[:, ::-1].copy()
    found = flip_divergence(LOGITS, other).numpy()
    m, p, q = softmax((LOGITS + other) / 2), softmax(LOGITS), softmax(other)
    expected = 0.5 * (m * np.log(m / p)).sum(axis=1) + 0.5 * (m * np.log(m / q)).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert abs(found.sum() - 0.363637) < 1e-6
    np.testing.assert_allclose(flip_divergence(LOGITS, LOGITS), np.zeros(4), atol=1e-6)


def test_the_gradients_are_those_of_the_formulas():
    labels = tf.constant(ONE_HOT, tf.float64)
    assert_differentiates(flip_divergence, LOGITS, LOGITS[::-1])

    def weight(logits):
        pair = label_and_rival(labels, tf.nn.softmax(logits))
        return doubt_weight(*pair, tf.constant(0.5, tf.float64))

    assert_differentiates(weight, LOGITS)


def test_without_both_parts_it_is_plain_training():
    made = compiled("nla", tiny_network(batch_norm=False), nla_share=0.0, nla_weight=0.0)
    assert_trains_plainly(made, tiny_network(batch_norm=False))


def test_the_loss_is_of_both_views_and_the_epoch():
    made, data = compiled("nla", tiny_network(batch_norm=False), epochs=4), batch()
    made.optimizer.iterations.assign(3)  # epoch 1 of 4, of 2 steps
    rows, label = made.losses(data, None), data["label"].numpy()
    mirrored = made(tf.reverse(data["image"], axis=[2]))[1]
    logits = made(data["image"])[1]
    p = softmax(logits.numpy())
    given, rest = p[np.arange(6), label], p.copy()
    rest[np.arange(6), label] = 0
    weight = doubt_weight(given, rest.max(axis=1), 1 - np.exp(-15 / 4))
    expected = -np.log(given) * (0.5 + 0.5 * weight) + 16 * flip_divergence(logits, mirrored)
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made.losses(data, None).flip_divergence)
    assert np.abs(tape.gradient(loss, made.network.trainable_variables[0])).max() > 0
