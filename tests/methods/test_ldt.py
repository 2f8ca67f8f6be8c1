"""LDT: its numbers, its gradient, its teacher: of a run, in evaluation mode, without a gradient."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    LABELS,
    SIDE,
    assert_equal_variables,
    batch,
    compiled,
    layers,
    softmax,
    tiny_network,
)
from helpers.toy_batch import LOGITS, assert_differentiates

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.methods import network_of_method
from ldl_fer.methods.ldt import taught_loss
from ldl_fer.training.build import load_teachers
from ldl_fer.training.checks import check_settings
from ldl_fer.training.run import Run

TAUGHT = np.array([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], np.float32)


def test_the_loss_is_the_papers():
    np.testing.assert_allclose(np.mean(taught_loss(TAUGHT, LOGITS)), 0.343952, atol=1e-6)
    np.testing.assert_allclose(3 * np.mean(taught_loss(TAUGHT, LOGITS)), 1.031856, atol=1e-6)


def test_the_gradient_is_that_of_the_formula():
    taught = tf.constant(TAUGHT, tf.float64)
    assert_differentiates(lambda z: taught_loss(taught, z), LOGITS)


def test_the_teacher_says_the_loss_in_evaluation_mode_and_stays():
    # A normalization and dropout would show training mode.
    teacher = tiny_network(5, dropout=0.5)
    before = teacher.get_weights()
    made = compiled("ldt", teachers=[teacher])
    for seed in range(2):
        data = batch(seed)
        taught = softmax(teacher(data["image"], training=False)[1].numpy())
        logs = made.network(data["image"], training=True)[1].numpy()
        logs = np.log(softmax(logs))
        found = made.losses(data, made.look_up(data)).loss
        np.testing.assert_allclose(found, -(taught * logs).sum(axis=1) / CLASSES, rtol=1e-4)
        made.train_step(data)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not {id(v) for v in teacher.variables} & {id(v) for v in made.variables}


def test_a_teacher_that_says_the_labels_is_plain_training_at_a_cth_of_the_rate():
    images = tf.keras.Input([SIDE, SIDE, 3])
    # Each picture's own label by a table of its first pixel's sum: what a teacher knows by heart.
    seen = {tuple(p[0, 0]): c for s in range(3) for p, c in _labeled(batch(s))}
    keys = tf.constant([sum(k * 256**i for i, k in enumerate(key)) for key in seen], tf.float32)
    said = tf.one_hot(list(seen.values()), CLASSES) * 1e4
    number = tf.reduce_sum(images[:, 0, 0] * [1.0, 256.0, 256.0**2], axis=-1)
    logits = tf.gather(said, tf.argmin(tf.abs(number[:, None] - keys), axis=1))
    teacher = tf.keras.Model(images, [layers.Flatten()(images), logits])
    made = compiled("ldt", optimizer=tf.keras.optimizers.SGD(0.1 * CLASSES), teachers=[teacher])
    plain = compiled("cross_entropy")
    for seed in range(3):
        made.train_step(batch(seed))
        plain.train_step(batch(seed))
    assert_equal_variables(made.network.variables, plain.network.variables, atol=1e-5)


def _labeled(data):
    return zip(data["image"].numpy().astype(int), LABELS[data["sample_id"].numpy()], strict=True)


def test_without_a_teacher_it_is_refused():
    words = "--method=ldt learns from a trained network: give its run folder by --ldt_teacher"
    with pytest.raises(InputError, match=words):
        check_settings(Config().replace(method="ldt"), tf.distribute.get_strategy())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder, as far as its network goes."""
    config = PRESETS["small"].replace(method="scn", image_size=32)
    run = Run(tmp_path_factory.mktemp("run"))
    run.begin(config)
    network_of_method(config).save_weights(run.weights("best"))
    return run


def test_the_teacher_is_the_runs_network_whatever_its_method(run):
    config = PRESETS["small"].replace(method="ldt", image_size=32, ldt_teacher=str(run.folder))
    network = network_of_method(config)
    [teacher] = load_teachers(config, network)
    # SCN's answer has its importance.
    assert "importance" in [layer.name for layer in teacher.layers]
    expected = network_of_method(run.config())
    expected.load_weights(run.weights("best"))
    images = tf.random.uniform([2, 32, 32, 3], 0, 255)
    for a, b in zip(teacher(images), expected(images), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(image_size=48), "has --image_size 32, and here they are 48"),
        (dict(class_names=("Calm", "Glad")), "has classes .*Neutral.*, and here they are .*Glad"),
        (dict(ldt_teacher="nowhere"), "nowhere holds no run"),
    ],
    ids=str,
)
def test_a_teacher_that_does_not_fit_is_refused(run, settings, words):
    settings = {"image_size": 32, "ldt_teacher": str(run.folder)} | settings
    config = PRESETS["small"].replace(method="ldt", **settings)
    with pytest.raises(InputError, match=words):
        load_teachers(config, network_of_method(config))
