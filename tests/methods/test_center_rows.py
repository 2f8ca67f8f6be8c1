"""What the centers see of a batch: rows in order, and the mean loss."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.methods.center_rows import CenterRows
from ldl_fer.methods.layers import ClassCenters
from ldl_fer.methods.targets import Neighbors

BATCH, NEIGHBORS, CLASSES, SIZE = 3, 2, 4, 5
LAMBDA = np.array([0.0, 0.2, 0.5, 0.7, 1.0], np.float32)  # of the 5 samples


def arrays():
    random = np.random.default_rng(0)
    batch = {
        "label": np.array([0, 3, 1], np.int32),
        "sample_id": np.array([4, 1, 2], np.int32),
        "neighbors": np.array([[1, 0], [3, 2], [0, 3]], np.int32),
        "neighbor_labels": np.array([[3, 2], [0, 1], [2, 0]], np.int32),
    }
    own = random.normal(size=[BATCH, SIZE]).astype(np.float32)
    others = random.normal(size=[BATCH, NEIGHBORS, SIZE]).astype(np.float32)
    return batch, own, others


def rows(with_neighbors):
    batch, own, others = arrays()
    neighbors = None
    if with_neighbors:
        neighbors = Neighbors(tf.constant(others), tf.zeros([3, 2, CLASSES]))
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    return CenterRows.of_batch(
        tensors, tf.constant(own), neighbors, lambda ids: tf.gather(LAMBDA, ids)
    )


def test_rows_of_the_batch_alone():
    batch, own, _ = arrays()
    made = rows(with_neighbors=False)
    np.testing.assert_array_equal(made.features, own[:, np.newaxis])
    np.testing.assert_array_equal(made.labels, [[0], [3], [1]])
    np.testing.assert_allclose(made.weights, [[0.0], [0.8], [0.5]], rtol=1e-6)  # 1 - lambda


def test_neighbors_come_behind():
    batch, own, others = arrays()
    made = rows(with_neighbors=True)
    np.testing.assert_array_equal(
        made.features, np.concatenate([own[:, np.newaxis], others], axis=1)
    )
    np.testing.assert_array_equal(made.labels, [[0, 3, 2], [3, 0, 1], [1, 2, 0]])
    np.testing.assert_allclose(
        made.weights, [[0.0, 0.8, 1.0], [0.8, 0.3, 0.5], [0.5, 1.0, 0.3]], rtol=1e-6
    )
    features, labels, weights = made.flat()
    assert features.shape == [9, SIZE] and labels.shape == weights.shape == [9]


@pytest.mark.parametrize("separation", [False, True])
@pytest.mark.parametrize("with_neighbors", [False, True])
def test_loss_is_the_mean_over_a_samples_rows(with_neighbors, separation):
    batch, own, others = arrays()
    centers = np.random.default_rng(1).normal(size=[CLASSES, SIZE]).astype(np.float32)
    layer = ClassCenters(CLASSES, SIZE, 0.5, "unordered", 1.0, divide_by_rows=False)
    layer.centers.assign(centers)
    expected = np.zeros(BATCH)
    for i in range(BATCH):
        parts = [(own[i], batch["label"][i], LAMBDA[batch["sample_id"][i]])]
        for k in range(NEIGHBORS if with_neighbors else 0):
            label, other = batch["neighbor_labels"][i, k], batch["neighbors"][i, k]
            parts.append((others[i, k], label, LAMBDA[other]))
        # 1/2 (1 - lambda) ||v - mu_y||^2, over all R rows of the sample
        total = sum((1 - u) * np.sum((v - centers[y]) ** 2) / 2 for v, y, u in parts)
        expected[i] = total / (1 + NEIGHBORS if with_neighbors else 1)
    if separation:
        pairs = [(j, k) for j in range(CLASSES) for k in range(j)]
        expected += sum(np.exp(-np.sum((centers[j] - centers[k]) ** 2) / SIZE) for j, k in pairs)
    np.testing.assert_allclose(
        rows(with_neighbors).loss(layer, separation), expected, rtol=1e-5, atol=1e-6
    )
