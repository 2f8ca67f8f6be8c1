"""Island Loss: its numbers, its centers' step, what gets which gradient."""

import numpy as np
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    UNITS,
    assert_trains_plainly,
    batch,
    compiled,
    feature_network,
    softmax,
)
from helpers.toy_batch import (
    CENTERS,
    FEATURES,
    LABELS,
    assert_differentiates,
    assert_loss_differentiates,
    finite_differences,
)

from ldl_fer import equations
from ldl_fer.methods.centers import PulledCenters
from ldl_fer.methods.island_loss import angle_push, center_angles

ANGLED = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]], np.float32)


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_the_angles_are_the_formula():
    # 6 + 2 (cos 45 + cos 90 + cos 60)
    assert abs(float(center_angles(ANGLED)) - 8.414214) < 1e-5
    assert float(center_angles(np.eye(3, dtype=np.float32))) == 6.0
    np.testing.assert_allclose(center_angles(tf.ones([3, 5])), 12.0, rtol=1e-6)


def test_the_distance_is_the_formula():
    found = equations.center_loss(FEATURES, CENTERS[LABELS], tf.ones([4])).numpy()
    np.testing.assert_allclose([found.sum(), found.mean()], [3.75, 0.9375], rtol=1e-6)


def test_the_push_is_half_of_the_sums_gradient():
    centers = tf.constant(np.random.default_rng(0).normal(size=[4, 5]))
    with tf.GradientTape() as tape:
        tape.watch(centers)
        angles = center_angles(centers)
    gradient = tape.gradient(angles, centers)
    np.testing.assert_allclose(angle_push(centers), gradient / 2, atol=1e-12)
    for j in range(4):
        a, total = centers[j].numpy(), 0.0
        for k in range(4):
            b = centers[k].numpy()
            lengths = np.linalg.norm(a), np.linalg.norm(b)
            if k != j:
                total += b / (lengths[0] * lengths[1])
                total -= (b @ a) / (lengths[1] * lengths[0] ** 3) * a
        np.testing.assert_allclose(angle_push(centers)[j], total, atol=1e-12)


def test_the_gradients_are_those_of_the_formulas():
    assert_differentiates(center_angles, ANGLED)
    [differences] = finite_differences(center_angles, ANGLED)
    np.testing.assert_allclose(angle_push(ANGLED), differences / 2, atol=1e-6)
    # (The angles are a constant to the features, of which float32 must keep the digits.)
    settings = dict(island_weight=0.5, island_angle_weight=0.1)
    made = compiled("island_loss", feature_network(3, 3), **settings)
    made.centers.centers.assign(CENTERS + 0.5)
    assert_loss_differentiates(made)


def test_centers_move_by_their_rule():
    layer = PulledCenters(3, 3, 0.5, 1.0)
    layer.centers.assign(CENTERS)
    push = np.arange(9, dtype=np.float32).reshape(3, 3)
    layer.update(*layer.sums(layer(LABELS) - FEATURES, LABELS), push)
    expected = CENTERS.copy()
    for j in range(3):
        rows = FEATURES[j == LABELS]
        expected[j] -= 0.5 * ((CENTERS[j] - rows).sum(axis=0) / (1 + len(rows)) + push[j])
    np.testing.assert_allclose(layer.centers, expected, rtol=1e-6)
    sums = layer.sums(layer(LABELS) - FEATURES, LABELS)
    layer.update(*sums, push, applied=tf.constant(False))
    np.testing.assert_allclose(layer.centers, expected, rtol=1e-6)


def test_without_weight_it_is_plain_training():
    assert_trains_plainly(compiled("island_loss", island_weight=0.0))


def test_features_get_the_distance_only_and_centers_no_gradient():
    made, data = compiled("island_loss"), batch()
    with tf.GradientTape() as tape:
        tape.watch(made.centers.centers)
        rows = made.losses(data, None)
        loss = tf.reduce_sum(rows.island_loss)
    found = tape.gradient(loss, rows.features)
    expected = rows.features - made.centers(data["label"])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert made.centers.centers.ref() not in {v.ref() for v in made.optimized_variables}


def test_a_step_moves_the_centers_and_reports_the_formula():
    made, data = compiled("island_loss"), batch()
    before, label = made.centers.centers.numpy(), data["label"].numpy()
    assert before.shape == (CLASSES, UNITS) and 0.5 < before.std() < 1.5
    rows = made.losses(data, None)
    features = rows.features.numpy()
    p = softmax(rows.logits.numpy())
    angles = sum(
        cosine(before[j], before[k]) + 1 for j in range(CLASSES) for k in range(CLASSES) if j != k
    )
    distance = 0.5 * ((features - before[label]) ** 2).sum(axis=1)
    expected = -np.log(p[np.arange(len(label)), label]) + 0.01 * (distance + 10 * angles)
    np.testing.assert_allclose(rows.loss, expected, rtol=1e-4)
    made.train_step(data)
    moved = before.copy()
    for j in range(CLASSES):
        own = features[label == j]
        step = (before[j] - own).sum(axis=0) / (1 + len(own))
        step += 10 / (CLASSES - 1) * angle_push(before)[j].numpy()
        moved[j] -= 0.5 * step
    np.testing.assert_allclose(made.centers.centers, moved, atol=1e-4)
