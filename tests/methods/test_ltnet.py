"""LTNet's transition matrices: its numbers, its projection, whose label moves which matrix."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    LABELS,
    SAMPLES,
    batch,
    compiled,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import LOGITS, ONE_HOT, PROBABILITIES, assert_differentiates

from ldl_fer.config.presets import PRESETS
from ldl_fer.methods.ltnet import LTNet, annotated_log_probability, projected
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


def two_annotators():
    config = PRESETS["small"].replace(method="ltnet", batch_size=BATCH)
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
