"""Smoothing by a prior: its numbers, where the prior is from, its limits."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
)
from helpers.toy_batch import LOGITS, ONE_HOT

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.methods.pdls import (
    FER_PLUS,
    known_prior,
    prior_of_votes,
    prior_smoothed,
    read_prior,
)

PRIOR = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.1, 0.85]], np.float32)
NAMES = ("Calm", "Glad", "Low")


def test_the_loss_is_the_formula():
    target = prior_smoothed(ONE_HOT, PRIOR, 0.8)
    # 0.8 (1, 0, 0) + 0.2 (0.8, 0.15, 0.05)
    np.testing.assert_allclose(target[0], [0.96, 0.03, 0.01], rtol=1e-5)
    found = equations.classification_loss(target, tf.constant(LOGITS)).numpy()
    assert abs(found.mean() - 0.894356) < 1e-6


def test_the_prior_of_votes_is_their_mean_by_label():
    labels = np.array([0, 0, 1, 0])
    votes = np.array([[8, 2, 0], [1, 1, 0], [0, 0, 5], [0, 0, 0]], float)
    found = prior_of_votes(labels, votes, 3)
    np.testing.assert_allclose(found, [[0.65, 0.35, 0], [0, 0, 1], [0, 0, 1]])


def test_a_prior_is_read_from_votes_and_from_a_confusion_matrix(tmp_path):
    rows = ["subDirectory_filePath,expression,votes_low,votes_calm,votes_glad"]
    rows += ["a.png,0,1,3,0", "b.png,1,0,0,2", "c.png,2,3,0,1"]
    (tmp_path / "votes.csv").write_text("\n".join(rows) + "\n")
    expected = [[0.75, 0, 0.25], [0, 1, 0], [0, 0.25, 0.75]]
    np.testing.assert_allclose(read_prior(tmp_path / "votes.csv", NAMES), expected)
    result = {"class_names": ["Low", "Glad", "Calm"]}
    result["confusion"] = [[6, 2, 0], [0, 4, 0], [2, 0, 6]]
    (tmp_path / "result.json").write_text(json.dumps(result))
    np.testing.assert_allclose(read_prior(tmp_path / "result.json", NAMES), expected)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.csv", None),
        ("a.csv", "expression,votes_calm\n0,1\n"),
        ("b.csv", "expression,votes_calm,votes_glad,votes_low\n5,1,1,1\n"),
        ("a.json", "{}"),
        ("b.json", "{"),
        ("c.json", '{"class_names": ["Calm"], "confusion": [[1]]}'),
    ],
)
def test_a_file_without_a_prior_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name} has no prior"):
        read_prior(tmp_path / name, NAMES)


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


def test_a_uniform_prior_is_label_smoothing(tmp_path):
    names = Config().data.class_names
    result = {"class_names": names, "confusion": np.ones([CLASSES, CLASSES]).tolist()}
    (tmp_path / "result.json").write_text(json.dumps(result))
    made = compiled("pdls", pdls_prior=str(tmp_path / "result.json"))
    smoothed = compiled("label_smoothing", smoothing=0.2)
    for seed in range(2):
        made.train_step(batch(seed))
        smoothed.train_step(batch(seed))
    assert_equal_variables(made.network.variables, smoothed.network.variables)


def test_the_loss_has_the_prior_of_the_label():
    made, data = compiled("pdls"), batch()
    rows, label = made.losses(data, None), data["label"].numpy()
    target = 0.8 * np.eye(CLASSES)[label] + 0.2 * known_prior(made.config.data.class_names)[label]
    expected = -(target * np.log(softmax(rows.logits.numpy()))).sum(axis=1)
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
