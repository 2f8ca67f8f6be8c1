"""LA-Net's label part: neighborhoods by loops, its memory, where the gradient flows."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    SAMPLES,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
    tiny_network,
)
from helpers.toy_batch import FEATURES, PROBABILITIES, assert_differentiates

from ldl_fer.methods.batch_neighbors import nearest_in_batch
from ldl_fer.methods.la_net import PairScore, aggregated


def test_the_nearest_are_other_samples():
    closeness = tf.constant([[9.0, 1.0, 3.0, 2.0], [0.0, 9.0, -1.0, -2.0]] * 2)
    expected = [[0, 0, 1, 1], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]]
    np.testing.assert_array_equal(nearest_in_batch(closeness, 2), expected)
    np.testing.assert_array_equal(nearest_in_batch(closeness, 8), 1 - np.eye(4))
    np.testing.assert_array_equal(nearest_in_batch(tf.constant([[1.0]]), 8), [[0.0]])


def test_the_average_is_the_formula():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.1, 0.9, size=[4, 4]).astype(np.float32)
    chosen = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]], np.float32)
    expected = np.zeros([4, 3])
    for i in range(4):
        total = sum(scores[i, j] for j in range(4) if chosen[i, j])
        for j in range(4):
            if chosen[i, j]:
                expected[i] += scores[i, j] / total * PROBABILITIES[j]
    np.testing.assert_allclose(aggregated(scores, chosen, PROBABILITIES), expected, rtol=1e-5)


def test_the_gradients_are_those_of_the_formula():
    scores = np.random.default_rng(1).uniform(0.1, 0.9, size=[4, 4])
    chosen = tf.constant(1 - np.eye(4))

    def function(scores, probabilities):
        return aggregated(scores, chosen, probabilities)[:, 0]

    assert_differentiates(function, scores, PROBABILITIES)


def test_a_score_is_of_both_samples_in_their_order():
    tf.keras.utils.set_random_seed(0)
    layer = PairScore(5)
    features = np.random.default_rng(2).normal(size=[3, 5]).astype(np.float32)
    found = layer(features).numpy()
    assert found.shape == (3, 3) and (found > 0).all() and (found < 1).all()
    entry = features @ layer.entry.kernel.numpy()
    kernel = np.concatenate([layer.own.kernel, layer.other.kernel])
    for i, j in np.ndindex(3, 3):
        hidden = np.maximum(np.concatenate([entry[i, :2], entry[j, 2:]]) @ kernel, 0)
        hidden = np.maximum(hidden @ layer.second.kernel.numpy(), 0)
        np.testing.assert_allclose(
            found[i, j], softmax(hidden @ layer.score.kernel.numpy())[0], rtol=1e-5
        )
    assert not np.allclose(found, found.T)


def test_targets_and_loss_are_those_by_loops():
    made, bank = compiled("la_net", la_neighbors=2), {}
    for seed in range(3):
        data = batch(seed)
        rows = made.losses(data, made.look_up(data))
        v, p = rows.features.numpy(), softmax(rows.logits.numpy())
        scores, plane = made.pair_score(v).numpy(), data["auxiliary"].numpy()
        ids, label = data["sample_id"].numpy(), data["label"].numpy()
        for i in range(BATCH):
            others = [j for j in range(BATCH) if j != i]
            lengths = np.linalg.norm(v, axis=1)
            by_angle = sorted(others, key=lambda j, i=i: -(v[i] @ v[j]) / lengths[j])
            by_plane = sorted(others, key=lambda j, i=i: np.sum((plane[i] - plane[j]) ** 2))
            t = np.zeros(CLASSES)
            for nearest in (by_angle[:2], by_plane[:2]):
                t += 0.5 * np.average(p[nearest], axis=0, weights=scores[i, nearest])
            target = 0.9 * bank.get(ids[i], np.eye(CLASSES)[label[i]]) + 0.1 * t
            kl = np.sum(target * np.log(target / p[i]))
            np.testing.assert_allclose(rows.target[i], target, atol=1e-5)
            np.testing.assert_allclose(rows.neighbor_loss[i], kl, rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(rows.loss[i], kl - np.log(p[i, label[i]]), rtol=1e-4)
            bank[ids[i]] = target
        made.train_step(data)
        for sample in range(SAMPLES):
            expected = bank.get(sample, np.zeros(CLASSES))
            np.testing.assert_allclose(made.targets[sample], expected, atol=1e-5)


def test_the_gradient_reaches_neighbors_and_scores_but_not_the_bank():
    made, data = compiled("la_net"), batch()
    kept = made.look_up(data)
    kernel = made.pair_score.score.kernel
    with tf.GradientTape(persistent=True) as tape:
        rows = made.losses(data, kept)
        one = rows.neighbor_loss[0]
        whole = tf.reduce_sum(rows.neighbor_loss)
    assert np.abs(tape.gradient(one, rows.logits)[1:]).max() > 1e-6
    assert np.abs(tape.gradient(whole, kernel)).max() > 1e-6
    assert made.targets.ref() not in {v.ref() for v in made.optimized_variables}
    assert kernel.ref() in {v.ref() for v in made.optimized_variables}


def test_without_weight_it_is_plain_training():
    assert_trains_plainly(compiled("la_net", la_weight=0.0))


def test_a_sample_alone_keeps_its_label():
    made, data = compiled("la_net", tiny_network(batch_norm=False)), batch(size=1)
    rows = made.losses(data, made.look_up(data))
    np.testing.assert_allclose(rows.target, made.labels(data))


def test_features_without_any_value_have_neighbors_too():
    assert np.isfinite(PairScore(3)(0 * FEATURES)).all()
