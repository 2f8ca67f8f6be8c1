"""ReSup: its mixture beside an own one, its weights and limits, what gets no gradient."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    SAMPLES,
    assert_trains_plainly,
    batch,
    compiled,
    feature_network,
    head_network,
    softmax,
    tiny_network,
)
from helpers.toy_batch import LABELS, ONE_HOT, PROBABILITIES, assert_loss_differentiates
from scipy import stats

from ldl_fer.methods.resup import cleanness, fitted_mixture, looked_up, similarity
from ldl_fer.methods.two_networks import drawn_anew
from ldl_fer.networks.head import backbone_variables

VALUES = np.clip(
    np.concatenate(
        [np.random.default_rng(0).beta(2, 6, 60), np.random.default_rng(1).beta(9, 2, 140)]
    ),
    1e-3,
    1 - 1e-3,
).astype(np.float32)


def mixture_by_hand(values):
    parameters, shares = [(1, 2), (2, 1)], [0.5, 0.5]
    for _ in range(10):
        each = [w * stats.beta.pdf(values, *ab) for w, ab in zip(shares, parameters, strict=True)]
        parts = np.array(each) / sum(each)
        parameters = []
        for part in parts:
            mean = np.average(values, weights=part)
            variance = np.average((values - mean) ** 2, weights=part)
            a = mean * (mean * (1 - mean) / variance - 1)
            parameters.append((a, a * (1 - mean) / mean))
        shares = parts.mean(axis=1)
    return np.array(parameters), shares


def test_the_similarity_is_the_cosine():
    expected = [p[y] / np.sqrt((p**2).sum()) for p, y in zip(PROBABILITIES, LABELS, strict=True)]
    np.testing.assert_allclose(similarity(PROBABILITIES, ONE_HOT), expected, rtol=1e-5)


def test_the_mixture_is_that_of_moment_matching():
    parameters, shares = mixture_by_hand(VALUES)
    found = fitted_mixture(tf.constant(VALUES), np.ones_like(VALUES))
    np.testing.assert_allclose(found[0], parameters, rtol=1e-2)
    np.testing.assert_allclose(found[1], shares, rtol=1e-3)
    # The two parts that it was drawn of, after ten rounds.
    np.testing.assert_allclose(shares, [0.3, 0.7], atol=0.1)
    with_others = np.concatenate([VALUES, np.full(50, 0.5, np.float32)])
    counted = (np.arange(250) < 200).astype(np.float32)
    found_among = fitted_mixture(tf.constant(with_others), counted)
    np.testing.assert_allclose(found_among[0], found[0], rtol=1e-4)


def test_cleanness_is_the_upper_parts_chance_and_does_not_fall_again():
    parameters, shares = mixture_by_hand(VALUES)
    places = np.clip(np.linspace(0, 1, 100), 1e-3, 1 - 1e-3)
    each = [w * stats.beta.pdf(places, *ab) for w, ab in zip(shares, parameters, strict=True)]
    expected = each[1] / sum(each)
    top = expected.argmax()
    expected[top:] = expected[top]
    found = cleanness(VALUES, np.ones_like(VALUES)).numpy()
    np.testing.assert_allclose(found, np.clip(expected, 1e-4, 1 - 1e-4), atol=2e-3)
    assert found.min() < 0.01 and found.max() > 0.99
    looked = looked_up(found, tf.constant([0.0, 0.3, 1.0, -1.0]))
    np.testing.assert_allclose(looked, [found[0], found[30], found[99], 1.0])


def test_values_that_are_all_alike_are_finite():
    for value in (0.0, 0.5, 1.0):
        assert np.isfinite(cleanness(tf.fill([9], value), tf.ones([9]))).all()
    assert np.isfinite(cleanness(tf.fill([9], -1.0), tf.zeros([9]))).all()


def test_both_networks_train_plainly_in_the_first_epoch():
    made = compiled("resup", steps_per_epoch=10)
    twin = tiny_network()
    twin.set_weights(made.second.get_weights())
    assert_trains_plainly(made)
    plain = compiled("cross_entropy", twin)
    for seed in range(3):
        plain.train_step(batch(seed))
    for a, b in zip(made.second.variables, plain.network.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_later_each_weighs_the_others_samples():
    made = compiled("resup", steps_per_epoch=2)
    for seed in range(2):
        made.train_step(batch(seed))
    kept, clean = made.similarities.numpy(), made.clean.numpy()
    assert (clean < 1).any() and (kept >= 0).any() and (kept < 0).any()
    data = batch(7, SAMPLES)
    ids, label = data["sample_id"].numpy(), data["label"].numpy()
    rows = made.losses(data, made.look_up(data))
    places = np.clip(np.round(kept[ids] * 99), 0, 99).astype(int)
    weights = np.where(kept[ids] < 0, 1.0, np.stack([clean[n][places[:, n]] for n in (0, 1)], 1))
    p1 = softmax(rows.logits.numpy())
    p2 = softmax(made.second(data["image"], training=True)[1].numpy())
    each = np.arange(SAMPLES)
    expected = -weights[:, 1] * np.log(p1[each, label]) - weights[:, 0] * np.log(p2[each, label])
    expected += 5 * ((p1 - p2) ** 2).mean(axis=1)
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
    cosines = [(p[each, label] / np.linalg.norm(p, axis=1)) for p in (p1, p2)]
    np.testing.assert_allclose(rows.similarities, np.stack(cosines, 1), rtol=1e-4)


def test_no_gradient_reaches_the_weights():
    made, data = compiled("resup"), batch()
    for seed in range(2):
        made.train_step(batch(seed))
    with tf.GradientTape() as tape:
        tape.watch([made.clean, made.similarities])
        total = tf.reduce_sum(made.losses(data, made.look_up(data)).loss)
    assert tape.gradient(total, [made.similarities]) == [None]


def test_the_distance_has_the_gradient_of_its_formula():
    made, data = compiled("resup"), batch()
    p = softmax(made.network(data["image"], training=True)[1].numpy())
    q = softmax(made.second(data["image"], training=True)[1].numpy())
    biases = [n.get_layer("logits").bias for n in (made.network, made.second)]
    with tf.GradientTape() as tape:
        distance = tf.reduce_sum(made.losses(data, made.look_up(data)).consistency_loss)
    for found, own, apart in zip(
        tape.gradient(distance, biases), (p, q), (p - q, q - p), strict=True
    ):
        # d/dz_j of 1/C sum_k (p_k - q_k)^2 is 2/C p_j (p_j - q_j - sum_k p_k (p_k - q_k)).
        each = own * (apart - (own * apart).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(found, 2 / CLASSES * each.sum(axis=0), rtol=1e-4, atol=1e-6)


def test_the_gradient_is_that_of_the_loss():
    made = compiled("resup", feature_network(3, 3), steps_per_epoch=1)
    made.optimizer.iterations.assign(1)
    made.similarities.assign(np.random.default_rng(0).uniform(size=made.similarities.shape))
    made.clean.assign(np.random.default_rng(1).uniform(size=made.clean.shape))
    assert_loss_differentiates(made)


def test_the_second_network_starts_otherwise_but_for_a_learned_backbone():
    network = tiny_network(dropout=0.5)
    for keep in (False, True):
        made = drawn_anew(network, 1, keep)
        again = drawn_anew(network, 1, keep)
        for a, b in zip(made.weights, again.weights, strict=True):
            np.testing.assert_array_equal(a, b)
        pairs = zip(backbone_variables(network), backbone_variables(made), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs) == keep
        logits = [n.get_layer("logits").kernel.numpy() for n in (network, made)]
        assert (logits[0] != logits[1]).all()
        np.testing.assert_allclose(logits[1].std(), logits[0].std(), rtol=0.4)


def test_the_two_drop_different_features():
    network, pooled = head_network(8), tf.random.stateless_normal([4, 8], [0, 0])
    made = drawn_anew(network, 1, False)
    made.set_weights(network.get_weights())
    first, second = (n(pooled, training=True)[1].numpy() for n in (network, made))
    assert (first != second).any()
