"""SOFT: its numbers, its teacher, what is trained, what is kept."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import LOGITS, assert_differentiates

from ldl_fer.config import Config
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.mean_teacher import teacher_decay
from ldl_fer.methods.soft import consistency_weight, smoothed_teacher
from ldl_fer.training.build import compile_model

TAUGHT = np.array(
    [[0.6, 0.3, 0.1], [0.4, 0.4, 0.2], [0.2, 0.5, 0.3], [0.34, 0.33, 0.33]], np.float32
)
SMOOTHED = [[0.7, 0.15, 0.15], [0.35, 0.35, 0.3], [0.15, 0.7, 0.15], [0.7, 0.15, 0.15]]


def test_the_smoothed_teacher_is_the_formula():
    np.testing.assert_allclose(smoothed_teacher(TAUGHT, 0.3), SMOOTHED, rtol=1e-5)
    assert abs(divergence(tf.constant(SMOOTHED), LOGITS).numpy().mean() - 0.167483) < 1e-6


def test_a_teacher_without_doubt_or_knowledge_gives_a_distribution():
    taught = tf.constant([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    found = smoothed_teacher(taught, 0.3)
    np.testing.assert_allclose(found, [[0.7, 0.15, 0.15], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-5)
    np.testing.assert_allclose(smoothed_teacher(taught, 0.0)[0], [1, 0, 0])


def test_the_gradient_is_that_of_the_formula():
    target = tf.constant(SMOOTHED, tf.float64)
    assert_differentiates(lambda z: divergence(target, z), LOGITS)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, np.exp(-5)), (576, np.exp(-0.8)), (960, 1), (2000, 1)]
)
def test_the_weight_rises_for_five_epochs_of_raf_db(step, expected):
    steps, step = Config().soft.soft_ramp_steps, tf.constant(step, tf.int64)
    assert steps == 5 * -(-12271 // 64)
    np.testing.assert_allclose(consistency_weight(step, steps, 10.0), 10 * expected, 1e-5)


@pytest.mark.parametrize(("step", "expected"), [(0, 0), (1, 0.5), (9, 0.9), (5000, 0.999)])
def test_the_teacher_slows_down(step, expected):
    np.testing.assert_allclose(teacher_decay(tf.constant(step, tf.int64)), expected, atol=1e-6)


def test_steps_are_those_written_by_hand():
    made, optimizer = compiled("soft", soft_ramp_steps=3), tf.keras.optimizers.SGD(0.1)
    student, teacher = tiny_network(), tiny_network()
    assert_equal_variables(made.student.variables, student.variables, atol=0)
    for number in range(4):
        data = batch(number)
        label = data["label"].numpy()
        mirrored = data["image"][:, :, ::-1]
        taught = softmax(teacher(mirrored, training=False)[1].numpy())
        sure = taught > 1 / 7
        q = np.where(
            sure,
            0.7 * taught / (sure * taught).sum(axis=1, keepdims=True),
            0.3 / np.maximum(7 - sure.sum(axis=1, keepdims=True), 1),
        )
        weight = 10 * np.exp(-5 * (1 - min(number, 3) / 3) ** 2)

        def loss(data=data, label=label, q=q, weight=weight):
            logs = tf.nn.log_softmax(student(data["image"], training=True)[1])
            kl = tf.reduce_sum(q * (np.log(q) - logs), axis=1)
            return tf.reduce_mean(-tf.gather(logs, label, batch_dims=1) + weight * kl)

        made.reset_metrics()
        expected = step_by_hand(optimizer, student.trainable_variables, loss)
        np.testing.assert_allclose(made.train_step(data)["loss"], expected, rtol=1e-4)
        decay = 1 - 1 / (number + 1)
        for mean, own in zip(teacher.variables, student.variables, strict=True):
            mean.assign(decay * mean + (1 - decay) * own)
        assert_equal_variables(made.student.variables, student.variables, atol=1e-5)
        assert_equal_variables(made.network.variables, teacher.variables, atol=1e-5)


def test_without_weight_the_student_is_plain_training():
    assert_trains_plainly(compiled("soft", soft_weight=0.0))


def test_the_optimizer_moves_the_student_and_evaluation_is_of_the_teacher():
    made, data = compiled("soft"), batch()
    optimized = {v.ref() for v in made.optimized_variables}
    assert optimized == {v.ref() for v in made.student.trainable_variables}
    with tf.GradientTape() as tape:
        rows = made.losses(data, None)
        loss = tf.reduce_sum(rows.loss)
    assert set(tape.gradient(loss, made.network.trainable_variables)) == {None}
    for seed in range(3):
        made.train_step(batch(seed))
    images = data["image"]
    teacher, student = (one(images, training=False)[1] for one in (made.network, made.student))
    np.testing.assert_array_equal(made(images)[1], teacher)
    assert np.abs(teacher - student).max() > 1e-4


def test_a_step_that_is_left_out_leaves_the_teacher():
    made, data = compiled("soft"), batch()
    made.train_step(data)
    for variable in made.student.trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    before = [variable.numpy() for variable in made.network.variables]
    made.after_step(data, made.losses(data, None), [], tf.constant(False))
    assert_equal_variables(made.network.variables, [tf.Variable(v) for v in before], atol=0)


def test_a_slow_backbone_is_the_students():
    made = compiled("soft", backbone_rate_factor=0.1)
    compile_model(made, made.config)
    slow = {v.ref() for v in made.optimizer.get_config()["slow"]}
    backbone = made.student.get_layer("backbone").trainable_variables
    assert slow == {v.ref() for v in backbone}
