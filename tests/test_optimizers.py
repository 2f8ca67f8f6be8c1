"""The uncertainty's SGD touches only the rows of the batch; the schedule is the preset's."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config import PRESETS
from ldl_fer.optimizers import UncertaintySGD, learning_rate


def step(optimizer, variable, rows, gradients):
    slices = tf.IndexedSlices(tf.constant(gradients), tf.constant(rows))
    optimizer.apply_gradients([(slices, variable)])


def test_momentum_of_untouched_rows_rests():
    variable = tf.Variable([0.0, 0.0, 0.0])
    optimizer = UncertaintySGD(0.1, momentum=0.9)
    step(optimizer, variable, [0], [1.0])
    step(optimizer, variable, [1], [1.0])
    step(optimizer, variable, [0], [1.0])
    # row 0: -0.1, then velocity 0.9 * -0.1 - 0.1 = -0.19  =>  -0.29; row 1: -0.1
    np.testing.assert_allclose(variable, [-0.29, -0.1, 0.0], rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_projection_keeps_touched_rows_in_the_unit_interval(momentum):
    variable = tf.Variable([0.5, 0.5, 3.0])
    optimizer = UncertaintySGD(1.0, momentum, project=True)
    step(optimizer, variable, [0, 1], [-2.0, 2.0])
    np.testing.assert_array_equal(variable, [1.0, 0.0, 3.0])
    step(optimizer, variable, [2], [0.0])
    np.testing.assert_array_equal(variable, [1.0, 0.0, 1.0])


def test_repeated_rows_add_up():
    variable = tf.Variable([0.5])
    step(UncertaintySGD(0.1, project=True), variable, [0, 0], [1.0, 2.0])
    # 0.5 - 0.1 * (1 + 2)
    np.testing.assert_allclose(variable, [0.2], rtol=1e-6)


def test_released_schedules():
    raf50 = PRESETS["released_raf_resnet50"].optimizer
    rates = [learning_rate(raf50, epoch) for epoch in (0, 9, 10, 29, 30, 59)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    affectnet = PRESETS["released_affectnet_resnet18"].optimizer
    rates = [learning_rate(affectnet, epoch) for epoch in (4, 5, 10, 20)]
    np.testing.assert_allclose(rates, [3e-4, 6e-5, 1.2e-5, 2.4e-6])
    assert learning_rate(PRESETS["paper"].optimizer, 29) == 1e-3
