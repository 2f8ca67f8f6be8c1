"""MEK: its numbers, its gradients, its limits."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    UNITS,
    assert_trains_plainly,
    batch,
    head_network,
    softmax,
    tiny_network,
)
from helpers.toy_batch import LOGITS, ONE_HOT, assert_differentiates

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.eac import flip_consistency
from ldl_fer.methods.mek import MEK, rarity, rebalanced_label, weighted_consistency

COUNTS = (3, 1, 1, 2, 1, 3, 1)


def test_labels_are_the_formula():
    weights = rarity(tf.constant([6.0, 2.0, 4.0]))
    np.testing.assert_allclose(weights, [0.2, 0.6, 0.3], rtol=1e-6)
    target = rebalanced_label(ONE_HOT, weights, 0.3)
    expected = [[0.7, 0.2, 0.1], [0.12, 0.7, 0.18], [0.7, 0.2, 0.1], [0.075, 0.225, 0.7]]
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    loss = equations.classification_loss(target, tf.constant(LOGITS)).numpy()
    assert abs(loss.mean() - 1.044981) < 1e-6


def test_classes_without_samples_get_no_doubt():
    weights = rarity(tf.constant([4.0, 0.0, 4.0]))
    np.testing.assert_allclose(weights, [0.2, 0.0, 0.2], rtol=1e-6)
    alone = rarity(tf.constant([4.0, 0.0, 0.0]))
    labels = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(rebalanced_label(labels, weights, 0.3)[0], [0.7, 0, 0.3])
    np.testing.assert_allclose(rebalanced_label(labels, alone, 0.3), [[1, 0, 0], [0.3, 0.7, 0]])


def test_the_consistency_is_the_formula():
    rng = np.random.default_rng(0)
    maps, mirrored = rng.normal(size=[2, 2, 3, 4, 3]).astype(np.float32)
    weights, expected = np.array([0.2, 0.6, 0.3], np.float32), np.zeros(2)
    for b, h, w, c in np.ndindex(2, 3, 4, 3):
        expected[b] += weights[c] * (maps[b, h, w, c] - mirrored[b, h, 3 - w, c]) ** 2 / 12
    np.testing.assert_allclose(weighted_consistency(maps, mirrored, weights), expected, rtol=1e-5)
    np.testing.assert_allclose(
        weighted_consistency(maps, mirrored, np.full(3, 1 / 3, np.float32)),
        flip_consistency(maps, mirrored),
        rtol=1e-5,
    )


def test_the_gradients_are_those_of_the_formula():
    rng = np.random.default_rng(1)
    weights = tf.constant([0.2, 0.6, 0.3], tf.float64)
    assert_differentiates(
        lambda a, b: weighted_consistency(a, b, weights), *rng.normal(size=[2, 1, 2, 2, 3])
    )


def made_of(network=None, **settings):
    config = Config().replace(method="mek", **settings)
    made = MEK(network or tiny_network(), config, 12, 2, class_counts=COUNTS)
    made.compile(tf.keras.optimizers.SGD(0.1))
    return made


def test_without_doubt_and_weight_it_is_plain_training():
    # Without batch normalization, which sees the mirrored view, too.
    made = made_of(tiny_network(batch_norm=False), mek_smoothing=0.0, mek_weight=0.0)
    assert_trains_plainly(made, tiny_network(batch_norm=False))


def test_a_frozen_backbones_head_drops_the_same_of_both_views():
    made = made_of(head_network(8), mek_weight=1.0)
    assert made.trained is not made.network
    rng = np.random.default_rng(3)
    pooled = tf.constant(rng.normal(size=[6, 8]), tf.float32)
    data = batch() | {"image": pooled, "mirrored_image": pooled}
    assert np.abs(made.losses(data, None).consistency_loss).max() < 1e-10
    other = data | {"mirrored_image": tf.constant(rng.normal(size=[6, 8]), tf.float32)}
    (_, features, logits), (maps, _, _) = made.pass_views(other)
    assert maps.shape == (6, 1, 1, UNITS)
    np.testing.assert_allclose(features, made.run_network(pooled, training=True)[0], atol=1e-6)
    assert np.abs(made.trained.get_layer("logits")(features) - logits).max() > 0.01  # dropped
    assert made.losses(other, None).consistency_loss.numpy().min() > 1e-4
    assert np.isfinite(made.train_step(other)["loss"])


def test_the_loss_is_of_both_views_maps():
    made, data = made_of(tiny_network(batch_norm=False, convolution=True)), batch()
    with tf.GradientTape() as tape:
        rows = made.losses(data, None)
        loss = tf.reduce_sum(rows.consistency_loss)
    kernel = made.network.get_layer("logits").kernel
    first = made.network.trainable_variables[0]
    to_kernel, to_first = tape.gradient(loss, [kernel, first])
    assert to_kernel is None and np.abs(to_first).max() > 0
    maps, mirrored = (
        made.with_map(view)[0] @ kernel
        for view in (data["image"], tf.reverse(data["image"], axis=[2]))
    )
    weights = 0.1 * 12 / np.array(COUNTS, np.float32)
    consistency = weighted_consistency(maps, mirrored, weights)
    np.testing.assert_allclose(rows.consistency_loss, consistency, rtol=1e-4, atol=1e-6)
    label, p = data["label"].numpy(), softmax(rows.logits.numpy())
    others = weights * (1 - np.eye(CLASSES)[label])
    target = 0.7 * np.eye(CLASSES)[label] + 0.3 * others / others.sum(axis=1, keepdims=True)
    expected = -(target * np.log(p)).sum(axis=1) + 0.1 * consistency
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
