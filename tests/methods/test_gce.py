"""Generalized cross-entropy: its numbers, its two ends, its gradient."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import assert_trains_plainly, batch, compiled, softmax
from helpers.toy_batch import LOGITS, ONE_HOT, PROBABILITIES, assert_differentiates

from ldl_fer.errors import InputError
from ldl_fer.methods.gce import generalized_cross_entropy


def test_the_loss_is_the_formula():
    found = generalized_cross_entropy(ONE_HOT, LOGITS, 0.7).numpy()
    given = (PROBABILITIES * ONE_HOT).sum(axis=1)
    np.testing.assert_allclose(found, (1 - given**0.7) / 0.7, rtol=1e-5)
    np.testing.assert_allclose(found.mean(), 0.604320, atol=1e-6)


def test_its_ends_are_cross_entropy_and_absolute_error():
    given = (PROBABILITIES * ONE_HOT).sum(axis=1)
    np.testing.assert_allclose(
        generalized_cross_entropy(ONE_HOT, LOGITS, 1e-6), -np.log(given), rtol=1e-5
    )
    np.testing.assert_allclose(
        generalized_cross_entropy(ONE_HOT, LOGITS, 1.0), 1 - given, rtol=1e-5
    )


def test_the_gradient_is_that_of_the_formula():
    labels = tf.constant(ONE_HOT, tf.float64)
    assert_differentiates(lambda z: generalized_cross_entropy(labels, z, 0.7), LOGITS)


def test_a_hopeless_label_pulls_no_more():
    logits = tf.constant([[-1e4, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = generalized_cross_entropy(tf.constant([[1.0, 0.0, 0.0]]), logits, 0.7)
    np.testing.assert_allclose(loss, [1 / 0.7], rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, logits), [[0.0, 0.0, 0.0]])


@pytest.mark.parametrize("exponent", [0.0, 1.5])
def test_other_exponents_are_refused(exponent):
    with pytest.raises(InputError, match="gce_exponent"):
        compiled("gce", gce_exponent=exponent)


def test_near_zero_it_trains_as_plain_training():
    assert_trains_plainly(compiled("gce", gce_exponent=1e-5), atol=1e-4)


def test_classes_have_their_weights():
    weights = [3.0, 0.5, 1.0, 2.0, 0.0, 1.0, 4.0]
    made, data = compiled("gce", class_weights=weights), batch()
    rows = made.losses(data, None)
    label = data["label"].numpy()
    given = softmax(rows.logits.numpy())[np.arange(len(label)), label]
    expected = np.array(weights)[label] * (1 - given**0.7) / 0.7
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
