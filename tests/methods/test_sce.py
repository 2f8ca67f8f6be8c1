"""Symmetric cross-entropy: its numbers, its limit, its gradient."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import assert_trains_plainly, batch, compiled, softmax
from helpers.toy_batch import LOGITS, ONE_HOT, PROBABILITIES, assert_differentiates

from ldl_fer import equations
from ldl_fer.methods.sce import reverse_cross_entropy


def test_the_loss_is_the_formula():
    reverse = reverse_cross_entropy(ONE_HOT, LOGITS).numpy()
    logs = np.where(ONE_HOT > 0, 0.0, -4.0)  # log l, and A for log 0
    np.testing.assert_allclose(reverse, -(PROBABILITIES * logs).sum(axis=1), rtol=1e-5)
    whole = 0.1 * equations.classification_loss(ONE_HOT, LOGITS).numpy() + reverse
    np.testing.assert_allclose(whole.mean(), 2.203464, atol=1e-6)


def test_the_gradient_is_that_of_the_formula():
    labels = tf.constant(ONE_HOT, tf.float64)
    assert_differentiates(lambda z: reverse_cross_entropy(labels, z), LOGITS)


def test_one_weight_alone_is_plain_training():
    made = compiled("sce", sce_weight=1.0, sce_reverse_weight=0.0)
    assert_trains_plainly(made)


def test_both_terms_have_the_weight_of_the_class():
    weights = [3.0, 0.5, 1.0, 2.0, 0.0, 1.0, 4.0]
    made, data = compiled("sce", class_weights=weights), batch()
    rows = made.losses(data, None)
    label = data["label"].numpy()
    given = softmax(rows.logits.numpy())[np.arange(len(label)), label]
    expected = np.array(weights)[label] * (4 * (1 - given) - 0.1 * np.log(given))
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
