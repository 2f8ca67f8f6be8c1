"""The model as a whole: what a step changes and what it leaves alone."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from helpers.small_model import (
    BATCH,
    CLASSES,
    SAMPLES,
    batch,
    model,
    network,
    state,
)

from ldl_fer import equations
from ldl_fer.methods.ldlva import shown_frequencies

SWITCHES = (
    "label_distribution",
    "adaptive_similarity",
    "sample_uncertainty",
    "discriminative_loss",
)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "released_raf_resnet18"])
@pytest.mark.parametrize("off", [(), *((name,) for name in SWITCHES), SWITCHES], ids="+".join)
def test_compiled_equals_eager_for_every_switch(preset, off):
    settings = dict.fromkeys(off, False)
    eager, compiled = model(preset, **settings), model(preset, **settings)
    step = tf.function(compiled.train_step)
    for seed in range(3):
        first, second = eager.train_step(batch(seed)), step(batch(seed))
        for name in first:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-5, atol=1e-6)
    for a, b in zip(state(eager), state(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_switches_off_is_plain_cross_entropy():
    ours = model(**dict.fromkeys(SWITCHES, False))
    plain = network()
    optimizer = tf.keras.optimizers.SGD(0.1)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for seed in range(4):
        data = batch(seed)
        ours.train_step({name: data[name] for name in ("sample_id", "label", "image")})
        with tf.GradientTape() as tape:
            value = loss(data["label"], plain(data["image"], training=True)[1])
        gradients = tape.gradient(value, plain.trainable_variables)
        optimizer.apply_gradients(zip(gradients, plain.trainable_variables, strict=True))
    for a, b in zip(ours.network.variables, plain.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("preset", ["paper", "released_affectnet_resnet18"])
def test_uncertainty_step_is_equations_7_to_9(preset):
    made = model(preset, adaptive_similarity=False, log_epsilon=0.0, uncertainty_init=0.3)
    data = batch()
    # A copy whose statistics move first, as the neighbors' pass moves them before the batch's.
    twin = model(preset)
    neighbors = twin.neighbor_pass(data["neighbor_image"])
    features, logits = twin.network(data["image"], training=True)
    parts = made.construct(data, features, neighbors, training=False)
    label = tf.one_hot(data["label"], CLASSES)
    gradient = equations.uncertainty_gradient(label, parts.aggregated, logits).numpy() / BATCH
    before = made.uncertainty.value.numpy()
    made.train_step(data)
    step = made.uncertainty.value.numpy() - before
    if preset == "paper":
        # lambda <- clip(lambda - 1.0 * dL/dlambda, 0, 1)
        expected = np.clip(0.3 - gradient, 0, 1) - 0.3
    else:
        # lambda = sigmoid(-value): value <- value + 1.0 * dL/dlambda * lambda (1 - lambda)
        value = 1 / (1 + np.exp(0.3))
        expected = gradient * value * (1 - value)
    np.testing.assert_allclose(step[data["sample_id"].numpy()], expected, rtol=1e-3, atol=1e-5)
    untouched = np.setdiff1d(np.arange(SAMPLES), data["sample_id"])
    assert len(untouched) and not step[untouched].any()


def test_evaluation_changes_no_variable():
    made = model("released_raf_resnet18")
    before = state(made)
    made.test_step(batch())
    made(batch()["image"], training=False)
    data = batch()
    features, _ = made(data["image"])
    neighbors = made.neighbor_pass(data["neighbor_image"], training=False)
    made.construct(data, features, neighbors, training=False)
    assert same(before, state(made))


def test_training_changes_every_part():
    made = model("released_raf_resnet18")
    before = state(made)
    made.train_step(batch())
    changed = [not np.array_equal(a, b) for a, b in zip(before, state(made), strict=True)]
    assert all(changed)


def test_switches_leave_what_they_switch_off_alone():
    made = model(adaptive_similarity=False, sample_uncertainty=False, discriminative_loss=False)
    frozen = [*made.calibrator.variables, made.uncertainty.value, made.centers.centers]
    before = [v.numpy() for v in frozen]
    made.train_step(batch())
    assert same(before, [v.numpy() for v in frozen])
    np.testing.assert_array_equal(made.all_uncertainties(), np.full(SAMPLES, 0.5, np.float32))


def test_the_neighbors_pass_gets_no_gradient():
    made, data = model(), batch()
    with tf.GradientTape() as tape:
        tape.watch(data["neighbor_image"])
        features, logits = made.network(data["image"], training=True)
        with tape.stop_recording():
            neighbors = made.neighbor_pass(data["neighbor_image"])
        target = made.construct(data, features, neighbors, training=True).target
        loss = tf.reduce_sum(equations.classification_loss(target, logits))
    assert tape.gradient(loss, data["neighbor_image"]) is None


def test_gradient_reaches_calibrator_and_main_features_through_the_target():
    made, data = model(uncertainty_init=0.5), batch()
    neighbors = made.neighbor_pass(data["neighbor_image"])
    logits = tf.random.stateless_normal([BATCH, CLASSES], [0, 0])
    features = tf.random.stateless_normal([BATCH, 12], [1, 1])
    with tf.GradientTape() as tape:
        tape.watch(features)
        target = made.construct(data, features, neighbors, training=True).target
        loss = tf.reduce_sum(equations.classification_loss(target, logits))
    to_features, to_kernel = tape.gradient(loss, [features, made.calibrator.dense1.kernel])
    assert np.abs(to_features).max() > 0 and np.abs(to_kernel).max() > 0


def test_class_weights_scale_the_classification_loss():
    weights = [0.5, 1.0, 2.0, 3.0, 0.0, 1.5, 4.0]
    settings = dict.fromkeys(SWITCHES, False)
    data = batch()
    weighted, plain = model(class_weights=weights, **settings), model(**settings)
    _, logits = plain.network(data["image"], training=True)
    label = tf.one_hot(data["label"], CLASSES)
    loss = equations.classification_loss(label, logits).numpy()
    # mean_i w_{y^i} CE_i
    expected = np.mean(np.array(weights)[data["label"].numpy()] * loss)
    logs = weighted.train_step(data)
    np.testing.assert_allclose(logs["classification_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("preset", ["paper", "released_raf_resnet18"])
def test_a_tiny_set_is_overfitted(preset):
    adam = tf.keras.optimizers.Adam(1e-2)
    made, data = model(preset, uncertainty_rate=0.1, optimizer=adam), batch(size=12)
    step = tf.function(made.train_step)
    for _ in range(100):
        step(data)
    made.accuracy.reset_state()
    logs = made.test_step(data)
    assert float(logs["accuracy"]) == 1.0


def test_test_step_counts_a_confusion_matrix():
    made, data = model(), batch()
    made.test_step(data)
    _, logits = made(data["image"])
    expected = np.zeros([CLASSES, CLASSES])
    for label, prediction in zip(data["label"].numpy(), np.argmax(logits, -1), strict=True):
        expected[label, prediction] += 1
    np.testing.assert_array_equal(made.confusion.result(), expected)
    made.confusion.reset_state()
    assert not made.confusion.result().numpy().any()


def test_every_variable_is_in_the_checkpoint(tmp_path):
    first, second = model("released_affectnet_resnet18"), model("released_affectnet_resnet18")
    for seed in range(2):
        first.train_step(batch(seed))
    path = tf.train.Checkpoint(model=first).write(str(tmp_path / "state"))
    second.train_step(batch(9))
    tf.train.Checkpoint(model=second).read(path).assert_existing_objects_matched()
    assert same(state(first), state(second))
    for made in (first, second):
        made.train_step(batch(3))
    assert same(state(first), state(second))


# Wiring: a setting changes the step to what its formula says.


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_gamma_weighs_the_discriminative_loss(gamma):
    logs = {name: float(value) for name, value in model(gamma=gamma).train_step(batch()).items()}
    assert logs["discriminative_loss"] > 0.1
    # L = L_cls + gamma L_D
    expected = logs["classification_loss"] + gamma * logs["discriminative_loss"]
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("floor", [None, 0.25])
def test_the_floor_bounds_the_calibration(floor):
    made, data = model(calibration_floor=floor), batch()
    features = tf.random.stateless_normal([BATCH, 12], [1, 1])
    neighbors = made.neighbor_pass(data["neighbor_image"])
    parts = made.construct(data, features, neighbors, training=False)
    logit = made.calibrator(features, neighbors.features).numpy()
    assert logit.min() < 0.25 < logit.max()
    # zeta = sigmoid(max(g, floor))
    logit = logit if floor is None else np.maximum(logit, floor)
    np.testing.assert_allclose(parts.calibration, 1 / (1 + np.exp(-logit)), rtol=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_log_epsilon_is_in_the_classification_loss(epsilon):
    made, twin, data = model(log_epsilon=epsilon, label_distribution=False), network(), batch()
    _, logits = twin(data["image"], training=True)
    likely = tf.nn.softmax(logits).numpy()[np.arange(BATCH), data["label"]]
    logs = made.train_step(data)
    # -log(f_y + epsilon), averaged over the batch
    expected = np.mean(-np.log(likely + epsilon))
    np.testing.assert_allclose(logs["classification_loss"], expected, rtol=1e-4)


def test_no_graph_of_a_step_outlives_its_model():
    """As `all_reduce` would have it; many trainings in one process would fill the memory."""
    made, data = model(neighbors="bank"), batch()
    step = tf.function(made.train_step)
    step(data)
    graph = weakref.ref(step.get_concrete_function(data).graph)
    assert graph() is not None
    del made, step
    gc.collect()
    assert graph() is None


def test_rows_of_the_uncertainty_gradient_are_matched_by_index(monkeypatch):
    def in_reverse(self, sample_ids):
        """The same values, by gradients that are in another order and partly in twos."""
        turned = tf.reverse(tf.reshape(sample_ids, [-1]), [0])
        twice = [tf.gather(self.value, turned), tf.gather(self.value, turned)]
        return tf.reshape(tf.reverse(0.25 * twice[0] + 0.75 * twice[1], [0]), tf.shape(sample_ids))

    plain, turned, data = model(uncertainty_init=0.5), model(uncertainty_init=0.5), batch()
    plain.train_step(data)
    monkeypatch.setattr(type(turned.uncertainty), "call", in_reverse)
    turned.train_step(data)
    values = [made.uncertainty.value.numpy() for made in (plain, turned)]
    assert np.ptp(values[0]) > 0.01
    np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_that_loss_scaling_leaves_out_moves_nothing(compiled):
    sgd = tf.keras.optimizers.SGD(1e-5)
    scaled = tf.keras.mixed_precision.LossScaleOptimizer(sgd, initial_scale=2.0**120)
    made = model(
        optimizer=scaled,
        class_weights=[1e4] * CLASSES,  # gradients of 1e4 * 2^120 overflow
        neighbors="bank",
        uncertainty_init=0.5,
        uncertainty_momentum=0.9,
    )
    made.visit(batch(size=SAMPLES))
    parts = made.uncertainty, made.centers, made.bank, made.uncertainty_optimizer, made.calibrator

    def values():
        variables = [*made.network.trainable_variables, *(v for p in parts for v in p.variables)]
        return [v.numpy() for v in variables]

    before, steps = values(), 0
    step = tf.function(made.train_step) if compiled else made.train_step
    for seed in range(40):
        step(batch(seed))
        if not same(before[:2], values()[:2]):
            break
        steps += 1
        assert same(before, values())
    assert 0 < steps < 40 and not any(map(np.array_equal, before, values()))


def test_frequencies_are_those_that_training_shows():
    natural = np.array([9, 1, 1, 5]) / 16
    for sampling, expected in (
        ("natural", natural),
        ("balanced", np.full(4, 0.25)),
        ("progressive", (natural + 0.25) / 2),
    ):
        found = shown_frequencies((9, 1, 0, 5), sampling)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_class_frequencies_are_taken_off_the_uncertainty_step():
    counts, data, steps = [9, 1, 1, 4, 2, 1, 2], batch(), []
    for part in (0.0, 0.5):
        made = model(
            class_counts=counts,
            uncertainty_rate=0.1,
            adaptive_similarity=False,
            uncertainty_init=0.5,
            uncertainty_frequencies=part,
        )
        made.train_step(data)
        steps.append(made.uncertainty(data["sample_id"]).numpy() - 0.5)
    twin = model(adaptive_similarity=False)
    neighbors = twin.neighbor_pass(data["neighbor_image"])
    features, _ = twin.network(data["image"], training=True)
    aggregated = twin.construct(data, features, neighbors, training=False).aggregated.numpy()
    given = -np.log(np.array(counts) / sum(counts))
    # 0.5 * (CE(d~, p) - CE(l, p)), the batch's mean, times the rate 0.1
    expected = 0.1 * 0.5 * (aggregated @ given - given[data["label"].numpy()]) / BATCH
    np.testing.assert_allclose(steps[1] - steps[0], expected, rtol=1e-3, atol=1e-6)
