"""Smoothing by a prior: its numbers, where the prior is from, its limits."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    feature_network,
    softmax,
    tiny_network,
)
from helpers.toy_batch import LOGITS, ONE_HOT, assert_differentiates

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.methods.pdls import FER_PLUS, PDLS, known_prior, prior_of, prior_smoothed
from ldl_fer.training.build import build_model, facts_of_labels

PRIOR = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.1, 0.85]], np.float32)
NAMES = ("Calm", "Glad", "Low")


def test_the_loss_is_the_formula():
    target = prior_smoothed(ONE_HOT, PRIOR, 0.8)
    # 0.8 (1, 0, 0) + 0.2 (0.8, 0.15, 0.05)
    np.testing.assert_allclose(target[0], [0.96, 0.03, 0.01], rtol=1e-5)
    found = equations.classification_loss(target, tf.constant(LOGITS)).numpy()
    assert abs(found.mean() - 0.894356) < 1e-6


def test_the_gradients_are_those_of_the_formula():
    label = tf.constant(ONE_HOT, tf.float64)

    def loss(logits, prior):
        return equations.classification_loss(prior_smoothed(label, prior, 0.8), logits)

    assert_differentiates(loss, LOGITS, PRIOR)


def test_the_prior_is_how_classes_are_labeled():
    counts = np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    expected = [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(prior_of(counts), expected)
    config = Config().replace(method="pdls", class_names=NAMES)
    made = PDLS(feature_network(3, 3), config, 4, 1, label_confusion=counts)
    np.testing.assert_allclose(made.prior, expected)


def test_the_prior_of_fer_plus_is_by_name():
    np.testing.assert_allclose(np.sum(FER_PLUS, axis=1), np.ones(7), atol=2e-4)
    assert (np.argmax(FER_PLUS, axis=1) == np.arange(7)).all()
    whole = known_prior(Config().data.class_names)
    part = known_prior(("Anger", "neutral"))
    expected = whole[np.ix_([6, 0], [6, 0])]
    np.testing.assert_allclose(part, expected / expected.sum(axis=1, keepdims=True))
    with pytest.raises(InputError, match="Calm.*--pdls_prior"):
        known_prior(("Calm", "Anger"))


def test_the_label_alone_is_plain_training():
    assert_trains_plainly(compiled("pdls", pdls_label_share=1.0))


def test_a_uniform_prior_is_label_smoothing():
    config, network = Config().replace(method="pdls"), tiny_network()
    made = PDLS(network, config, 12, 2, label_confusion=np.ones([CLASSES, CLASSES]))
    made.compile(tf.keras.optimizers.SGD(0.1))
    smoothed = compiled("label_smoothing", smoothing=0.2)
    for seed in range(2):
        made.train_step(batch(seed))
        smoothed.train_step(batch(seed))
    assert_equal_variables(made.network.variables, smoothed.network.variables)


def test_the_prior_comes_from_the_training_sets_votes_or_from_a_file(tmp_path):
    labels = np.arange(14) % CLASSES
    votes = 8 * np.eye(CLASSES)[labels] + 2 * np.eye(CLASSES)[(labels + 1) % CLASSES]
    names = [f"votes_{name.lower()}" for name in Config().data.class_names]
    table = pd.DataFrame({"subDirectory_filePath": [f"{i}.png" for i in range(14)]})
    # One label is wrong: votes have more to say.
    table = table.assign(expression=np.where(labels == 3, 0, labels))
    table[names] = votes
    faces = Annotations(table)
    eye, other = np.eye(CLASSES), np.roll(np.eye(CLASSES), 1, axis=1)
    made = build_model(Config().replace(method="pdls"), Faces(faces), network=tiny_network())
    np.testing.assert_allclose(made.prior, 0.8 * eye + 0.2 * other, atol=1e-6)
    result = {"class_names": Config().data.class_names, "confusion": (3 * eye + other).tolist()}
    (tmp_path / "result.json").write_text(json.dumps(result))
    config = Config().replace(method="pdls", pdls_prior=str(tmp_path / "result.json"))
    made = build_model(config, Faces(faces), network=tiny_network())
    np.testing.assert_allclose(made.prior, 0.75 * eye + 0.25 * other, atol=1e-6)
    without = Faces(Annotations(table.drop(columns=names)))
    made = build_model(Config().replace(method="pdls"), without, network=tiny_network())
    np.testing.assert_allclose(made.prior, known_prior(config.data.class_names), atol=1e-6)
    config = Config().replace(method="cross_entropy", pdls_prior="absent.json")
    assert facts_of_labels(config, without) == {"class_counts": without.class_counts}


class Faces:
    """A training set, as far as a model looks into it."""

    def __init__(self, annotations):
        self.kept, self.class_counts = annotations, (2,) * CLASSES

    def __len__(self):
        return len(self.kept)

    def annotations(self):
        return self.kept


def test_the_loss_has_the_prior_of_the_label():
    made, data = compiled("pdls"), batch()
    rows, label = made.losses(data, None), data["label"].numpy()
    target = 0.8 * np.eye(CLASSES)[label] + 0.2 * known_prior(made.config.data.class_names)[label]
    expected = -(target * np.log(softmax(rows.logits.numpy()))).sum(axis=1)
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
