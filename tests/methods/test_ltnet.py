"""LTNet's transition matrices: its numbers, its projection, whose label moves which matrix."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    LABELS,
    SAMPLES,
    assert_equal_variables,
    batch,
    compiled,
    feature_network,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import (
    LOGITS,
    ONE_HOT,
    PROBABILITIES,
    assert_differentiates,
    assert_loss_differentiates,
)

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.methods.ltnet import NOT_LABELED, LTNet, annotated_log_probability, projected
from ldl_fer.training.build import build_model

FIRST = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]], np.float32)
SECOND = np.array([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]], np.float32)


def mean_loss(transition, labels):
    rows = len(labels)
    label = np.eye(3, dtype=np.float32)[labels]
    found = annotated_log_probability(LOGITS[:rows], np.stack([transition] * rows), label)
    expected = np.log((PROBABILITIES @ transition)[np.arange(rows), labels])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    return -found.numpy().mean()


def test_the_loss_is_the_formula():
    first, second = mean_loss(FIRST, [0, 1, 0, 2]), mean_loss(SECOND, [0, 1, 1])
    np.testing.assert_allclose([first, second], [0.895141, 0.806355], atol=1e-6)
    assert abs(3 * first + 0.5 * second - 3.088600) < 1e-5


def test_the_gradients_are_those_of_the_formula():
    label = tf.constant(ONE_HOT, tf.float64)

    def function(logits, transition):
        return annotated_log_probability(logits, transition, label)

    assert_differentiates(function, LOGITS, np.stack([FIRST, SECOND, SECOND, FIRST]))


def test_the_gradient_is_that_of_the_whole_loss():
    network, runs = feature_network(3, 3), ("run",)
    made = compiled("ltnet", network, ltnet_machine_runs=runs, teachers=[feature_network(3, 3)])
    rng = np.random.default_rng(0)
    made.transitions.assign(projected(tf.constant(rng.random([2, 3, 3]), tf.float32)))
    made.machine_labels.assign(rng.integers(3, size=made.machine_labels.shape))
    assert_loss_differentiates(made)


def test_the_projection_is_the_formula():
    found = projected(tf.constant([[[0.9, -0.2, 0.3]]]))
    np.testing.assert_allclose(found, [[[0.749994, 0.000008, 0.249998]]], atol=1e-6)
    np.testing.assert_allclose(projected(tf.constant([SECOND])), [SECOND], rtol=1e-6)


def test_annotators_who_never_err_are_plain_training():
    transition = np.stack([np.eye(3, dtype=np.float32)] * 4)
    found = annotated_log_probability(LOGITS, transition, ONE_HOT)
    np.testing.assert_allclose(found, np.log((PROBABILITIES * ONE_HOT).sum(axis=1)), rtol=1e-5)


def test_matrices_start_as_about_the_identity():
    made = compiled("ltnet")
    assert made.transitions.shape == (1, CLASSES, CLASSES)
    np.testing.assert_allclose(made.transitions[0], np.eye(CLASSES), atol=1e-6)
    assert made.transitions.numpy().min() > 0


def two_annotators(plain_share=0.0):
    config = PRESETS["small"].replace(
        method="ltnet", batch_size=BATCH, ltnet_plain_share=plain_share
    )
    made = LTNet(tiny_network(), config, SAMPLES, 2, annotators=[i % 2 for i in range(SAMPLES)])
    made.compile(tf.keras.optimizers.SGD(0.1))
    return made


def test_steps_are_those_written_by_hand():
    made, twin, optimizer = two_annotators(), tiny_network(), tf.keras.optimizers.SGD(0.1)
    matrices = tf.Variable(made.transitions.numpy())
    variables = [*twin.trainable_variables, matrices]
    for seed in range(4):
        data = batch(seed)

        def loss(data=data):
            p, total = tf.nn.softmax(twin(data["image"], training=True)[1]), 0.0
            for i, sample in enumerate(data["sample_id"].numpy()):
                total -= tf.math.log(tf.reduce_sum(p[i] * matrices[sample % 2][:, LABELS[sample]]))
            return total / BATCH

        made.reset_metrics()
        expected = step_by_hand(optimizer, variables, loss)
        np.testing.assert_allclose(made.train_step(data)["loss"], expected, rtol=1e-4)
        raised = np.where(matrices.numpy() > 0, matrices.numpy(), 1e-5)
        matrices.assign(raised / raised.sum(axis=2, keepdims=True))
        np.testing.assert_allclose(made.transitions, matrices, atol=1e-5)
    assert (np.abs(made.transitions.numpy() - np.eye(CLASSES)).max(axis=(1, 2)) > 1e-3).all()


def test_matrices_rest_in_the_first_epochs_which_train_plainly():
    made = two_annotators(plain_share=0.1)  # of 15 epochs, 2 steps each
    plain = compiled("cross_entropy", batch_size=BATCH)
    before = made.transitions.numpy()
    for seed in range(5):
        assert made.plain_steps == 4
        np.testing.assert_allclose(made.transitions, before, atol=1e-6)
        made.train_step(batch(seed))
        plain.train_step(batch(seed))
        if seed < 4:
            assert_equal_variables(made.network.variables, plain.network.variables)
    assert np.abs(made.transitions - before).max() > 1e-3


@pytest.mark.parametrize("who", [0, 1])
def test_a_label_moves_its_own_annotators_matrix_alone(who):
    made, data = two_annotators(), batch()
    before = made.transitions.numpy()
    rows = np.flatnonzero(data["sample_id"].numpy() % 2 == who)
    made.train_step({name: tf.gather(value, rows) for name, value in data.items()})
    moved = np.abs(made.transitions.numpy() - before).max(axis=(1, 2))
    assert moved[who] > 1e-3 and moved[1 - who] < 1e-6


def test_a_run_takes_its_annotators_from_the_training_set():
    class Records:
        class_counts = (SAMPLES, *[0] * 6)

        def __len__(self):
            return SAMPLES

        def annotations(self):
            return SimpleNamespace(annotators=np.arange(SAMPLES) % 3)

    config = PRESETS["small"].replace(method="ltnet")
    made = build_model(config, Records(), network=tiny_network())
    assert made.transitions.shape == (3, CLASSES, CLASSES)
    assert made.annotator_of.numpy().tolist() == [i % 3 for i in range(SAMPLES)]


def test_the_loss_is_that_of_what_annotators_would_say():
    made, data = two_annotators(), batch()
    rows, label = made.losses(data, None), data["label"].numpy()
    p = softmax(rows.logits.numpy())
    # about the identity
    np.testing.assert_allclose(rows.loss, -np.log(p[np.arange(BATCH), label]), rtol=1e-3)


def labeled_by_machines(teachers):
    runs = tuple(f"run {number}" for number, _ in enumerate(teachers))
    settings = dict(ltnet_machine_runs=runs, ltnet_machine_weight=0.25, ltnet_plain_share=0.0)
    return compiled("ltnet", teachers=teachers, **settings)


def test_machines_label_every_face_in_evaluation_mode_and_stay():
    teachers = [tiny_network(5, dropout=0.5), tiny_network(6)]
    before = [teacher.get_weights() for teacher in teachers]
    made = labeled_by_machines(teachers)
    assert LTNet.visits_first(made.config) and not LTNet.visits_first(Config())
    assert made.transitions.shape == (3, CLASSES, CLASSES)
    assert (made.machine_labels.numpy() == NOT_LABELED).all()
    data = batch(3, 7)
    made.visit(data)
    labels, ids = made.machine_labels.numpy(), data["sample_id"].numpy()
    for number, teacher in enumerate(teachers):
        said = teacher(data["image"], training=False)[1].numpy().argmax(axis=1)
        np.testing.assert_array_equal(labels[ids, number], said)
    assert (np.delete(labels, ids, axis=0) == NOT_LABELED).all()
    made.train_step(data)
    np.testing.assert_array_equal(made.machine_labels, labels)
    for weights, teacher in zip(before, teachers, strict=True):
        for old, new in zip(weights, teacher.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_machines_labels_count_by_their_weight_and_only_where_there_are_any():
    made = labeled_by_machines([tiny_network(5), tiny_network(6)])
    made.visit(batch(3, 7))
    rng = np.random.default_rng(0)
    made.transitions.assign(projected(tf.constant(rng.random([3, CLASSES, CLASSES]), tf.float32)))
    matrices, labels = made.transitions.numpy(), made.machine_labels.numpy()
    data = batch(4, SAMPLES)
    rows = made.losses(data, None)
    p = softmax(rows.logits.numpy())
    for i, sample in enumerate(data["sample_id"].numpy()):
        human = -np.log(p[i] @ matrices[0][:, LABELS[sample]])
        machines = [
            -np.log(p[i] @ matrices[1 + m][:, y])
            for m, y in enumerate(labels[sample])
            if y != NOT_LABELED
        ]
        np.testing.assert_allclose(rows.classification_loss[i], human, rtol=1e-4)
        np.testing.assert_allclose(rows.loss[i], human + 0.25 * sum(machines), rtol=1e-4)
    assert 0 < (labels != NOT_LABELED).sum() < labels.size


def test_machines_without_weight_are_none():
    weightless = compiled("ltnet", ltnet_machine_runs=("run",), ltnet_machine_weight=0.0)
    made = compiled("ltnet")
    for seed in range(3):
        weightless.visit(batch(seed))
        weightless.train_step(batch(seed))
        made.train_step(batch(seed))
    assert_equal_variables(made.network.variables, weightless.network.variables)
    np.testing.assert_allclose(made.transitions[0], weightless.transitions[0], atol=1e-6)


def test_a_machine_without_a_name_is_refused_and_home_folders_are_found():
    with pytest.raises(InputError, match="ltnet_machine_runs has an empty name"):
        Config().replace(ltnet_machine_runs=("a", ""))
    config = Config().replace(ltnet_machine_runs=("~/a", "b"))
    assert config.ltnet.ltnet_machine_runs == (os.path.expanduser("~/a"), "b")
