"""RAN: its crops, its attention beside loops, its loss; exported whole."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    LABELS,
    UNITS,
    assert_equal_variables,
    batch,
    compiled,
    layers,
    softmax,
    tiny_network,
)
from helpers.toy_batch import assert_differentiates

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.methods.ran import CROPS, RAN, rank_loss
from ldl_fer.training.checks import check_settings

WEIGHTS = np.array([[0.1, 0.3, 0.2, 0.25, 0.05, 0.1], [0.1, 0.1, 0.1, 0.2, 0.1, 0.4]], np.float32)


def test_the_rank_loss_is_the_formula():
    # max(0, .1 - .2) and max(0, .1 + .2)
    np.testing.assert_allclose(rank_loss(WEIGHTS, 0.1), [0, 0.3], atol=1e-6)
    assert_differentiates(lambda w: rank_loss(w, 0.3), WEIGHTS)


def crops_by_hand(images):
    """Each view of pictures [B, H, H, 3], the whole ones last."""
    side, views = images.shape[1], []
    for top, bottom, left, right in CROPS:
        rows = slice(round(top * side), side - round(bottom * side))
        columns = slice(round(left * side), side - round(right * side))
        cut = images[:, rows, columns].astype(np.float32)
        views.append(np.stack([cv2.resize(one, (side, side)) for one in cut]))
    return views


def wide_network(side):
    """Of pictures of that side: a convolution, its mean."""
    tf.keras.utils.set_random_seed(0)
    pixels = tf.keras.Input([side, side, 3])
    maps = layers.Conv2D(UNITS, 3, activation="relu")(pixels)
    backbone = tf.keras.Model(pixels, layers.GlobalAveragePooling2D()(maps), name="backbone")
    images = tf.keras.Input([side, side, 3])
    x = backbone(layers.Rescaling(1 / 127.5, -1.0, name="pixels")(images))
    features = layers.Activation("linear", name="features")(x)
    return tf.keras.Model(images, [features, layers.Dense(CLASSES, name="logits")(features)])


def test_the_network_attends_as_loops_do():
    plain = wide_network(20)
    network = RAN.complete(plain, seed=3)
    images = np.random.default_rng(0).integers(0, 256, [3, 20, 20, 3]).astype(np.uint8)
    each = [plain(view)[0].numpy() for view in crops_by_hand(images)]
    assert len(each) == 6

    def squashed(name, x):
        kernel, bias = network.get_layer(name).get_weights()
        return 1 / (1 + np.exp(-(x @ kernel + bias)[:, 0]))

    features, logits = network(images)
    assert features.shape == (3, 2 * UNITS) and logits.shape == (3, CLASSES)
    kernel, bias = network.get_layer("logits").get_weights()
    for i in range(3):
        f = np.stack([one[i] for one in each])
        mu = softmax(squashed("self_attention", f))
        pairs = np.concatenate([f, np.tile(mu @ f, (6, 1))], axis=1)
        nu = softmax(squashed("relation_attention", pairs))
        expected = (mu * nu) @ pairs / (mu * nu).sum()
        np.testing.assert_allclose(features[i], expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(logits[i], expected @ kernel + bias, rtol=1e-3, atol=1e-3)


def test_the_loss_is_that_of_loops():
    made = compiled("ran", wide_network(4), ran_margin=0.5)
    data = batch()
    rows = made.losses(data, None)
    p, mu = softmax(rows.logits.numpy()), made.with_weights(data["image"])[2].numpy()[:, :, 0]
    np.testing.assert_allclose(mu.sum(axis=1), 1, rtol=1e-5)
    for i, sample in enumerate(data["sample_id"].numpy()):
        rank = max(0, 0.5 - (mu[i, :5].max() - mu[i, 5]))
        np.testing.assert_allclose(rows.rank_loss[i], rank, rtol=1e-4)
        np.testing.assert_allclose(rows.loss[i], rank - np.log(p[i, LABELS[sample]]), rtol=1e-4)


def test_of_views_that_are_alike_it_is_plain_training():
    made, twin = compiled("ran", wide_network(4)), wide_network(4)
    last, own = (network.get_layer("logits") for network in (made.network, twin))
    # All views have the features f: v = [f, f], whose kernel is the sum of both halves.
    own.kernel.assign(sum(tf.split(last.kernel, 2)))
    data = batch()
    data["image"] = tf.tile(data["image"][:, :1, :1], [1, 4, 4, 1])
    rows, label = made.losses(data, None), data["label"].numpy()
    p = softmax(twin(data["image"])[1].numpy())[np.arange(len(label)), label]
    # max(0, .1 - (1/6 - 1/6))
    np.testing.assert_allclose(rows.loss, 0.1 - np.log(p), rtol=1e-4)
    plain, before = compiled("cross_entropy", twin), own.kernel.numpy()
    for model in (made, plain):
        model.train_step(data)
    backbones = [network.get_layer("backbone").variables for network in (made.network, twin)]
    assert_equal_variables(*backbones)
    assert_equal_variables([last.bias], [own.bias])
    # Each half has the plain kernel's gradient.
    moved = sum(tf.split(last.kernel, 2)).numpy() - before
    np.testing.assert_allclose(moved, 2 * (own.kernel.numpy() - before), atol=1e-6)
    assert np.abs(moved).max() > 1e-3


def test_dropout_and_a_backbone_that_is_not_normalized_anew_stay():
    plain = tiny_network(dropout=0.5)
    network = RAN.complete(plain, seed=0)
    assert network.get_layer("dropout") is plain.get_layer("dropout")
    images = tf.cast(batch()["image"], tf.float32)
    assert not np.allclose(network(images, training=True)[1], network(images, training=True)[1])


def test_a_frozen_backbone_is_refused():
    config = Config().replace(method="ran", frozen=True)
    with pytest.raises(InputError, match="--method=ran runs the backbone on parts of pictures"):
        check_settings(config, tf.distribute.get_strategy())
