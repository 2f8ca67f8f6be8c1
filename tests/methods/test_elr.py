"""Early-learning regularization: its formula, its memory, its gradient, its limit."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    SAMPLES,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
)
from helpers.toy_batch import LOGITS, PROBABILITIES, assert_differentiates

from ldl_fer.methods.elr import early_learning_regularization, moved_memory

MEMORY = np.array([[0.2, 0.1, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0], [0.6, 0.3, 0.1]], np.float32)


def test_the_terms_are_the_formulas():
    found = moved_memory(MEMORY, PROBABILITIES, 0.7)
    np.testing.assert_allclose(found, 0.7 * MEMORY + 0.3 * PROBABILITIES, rtol=1e-5)
    agreement = (PROBABILITIES * MEMORY).sum(axis=1)
    np.testing.assert_allclose(
        early_learning_regularization(LOGITS, MEMORY), np.log(1 - agreement), rtol=1e-5
    )


def test_the_gradient_is_that_of_the_formula():
    memory = tf.constant(MEMORY, tf.float64)
    assert_differentiates(lambda z: early_learning_regularization(z, memory), LOGITS)


def test_certainty_that_was_remembered_is_finite():
    logits = tf.constant([[1e6, 0.0, 0.0]])
    found = early_learning_regularization(logits, tf.constant([[1.0, 0.0, 0.0]]))
    # p is clipped to 1 - 1e-4
    np.testing.assert_allclose(found, [np.log(1e-4)], rtol=1e-3)


def test_no_gradient_reaches_the_memory():
    with tf.GradientTape() as tape:
        values = [tf.constant(MEMORY), tf.constant(PROBABILITIES)]
        tape.watch(values)
        total = tf.reduce_sum(moved_memory(*values, 0.7))
    assert tape.gradient(total, values) == [None, None]


def test_without_weight_it_is_plain_training():
    assert_trains_plainly(compiled("elr", elr_weight=0.0))


def test_the_memory_is_a_running_mean_of_each_samples_own_visits():
    made, expected = compiled("elr"), np.zeros([SAMPLES, CLASSES])
    for seed in range(3):
        data = batch(seed)
        rows = made.losses(data, made.look_up(data))
        ids, p = data["sample_id"].numpy(), softmax(rows.logits.numpy())
        expected[ids] = 0.7 * expected[ids] + 0.3 * p
        agreement = (np.clip(p, 1e-4, 1 - 1e-4) * expected[ids]).sum(axis=1)
        given = p[np.arange(len(ids)), data["label"].numpy()]
        whole = -np.log(given) + 3 * np.log(1 - agreement)
        np.testing.assert_allclose(rows.loss, whole, rtol=1e-4, atol=1e-5)
        made.train_step(data)
        np.testing.assert_allclose(made.memory, expected, atol=1e-5)
