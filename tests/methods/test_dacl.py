"""DACL: its numbers, its centers' step, its attention's gradient, what it looks at."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    SIDE,
    UNITS,
    assert_trains_plainly,
    batch,
    compiled,
    tiny_network,
)
from helpers.toy_batch import CENTERS, FEATURES, LABELS, assert_differentiates

from ldl_fer import equations
from ldl_fer.errors import InputError
from ldl_fer.methods.centers import PulledCenters
from ldl_fer.methods.dacl import attention_of, sparse_center_loss

ATTENTION = np.array(
    [[0.5, 0.2, 0.9], [0.1, 0.8, 0.3], [0.6, 0.6, 0.6], [0.4, 0.7, 0.2]], np.float32
)
SMALL = dict(dacl_units=(8, 6, 4))


def test_the_loss_is_the_formula():
    found = sparse_center_loss(FEATURES, CENTERS[LABELS], ATTENTION).numpy()
    expected = 0.5 * (ATTENTION * (FEATURES - CENTERS[LABELS]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert abs(found.mean() - 0.571875) < 1e-6


def test_full_attention_is_the_center_loss():
    own = CENTERS[LABELS]
    np.testing.assert_allclose(
        sparse_center_loss(FEATURES, own, np.ones_like(own)),
        equations.center_loss(FEATURES, own, tf.ones([4])),
        rtol=1e-6,
    )


def test_the_gradients_are_those_of_the_formula():
    own = tf.constant(CENTERS[LABELS], tf.float64)
    assert_differentiates(lambda v, a: sparse_center_loss(v, own, a), FEATURES, ATTENTION)


def test_attention_is_the_second_of_each_pair():
    pairs = np.random.default_rng(0).normal(size=[2, 6]).astype(np.float32)
    expected = np.exp(pairs[:, 1::2]) / (np.exp(pairs[:, 0::2]) + np.exp(pairs[:, 1::2]))
    np.testing.assert_allclose(attention_of(pairs), expected, rtol=1e-5)


def test_centers_move_by_their_attended_features():
    layer = PulledCenters(3, 3, 0.5, 1.0)
    layer.centers.assign(CENTERS)
    layer.update(*layer.sums(ATTENTION * (layer(LABELS) - FEATURES), LABELS))
    expected = [[0.691667, 0.1, 1.05], [0, 1, 0.075], [-1, 0.175, 0.5]]
    np.testing.assert_allclose(layer.centers, expected, atol=1e-6)


def test_without_weight_it_is_plain_training():
    assert_trains_plainly(compiled("dacl", dacl_weight=0.0, **SMALL))


def test_a_step_moves_attention_by_the_loss_and_centers_by_their_rule():
    made, data = compiled("dacl", dacl_weight=0.5, **SMALL), batch()
    before, label = made.centers.centers.numpy(), data["label"].numpy()
    assert before.shape == (CLASSES, UNITS) and 0.2 < before.std() < 0.8  # sqrt(2 / 10)
    with tf.GradientTape() as tape:
        tape.watch(made.centers.centers)
        rows = made.losses(data, None)
        loss = tf.reduce_sum(rows.loss)
    first = made.attention.trainable_variables[0]
    to_attention, to_kernel, to_centers = tape.gradient(
        loss, [rows.attention, first, made.centers.centers]
    )
    features, attention = rows.features.numpy(), rows.attention.numpy()
    # lambda (v - mu)^2 / 2
    expected = 0.25 * (features - before[label]) ** 2
    np.testing.assert_allclose(to_attention, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(to_kernel).max() > 0
    assert made.centers.centers.ref() not in {v.ref() for v in made.optimized_variables}
    assert to_centers is not None  # and no optimizer takes it
    made.train_step(data)
    moved = before.copy()
    for j in range(CLASSES):
        own = label == j
        pull = (attention[own] * (before[j] - features[own])).sum(axis=0)
        moved[j] -= 0.5 * pull / (1 + own.sum())
    np.testing.assert_allclose(made.centers.centers, moved, atol=1e-4)


def test_attention_looks_at_the_last_map():
    made = compiled("dacl", tiny_network(convolution=True), **SMALL)
    assert made.attention.input_shape == (None, SIDE * SIDE * UNITS)
    logs = made.train_step(batch())
    assert np.isfinite(logs["loss"])
    assert compiled("dacl", **SMALL).attention.input_shape == (None, UNITS)


def test_other_numbers_of_layers_are_refused():
    with pytest.raises(InputError, match="dacl_units is three numbers"):
        compiled("dacl", dacl_units=(8, 4))
