"""SGD moves only the rows of the batch; Adam is slower in some variables; the schedule."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import OptimizerConfig
from ldl_fer.methods.optimizers import (
    LayerwiseAdam,
    UncertaintySGD,
    learning_rate,
    network_optimizer,
)


def step(optimizer, rows, gradients):
    optimizer.step(tf.constant(rows), tf.constant(gradients))


def test_momentum_of_untouched_rows_rests():
    variable = tf.Variable([0.0, 0.0, 0.0])
    optimizer = UncertaintySGD(variable, 0.1, momentum=0.9)
    step(optimizer, [0], [1.0])
    step(optimizer, [1], [1.0])
    step(optimizer, [0], [1.0])
    # row 0: -0.1, then velocity 0.9 * -0.1 - 0.1 = -0.19  =>  -0.29; row 1: -0.1
    np.testing.assert_allclose(variable, [-0.29, -0.1, 0.0], rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_projection_keeps_touched_rows_in_the_unit_interval(momentum):
    variable = tf.Variable([0.5, 0.5, 3.0])
    optimizer = UncertaintySGD(variable, 1.0, momentum, project=True)
    step(optimizer, [0, 1], [-2.0, 2.0])
    np.testing.assert_array_equal(variable, [1.0, 0.0, 3.0])
    step(optimizer, [2], [0.0])
    np.testing.assert_array_equal(variable, [1.0, 0.0, 1.0])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_momentum_is_in_the_checkpoint(tmp_path, momentum):
    def make():
        variable = tf.Variable([0.5, 0.25])
        return variable, UncertaintySGD(variable, 0.1, momentum)

    (first, sgd), (second, other) = make(), make()
    step(sgd, [0, 1], [1.0, -2.0])
    path = tf.train.Checkpoint(sgd=sgd).write(str(tmp_path / "state"))
    step(other, [1], [5.0])
    tf.train.Checkpoint(sgd=other).read(path).assert_existing_objects_matched()
    assert (other.velocity is None) == (momentum == 0)
    for optimizer in (sgd, other):
        step(optimizer, [1], [1.0])
    np.testing.assert_array_equal(first, second)


def test_released_schedules():
    raf50 = PRESETS["released_raf_resnet50"].optimizer
    rates = [learning_rate(raf50, epoch) for epoch in (0, 9, 10, 29, 30, 59)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    affectnet = PRESETS["released_affectnet_resnet18"].optimizer
    rates = [learning_rate(affectnet, epoch) for epoch in (4, 5, 10, 20)]
    np.testing.assert_allclose(rates, [3e-4, 6e-5, 1.2e-5, 2.4e-6])
    assert learning_rate(PRESETS["paper"].optimizer, 29) == 1e-3


STEPS, SHAPES = 6, ([3, 2], [4], [], [2, 1, 3])
SLOW = (0, 2)
# Zeros, tiny and huge ones among them.
GRADIENTS = [
    [
        (scale * np.random.default_rng([step, number]).normal(size=shape)).astype(np.float32)
        for number, shape in enumerate(SHAPES)
    ]
    for step, scale in enumerate([1.0, 1e-6, 1e4, 0.0, 1.0, 1.0])
]


def some_variables():
    rng = np.random.default_rng(5)
    return [tf.Variable(rng.normal(size=shape).astype(np.float32)) for shape in SHAPES]


def steps_taken(optimizer, variables, start=0, stop=STEPS, apply=None):
    """The steps of each variable, [number][variable]; the rate falls at the fourth."""
    apply = apply or optimizer.apply_gradients
    taken = []
    for number in range(start, stop):
        optimizer.learning_rate.assign(0.01 if number < 3 else 0.002)
        before = [variable.numpy() for variable in variables]
        apply(zip(GRADIENTS[number], variables, strict=True))
        taken.append([v.numpy() - b for v, b in zip(variables, before, strict=True)])
    return taken


def adam_by_hand():
    """m <- 0.9 m + 0.1 g;  v <- 0.999 v + 0.001 g^2;  step = -alpha m / (sqrt(v) + epsilon),

    alpha = rate sqrt(1 - 0.999^t) / (1 - 0.9^t).
    """
    moments = [[np.zeros(shape), np.zeros(shape)] for shape in SHAPES]
    taken = []
    for number in range(STEPS):
        rate, t = 0.01 if number < 3 else 0.002, number + 1
        taken.append([])
        for pair, gradient in zip(moments, GRADIENTS[number], strict=True):
            g = gradient.astype(np.float64)
            pair[0] = 0.9 * pair[0] + 0.1 * g
            pair[1] = 0.999 * pair[1] + 0.001 * g**2
            alpha = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            taken[-1].append(-alpha * pair[0] / (np.sqrt(pair[1]) + 1e-7))
    return taken


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("factor", [0.1, 0.0, 0.37, 2.0])
def test_slow_variables_take_a_part_of_adams_step(factor, compiled):
    variables, plain = some_variables(), some_variables()
    optimizer = LayerwiseAdam(0.01, [variables[n] for n in SLOW], factor, epsilon=1e-7)
    optimizer.build(variables)
    apply = None
    if compiled:
        run = tf.function(lambda g: optimizer.apply_gradients(zip(g, variables, strict=True)))

        def apply(pairs):
            run([tf.constant(gradient) for gradient, _ in pairs])

    found = steps_taken(optimizer, variables, apply=apply)
    adams = steps_taken(tf.keras.optimizers.Adam(0.01, epsilon=1e-7), plain)
    for ours, adam, by_hand in zip(found, adams, adam_by_hand(), strict=True):
        for number in range(len(SHAPES)):
            part = factor if number in SLOW else 1.0
            np.testing.assert_allclose(ours[number], part * by_hand[number], atol=5e-7)
            np.testing.assert_allclose(ours[number], part * adam[number], atol=5e-7)
    assert np.abs(adam_by_hand()[0][0]).max() > 1e-3
    for number, (a, b) in enumerate(zip(variables, plain, strict=True)):
        if number not in SLOW:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pause", [1, 3, 4])
def test_restored_moments_go_on_as_if_without_a_pause(tmp_path, pause):
    def make():
        variables = some_variables()
        optimizer = LayerwiseAdam(0.01, [variables[n] for n in SLOW], 0.1, epsilon=1e-7)
        optimizer.build(variables)
        checkpoint = tf.train.Checkpoint(optimizer=optimizer, variables=variables)
        return optimizer, variables, checkpoint

    whole, expected, _ = make()
    steps_taken(whole, expected)
    first, variables, checkpoint = make()
    steps_taken(first, variables, stop=pause)
    path = checkpoint.write(str(tmp_path / "state"))
    second, variables, checkpoint = make()
    steps_taken(second, variables, 5)
    checkpoint.read(path).assert_consumed()
    assert int(second.iterations) == pause
    steps_taken(second, variables, pause)
    pairs = [*zip(variables, expected, strict=True)]
    pairs += zip(second.variables, whole.variables, strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


def test_the_networks_optimizer_slows_the_backbone_where_asked():
    variables = some_variables()
    slow = [variables[n] for n in SLOW]
    config = OptimizerConfig(learning_rate=0.01, backbone_rate_factor=0.25)
    optimizer = network_optimizer(config, backbone=slow)
    for ours, adam in zip(steps_taken(optimizer, variables), adam_by_hand(), strict=True):
        for number in range(len(SHAPES)):
            part = 0.25 if number in SLOW else 1.0
            np.testing.assert_allclose(ours[number], part * adam[number], atol=5e-7)
    even = OptimizerConfig(learning_rate=0.01)
    assert type(network_optimizer(even, backbone=slow)) is tf.keras.optimizers.Adam
    scaled = network_optimizer(config, "mixed_float16", slow)
    assert isinstance(scaled, tf.keras.mixed_precision.LossScaleOptimizer)
    assert isinstance(scaled.inner_optimizer, LayerwiseAdam)


def test_an_optimizer_made_of_its_configuration_is_equal():
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([3.0])]
    adam = LayerwiseAdam(0.01, variables[:1], 0.1, epsilon=1e-7)
    copy = LayerwiseAdam.from_config(adam.get_config())
    copy.apply_gradients([(tf.ones_like(v), v) for v in variables])
    # Adam's first step is the learning rate, the slow variable's a tenth of it.
    np.testing.assert_allclose(variables[0], [0.999, 1.999], rtol=1e-6)
    np.testing.assert_allclose(variables[1], [2.99], rtol=1e-6)
