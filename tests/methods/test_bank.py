"""The bank remembers what was written, is filled by visits, and feeds the model's step."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.small_model import BATCH, NEIGHBORS, SAMPLES, batch, model, state
from helpers.tiny_networks import batch as tiny_batch
from helpers.tiny_networks import compiled, early_dropout_network, tiny_network

from ldl_fer.methods.bank import NeighborBank


def test_rows_come_back():
    bank = NeighborBank(5, 3, 2)
    features = np.array([[1.0, 0.5, -2.0], [4.0, 0.25, 8.0]], np.float32)  # exact in float16
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    bank.write(tf.constant([3, 1]), tf.constant(features), tf.constant(probabilities))
    found = bank(tf.constant([[1, 0], [3, 3]]))
    zeros = np.zeros(3, np.float32)
    np.testing.assert_array_equal(found[0], [[features[1], zeros], [features[0], features[0]]])
    np.testing.assert_array_equal(
        found[1], [[probabilities[1], [0, 0]], [probabilities[0], probabilities[0]]]
    )


def test_a_step_writes_its_own_rows_and_no_others():
    made, data = model(neighbors="bank"), batch()
    del data["neighbor_image"]
    twin = model(neighbors="bank")
    features, logits = twin.network(data["image"], training=True)
    made.train_step(data)
    ids = data["sample_id"].numpy()
    np.testing.assert_allclose(
        made.bank.features.numpy()[ids], features.numpy().astype(np.float16), rtol=2e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        made.bank.probabilities.numpy()[ids], tf.nn.softmax(logits), rtol=1e-5, atol=1e-6
    )
    others = np.setdiff1d(np.arange(made.num_samples), ids)
    assert not made.bank.features.numpy()[others].any()
    assert not made.bank.probabilities.numpy()[others].any()


def test_a_visit_writes_what_the_network_says_in_evaluation_mode():
    made, data = model(neighbors="bank"), batch(size=SAMPLES)
    before = [v.numpy() for v in made.network.variables]
    made.visit({name: data[name] for name in ("sample_id", "image")})
    features, logits = made.network(data["image"], training=False)
    ids = data["sample_id"].numpy()
    assert len(set(ids)) == SAMPLES
    np.testing.assert_array_equal(
        made.bank.features.numpy()[ids], features.numpy().astype(np.float16)
    )
    np.testing.assert_allclose(made.bank.probabilities.numpy()[ids], tf.nn.softmax(logits), 1e-6)
    for variable, value in zip(made.network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_fresh_bank_gives_what_the_forward_pass_gives():
    forward, banked, data = model(), model(neighbors="bank"), batch()
    passed = forward.neighbor_pass(data["neighbor_image"], training=False)
    distinct, first = np.unique(data["neighbors"], return_index=True)
    rows = [tf.reshape(t, [BATCH * NEIGHBORS, -1]).numpy()[first] for t in passed[:2]]
    banked.bank.write(tf.constant(distinct), *map(tf.constant, rows))
    features, _ = forward.network(data["image"])
    found = banked.look_up(data)
    # One picture per sample in the bank: compare where the batch has that very picture.
    own = np.isin(np.arange(BATCH * NEIGHBORS), first).reshape(BATCH, NEIGHBORS)
    np.testing.assert_allclose(
        found.probabilities.numpy()[own], passed.probabilities.numpy()[own], rtol=1e-6
    )
    np.testing.assert_allclose(
        found.features.numpy()[own], passed.features.numpy()[own], rtol=1e-3, atol=1e-3
    )


def test_the_bank_is_without_dropout_between_features_and_logits():
    made, data = compiled("ldlva", tiny_network(dropout=0.5), neighbors="bank"), tiny_batch()
    twin = tiny_network()
    features, _ = twin(data["image"], training=True)
    made.train_step(data)
    ids = data["sample_id"].numpy()
    np.testing.assert_allclose(made.bank.features.numpy()[ids], features, rtol=2e-3, atol=1e-4)
    logits = made.network.get_layer("logits")(features)
    np.testing.assert_allclose(made.bank.probabilities.numpy()[ids], tf.nn.softmax(logits), 1e-4)


@pytest.mark.parametrize("method", ["ldlva", "ldl_alsg"])
def test_the_bank_is_without_dropout_before_the_features(method):
    settings = dict(neighbors="bank", alsg_graph="training_set")
    made = compiled(method, early_dropout_network(10), **settings)
    data = tiny_batch()
    data["image"] = tf.random.stateless_normal([len(data["label"]), 10], [0, 0])
    made.train_step(data)
    features, logits = made(data["image"], training=False)
    ids = data["sample_id"].numpy()
    kept = made.bank.probabilities if method == "ldlva" else made.probabilities
    np.testing.assert_allclose(kept.numpy()[ids], tf.nn.softmax(logits), rtol=1e-5)
    if method == "ldlva":
        np.testing.assert_allclose(made.bank.features.numpy()[ids], features, 2e-3, 1e-4)


def test_evaluation_does_not_write():
    made, data = model(neighbors="bank"), batch()
    made.train_step(data)
    before = [v.numpy() for v in made.bank.variables]
    made.test_step(data)
    for variable, value in zip(made.bank.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_bank_is_in_the_checkpoint(tmp_path):
    first, second = model(neighbors="bank"), model(neighbors="bank")
    first.train_step(batch())
    path = tf.train.Checkpoint(model=first).write(str(tmp_path / "state"))
    tf.train.Checkpoint(model=second).read(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(first.bank.features, second.bank.features)
    for made in (first, second):
        made.train_step(batch(1))
    for a, b in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(a, b)
