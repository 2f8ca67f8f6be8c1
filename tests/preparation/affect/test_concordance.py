"""CCC as a loss and as a metric of Keras, against NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.preparation.affect.agreement import concordance
from ldl_fer.preparation.affect.concordance import Concordance, concordance_loss


def made_up(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, [2, count, 2]).astype(np.float32)


def test_loss_is_one_minus_the_mean_ccc():
    x, y = made_up(20)
    wanted = 1 - concordance(x, y, axis=0).mean()
    assert float(concordance_loss(x, y)) == pytest.approx(wanted, abs=1e-5)
    assert float(concordance_loss(x, x)) == pytest.approx(0, abs=1e-5)
    assert float(concordance_loss(x - x.mean(0), x.mean(0) - x)) == pytest.approx(2, abs=1e-5)


def test_the_gradient_leads_to_agreement_and_a_single_sample_has_none():
    x, y = made_up(20)
    variable = tf.Variable(y)
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = concordance_loss(x, variable)
        variable.assign_sub(2.0 * tape.gradient(loss, variable))
    assert float(loss) < 0.02
    single = tf.Variable(y[:1])
    with tf.GradientTape() as tape:
        loss = concordance_loss(x[:1], single)
    assert float(loss) == 1.0
    np.testing.assert_array_equal(tape.gradient(loss, single), 0)


def test_the_metric_is_exact_over_batches_and_forgets():
    x, y = made_up(50)
    metric = Concordance()
    metric.update_state(y, x)
    metric.reset_state()
    for start in range(0, 50, 16):
        metric.update_state(x[start : start + 16], y[start : start + 16])
    wanted = concordance(x.astype(float), y.astype(float), axis=0).mean()
    assert float(metric.result()) == pytest.approx(wanted, abs=1e-6)
