"""LDL-ALSG's neighbor constraint, of both graphs, against loops, gradients, steps by hand."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    SAMPLES,
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import LOGITS, PROBABILITIES, assert_differentiates, gradient_of

from ldl_fer.methods.batch_neighbors import closeness_in_space, nearest_in_batch
from ldl_fer.methods.divergences import edge_divergence
from ldl_fer.methods.ldl_alsg import neighbor_constraint

OURS = dict(alsg_graph="training_set", alsg_weight=1.0)
# Edges 0-1, 0-2, 1-3 of the toy batch, both ways.
EDGES = np.zeros([4, 4], np.float32)
for first, second, weight in ((0, 1, 0.5), (0, 2, 0.2), (1, 3, 0.3)):
    EDGES[first, second] = EDGES[second, first] = weight


def test_the_divergence_along_edges_is_the_formula():
    found = edge_divergence(LOGITS, np.sign(EDGES))
    assert abs(float(tf.reduce_sum(found)) - 2.613385) < 1e-5
    found = edge_divergence(LOGITS, EDGES).numpy()
    assert abs(found.sum() - 0.845579) < 1e-5
    p, expected = PROBABILITIES, np.zeros(4)
    for i, j in np.ndindex(4, 4):  # from a sample to its neighbor
        expected[i] += EDGES[i, j] * (p[i] * np.log(p[i] / p[j])).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_both_ends_of_an_edge_get_a_gradient():
    edges = tf.constant([[0, 1, 0], [0, 0, 0], [0, 0, 0]], tf.float64)
    assert_differentiates(lambda z: edge_divergence(z, edges), LOGITS[:3])
    gradient = np.abs(gradient_of(lambda z: edge_divergence(z, edges), LOGITS[:3])[0])
    assert gradient[0].max() > 0.01 and gradient[1].max() > 0.01 and not gradient[2].any()


def test_huge_logits_along_edges_give_no_nan():
    logits = tf.constant([[1e6, 0.0, -1e6], [0.0, 1e6, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = edge_divergence(logits, tf.constant([[0.0, 1.0], [1.0, 0.0]]))
    # All of p_0 on class 0, which log p_1 gives -1e6; all of p_1 on 1, with log p_0 = -1e6.
    np.testing.assert_allclose(found, [1e6, 1e6], rtol=1e-5)
    assert np.isfinite(tape.gradient(found, logits)).all()


def test_the_batchs_graph_is_of_the_nearest_in_the_plane():
    made, data = compiled("ldl_alsg", alsg_neighbors=2, alsg_weight=3.0), batch()
    rows = made.losses(data, made.look_up(data))
    places, p = data["auxiliary"].numpy(), softmax(rows.logits.numpy())
    for i in range(BATCH):
        others = sorted(set(range(BATCH)) - {i}, key=lambda j: ((places[i] - places[j]) ** 2).sum())
        expected = sum((p[i] * np.log(p[i] / p[j])).sum() for j in others[:2])
        np.testing.assert_allclose(rows.neighbor_constraint[i], expected, rtol=1e-3, atol=1e-6)
    expected = rows.classification_loss + 3.0 * rows.neighbor_constraint
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-6)
    chosen = nearest_in_batch(closeness_in_space(places), 5).numpy()
    np.testing.assert_array_equal(chosen, 1 - np.eye(BATCH))  # of six, all others


def by_loops(logits, neighbors, similarity):
    """sum_k s_k KL(f(x^k) || f(x^i)) / sum_k s_k; 0 without similarity."""
    f, result = softmax(logits.astype(np.float64)), np.zeros(len(logits))
    for i in range(len(logits)):
        total = 0.0
        for k in range(similarity.shape[1]):
            for j in range(logits.shape[1]):
                p = float(neighbors[i, k, j])
                if p > 0:
                    result[i] += similarity[i, k] * p * (np.log(p) - np.log(f[i, j]))
            total += similarity[i, k]
        result[i] = result[i] / total if total else 0.0
    return result


def inputs(size, count, classes, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=[size, classes]).astype(np.float32)
    neighbors = softmax(2 * rng.normal(size=[size, count, classes])).astype(np.float32)
    return logits, neighbors, rng.uniform(size=[size, count]).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "count", "classes"), [(1, 1, 2), (3, 5, 7), (7, 1, 3), (2, 9, 11), (4, 3, 1)]
)
def test_constraint_is_the_formula(size, count, classes):
    logits, neighbors, similarity = inputs(size, count, classes)
    if classes > 1:
        neighbors[0, 0] = np.eye(classes)[1]  # certain: p log p is 0 at p = 0
    found = neighbor_constraint(logits, neighbors, similarity)
    expected = by_loops(logits, neighbors, similarity)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        neighbor_constraint(logits, neighbors, 7 * similarity), found, rtol=1e-5, atol=1e-6
    )


def test_the_divergence_is_from_the_neighbor():
    # KL((1, 0) || (1/2, 1/2)) = log 2; the other way round it would be infinite.
    found = neighbor_constraint(tf.zeros([1, 2]), tf.constant([[[1.0, 0.0]]]), tf.ones([1, 1]))
    np.testing.assert_allclose(found, [np.log(2)], rtol=1e-6)


def test_neighbors_that_agree_ask_for_nothing():
    logits, _, similarity = inputs(4, 3, 7)
    neighbors = np.repeat(softmax(logits)[:, np.newaxis], 3, axis=1)
    np.testing.assert_allclose(
        neighbor_constraint(logits, neighbors, similarity), np.zeros(4), atol=1e-6
    )


def test_no_similarity_gives_neither_constraint_nor_nan():
    logits, neighbors, similarity = (tf.constant(a) for a in inputs(3, 4, 7))
    similarity *= tf.constant([[0.0], [1.0], [0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = neighbor_constraint(logits, neighbors, similarity)
    gradient = tape.gradient(found, logits).numpy()
    assert found[0] == found[2] == 0.0 and found[1] > 0
    assert not gradient[0].any() and not gradient[2].any() and gradient[1].any()


def test_huge_logits_give_no_nan():
    logits = tf.constant([[1e6, 0.0, -1e6]])
    neighbors = tf.constant([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = neighbor_constraint(logits, neighbors, tf.constant([[1.0, 1.0, 0.0]]))
    # log f = (0, -1e6, -2e6): (0 + (1e6 + 2e6) / 2 - log 2) / 2
    np.testing.assert_allclose(found, [0.75e6], rtol=1e-5)
    # sum_k s_k (f^i - f^k) / sum_k s_k
    np.testing.assert_allclose(tape.gradient(found, logits), [[0.5, -0.25, -0.25]], atol=1e-6)


def test_the_gradient_at_the_logits_is_the_mean_difference():
    logits, neighbors, similarity = inputs(5, 3, 7)
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = neighbor_constraint(logits, neighbors, similarity)
    own, expected = softmax(logits.numpy()), np.zeros([5, 7])
    for i in range(5):
        for k in range(3):
            difference = own[i] - neighbors[i, k]
            expected[i] += similarity[i, k] * difference / similarity[i].sum()
    np.testing.assert_allclose(tape.gradient(found, logits), expected, atol=1e-5)


@pytest.mark.parametrize(
    "shapes",
    [
        ([2, 7], [2, 3, 6], [2, 3]),
        ([2, 7], [2, 3, 7], [2, 4]),
        ([2, 7], [1, 3, 7], [2, 3]),
        ([2, 7], [2, 7], [2, 3]),
        ([7], [2, 3, 7], [2, 3]),
    ],
)
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError):
        neighbor_constraint(*(tf.ones(shape) for shape in shapes))


def test_no_gradient_reaches_the_neighbors():
    made, data = compiled("ldl_alsg", **OURS), batch()
    made.probabilities.assign(tf.fill([SAMPLES, CLASSES], 1 / CLASSES))
    before = made.probabilities.numpy()
    neighbors = made.look_up(data)
    with tf.GradientTape() as tape:
        tape.watch(made.probabilities)
        rows = made.losses(data, neighbors)
        loss = tf.reduce_sum(rows.neighbor_constraint)
    first = made.network.trainable_variables[0]
    to_kept, to_first = tape.gradient(loss, [made.probabilities, first])
    assert to_kept is None and np.abs(to_first).max() > 1e-4
    assert made.probabilities.ref() not in {v.ref() for v in made.optimized_variables}
    np.testing.assert_array_equal(made.probabilities, before)


@pytest.mark.parametrize("graph", ["batch", "training_set"])
def test_without_weight_it_is_plain_training(graph):
    assert_trains_plainly(compiled("ldl_alsg", alsg_graph=graph, alsg_weight=0.0))


def test_steps_are_those_written_by_hand():
    weights = np.array([3, 0.5, 1, 2, 0.25, 1, 4], np.float32)
    omega = 1.7
    settings = OURS | {"alsg_weight": omega}
    made = compiled("ldl_alsg", class_weights=weights.tolist(), **settings)
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(0.1)
    everyone = batch(99, size=SAMPLES)
    made.visit(everyone)
    said = softmax(twin(everyone["image"], training=False)[1].numpy())
    remembered, constraints = dict(zip(everyone["sample_id"].numpy(), said, strict=True)), []
    for seed in range(5):
        data = batch(seed)
        arrays = {name: value.numpy() for name, value in data.items()}
        logs_seen = []

        def loss(data=data, arrays=arrays, logs_seen=logs_seen):
            logits = twin(data["image"], training=True)[1]
            f, labels = tf.nn.log_softmax(logits), arrays["label"]
            total = parts = 0.0
            for i, label in enumerate(labels):
                total -= weights[label] * f[i, label]
                sums = divergence = 0.0
                gaps = arrays["auxiliary"][i] - arrays["neighbor_auxiliary"][i]
                similarity = np.exp(-(gaps**2).sum(axis=-1) / 0.5**2)  # Eq. 2, delta 0.5
                for k, s in zip(arrays["neighbors"][i], similarity, strict=True):
                    p = remembered[k]
                    divergence += s * tf.reduce_sum(p * (np.log(p) - f[i]))
                    sums += s
                parts += divergence / sums
            logs_seen[:] = [softmax(logits.numpy()), float(parts) / len(labels)]
            return (total + omega * parts) / len(labels)

        made.reset_metrics()
        logs = made.train_step(data)
        expected = step_by_hand(optimizer, twin.trainable_variables, loss)
        probabilities, constraint = logs_seen
        constraints.append(constraint)
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        np.testing.assert_allclose(logs["neighbor_constraint"], constraint, rtol=1e-4, atol=1e-6)
        # What the network said in this very step, before it moved.
        remembered.update(zip(arrays["sample_id"], probabilities, strict=True))
        for k, row in enumerate(made.probabilities.numpy()):
            np.testing.assert_allclose(row, remembered[k], atol=1e-5)
    assert len(remembered) == SAMPLES and min(constraints) > 0
    assert_equal_variables(made.network.variables, twin.variables)
