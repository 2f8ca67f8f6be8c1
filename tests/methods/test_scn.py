"""SCN's equations against loops, its relabeling against a simulation, steps written by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    LABELS,
    SAMPLES,
    UNITS,
    assert_equal_variables,
    batch,
    compiled,
    early_dropout_network,
    head_network,
    softmax,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import LOGITS, ONE_HOT

from ldl_fer import equations
from ldl_fer.methods.scn import (
    NOT_RELABELED,
    SCN,
    low_importance,
    rank_regularization,
    relabeled,
)
from ldl_fer.networks.head import read_out, trained_part


def low_by_loops(importance, high_share):
    """All but the max(1, floor(beta B)) largest; among equals the earlier are the larger."""
    order = sorted(range(len(importance)), key=lambda i: (-importance[i], i))
    high = order[: max(1, math.floor(high_share * len(importance)))]
    return np.array([i not in high for i in range(len(importance))])


def rank_by_loops(importance, high_share, margin):
    """max(0, delta_1 - (alpha_H - alpha_L)), means of both groups; 0 without a low group."""
    low = low_by_loops(importance, high_share)
    if not low.any():
        return 0.0
    sums, counts = [0.0, 0.0], [0, 0]
    for value, group in zip(importance, low, strict=True):
        sums[int(group)] += float(value)
        counts[int(group)] += 1
    return max(0.0, margin - (sums[0] / counts[0] - sums[1] / counts[1]))


@pytest.mark.parametrize("high_share", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 33])
def test_groups_and_their_distance(size, high_share):
    rng = np.random.default_rng(size)
    # Distinct, and with many ties: tenths.
    for importance in (rng.uniform(size=size), rng.integers(0, 3, size) / 10):
        importance = importance.astype(np.float32)
        low = low_importance(tf.constant(importance), high_share).numpy()
        np.testing.assert_array_equal(low, low_by_loops(importance, high_share))
        for margin in (0.0, 0.15, 0.9):
            found = rank_regularization(tf.constant(importance), high_share, margin)
            expected = rank_by_loops(importance, high_share, margin)
            assert found.shape == () and abs(float(found) - expected) < 1e-6


def test_equal_samples_are_ranked_by_their_place():
    np.testing.assert_array_equal(
        low_importance(tf.fill([5], 0.5), 0.6), [False, False, False, True, True]
    )
    # Where all are equal the means are too: the loss is the margin.
    np.testing.assert_allclose(rank_regularization(tf.fill([5], 0.5), 0.6, 0.15), 0.15, rtol=1e-6)


def test_some_sample_is_always_of_high_importance():
    np.testing.assert_array_equal(low_importance(tf.constant([0.1, 0.9, 0.3]), 0.0), [1, 0, 1])
    # floor(0.3 * 1) = 0
    np.testing.assert_array_equal(low_importance(tf.constant([0.1]), 0.3), [False])


def test_the_numbers_of_the_toy_batch():
    importance = tf.constant([0.9, 0.4, 0.6, 0.2])
    # int(0.7 * 4) = 2 are high: means 0.75 and 0.3
    np.testing.assert_allclose(rank_regularization(importance, 0.7, 0.15), 0.0)
    np.testing.assert_allclose(rank_regularization(importance, 0.7, 0.6), 0.15, rtol=1e-5)
    loss = equations.classification_loss(ONE_HOT, importance[:, tf.newaxis] * LOGITS).numpy()
    assert abs(loss.mean() - 0.927663) < 1e-6


@pytest.mark.parametrize(
    ("margin", "expected"), [(0.25, 0.0), (0.5, 0.0), (0.625, 0.125), (1.0, 0.5)]
)
def test_the_margin_is_where_the_loss_ends(margin, expected):
    # Means 0.75 and 0.25: their distance is 0.5, exactly.
    importance = tf.constant([0.25, 0.5, 1.0, 0.25])
    with tf.GradientTape() as tape:
        tape.watch(importance)
        loss = rank_regularization(importance, 0.5, margin)
    assert float(loss) == expected
    # dL/dalpha = -1/M in the high group, 1/(N - M) in the low one, 0 where the margin is kept.
    active = 1.0 if expected > 0 else 0.0
    gradient = np.array([0.5, -0.5, -0.5, 0.5]) * active
    np.testing.assert_allclose(tape.gradient(loss, importance), gradient)


@pytest.mark.parametrize("high_share", [1.0, 0.7])
def test_no_low_group_gives_neither_loss_nor_nan(high_share):
    importance = tf.constant([0.3])
    with tf.GradientTape() as tape:
        tape.watch(importance)
        loss = rank_regularization(importance, high_share, 0.15)
    assert float(loss) == 0.0
    np.testing.assert_array_equal(tape.gradient(loss, importance), [0.0])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("size", "classes"), [(1, 2), (9, 3), (40, 7)])
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_relabeled_is_equation_5(size, classes, margin, dtype):
    rng = np.random.default_rng(size)
    label = rng.integers(0, classes, size).astype(dtype)
    probabilities = softmax(2 * rng.normal(size=[size, classes])).astype(np.float32)
    expected = label.copy()
    for i in range(size):
        best = max(range(classes), key=lambda j, i=i: probabilities[i, j])
        if probabilities[i, best] - probabilities[i, label[i]] > margin:
            expected[i] = best
    found = relabeled(tf.constant(label), tf.constant(probabilities), margin)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    if size == 40:
        assert (expected != label).any() and (expected == label).any()


@pytest.mark.parametrize(
    ("margin", "expected"),
    # p_max - p_y is 0.25, exactly: it has to be more than the margin.
    [(0.25, 1), (0.2499, 0), (0.2501, 1), (0.0, 0), (1.0, 1)],
)
def test_relabeling_needs_more_than_the_margin(margin, expected):
    probabilities = tf.constant([[0.5, 0.25, 0.25]])
    found = relabeled(tf.constant([1]), probabilities, margin)
    assert found.numpy().tolist() == [expected]


def test_a_tie_with_the_given_class_changes_nothing():
    probabilities = tf.constant([[0.5, 0.5, 0.0], [0.4, 0.4, 0.2]])
    found = relabeled(tf.constant([1, 2]), probabilities, 0.0)
    # The given class is as probable; of two better ones, the first.
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: low_importance(tf.zeros([3, 1]), 0.7),
        lambda: rank_regularization(tf.zeros([3, 1]), 0.7, 0.15),
        lambda: relabeled(tf.constant([0]), tf.zeros([2, 3]), 0.2),
        lambda: relabeled(tf.constant([0]), tf.zeros([3]), 0.2),
    ],
)
def test_other_shapes_are_refused(call):
    with pytest.raises(ValueError):
        call()


def forward_by_hand(network, kernel, bias, images):
    """(alpha, alpha z): sigmoid(W_a v + b_a), and the logits times it."""
    features, logits = network(images, training=True)
    importance = 1.0 / (1.0 + tf.exp(-(tf.linalg.matvec(features, kernel[:, 0]) + bias)))
    return importance, importance[:, tf.newaxis] * logits


def loss_by_hand(importance, weighted, labels, weights, rank_weight, margin=0.07):
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, weighted)
    low = low_by_loops(importance.numpy(), 0.7)
    high_mean = tf.reduce_mean(tf.boolean_mask(importance, ~low))
    rank = tf.maximum(0.0, margin - high_mean + tf.reduce_mean(tf.boolean_mask(importance, low)))
    classification = tf.reduce_sum(tf.gather(weights, labels) * each) / len(labels)
    return rank_weight * rank + (1 - rank_weight) * classification


# Two steps an epoch, so that relabeling begins with step 2 * epoch - 1.
@pytest.mark.parametrize("relabel_epoch", [1, 2, 3, 99])
def test_steps_and_relabeling_are_those_written_by_hand(relabel_epoch):
    weights, rate, margin = np.array([3, 0.5, 1, 2, 0.25, 1, 4], np.float32), 0.05, 0.02
    plain = tiny_network()
    made = compiled(
        "scn",
        plain,
        optimizer=tf.keras.optimizers.SGD(rate),
        class_weights=weights.tolist(),
        scn_relabel_epoch=relabel_epoch,
        scn_relabel_margin=margin,
        scn_rank_weight=0.3,
    )
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(rate)
    kernel, bias = (tf.Variable(variable) for variable in made.importance.variables)
    held, changes, changes_in_high = LABELS.copy(), [], 0
    for number in range(1, 9):
        data = batch(number)
        ids = data["sample_id"].numpy()

        seen = []

        def loss(data=data, ids=ids, seen=seen):
            pair = forward_by_hand(twin, kernel, bias, data["image"])
            seen[:] = [value.numpy() for value in pair]
            return loss_by_hand(*pair, held[ids], weights, 0.3)

        made.reset_metrics()
        logs = made.train_step(data)
        expected = step_by_hand(optimizer, [*twin.trainable_variables, kernel, bias], loss)
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        importance, weighted = seen
        for i, low in zip(ids, low_by_loops(importance, 0.7), strict=True):
            p = softmax(weighted[list(ids).index(i)])
            surer = p.max() - p[held[i]] > margin
            if number > 2 * (relabel_epoch - 1) and surer:
                held[i] = p.argmax()
                changes.append(number)
                changes_in_high += not low
        new = made.new_labels.numpy()
        np.testing.assert_array_equal(np.where(new == NOT_RELABELED, LABELS, new), held)
    if relabel_epoch == 99:
        assert (new == NOT_RELABELED).all()
    else:  # in that epoch itself, and in both groups
        assert changes[0] == 2 * relabel_epoch - 1 and 0 < changes_in_high < len(changes)
    assert_equal_variables(plain.variables, twin.variables)
    assert_equal_variables(made.importance.variables, [kernel, bias])


def test_new_labels_are_trained_on_and_never_judged_by():
    made, data = compiled("scn", tiny_network(batch_norm=False)), batch()
    ids, labels = data["sample_id"].numpy(), data["label"].numpy()
    new = np.full(SAMPLES, NOT_RELABELED, np.int32)
    new[ids[0]], new[ids[3]] = (labels[0] + 1) % CLASSES, (labels[3] + 2) % CLASSES
    made.new_labels.assign(new)
    rows = made.losses(data, None)
    now = np.where(new[ids] == NOT_RELABELED, labels, new[ids])
    assert (now != labels).sum() == 2
    p = softmax(rows.logits.numpy())
    expected = [-np.log(p[i, now[i]]) for i in range(BATCH)]
    np.testing.assert_allclose(rows.classification_loss, expected, rtol=1e-5)
    logits = made(data["image"])[1].numpy()
    found = made.test_step(data)
    # -log f_y of the given labels
    expected = np.mean([-np.log(softmax(logits)[i, labels[i]]) for i in range(BATCH)])
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    made.reset_metrics()
    logs = made.train_step(data)
    np.testing.assert_allclose(logs["accuracy"], np.mean(logits.argmax(-1) == labels), rtol=1e-6)


def test_samples_outside_the_batch_keep_their_labels():
    made = compiled("scn", scn_relabel_epoch=1, scn_relabel_margin=0.0)
    before = np.full(SAMPLES, 3, np.int32)
    made.new_labels.assign(before)
    for seed in range(3):
        data = batch(seed)
        before = made.new_labels.numpy()
        made.train_step(data)
        others = np.setdiff1d(np.arange(SAMPLES), data["sample_id"])
        np.testing.assert_array_equal(made.new_labels.numpy()[others], before[others])


def gradients(rank_weight):
    # A margin of 1 is always missed.
    made = compiled("scn", scn_rank_weight=rank_weight, scn_margin=1.0)
    assert made.importance.kernel.shape == (UNITS, 1)
    with tf.GradientTape() as tape:
        rows = made.losses(batch(), None)
        loss = tf.reduce_sum(rows.loss)
    logits, first = made.network.get_layer("logits").kernel, made.network.trainable_variables[0]
    found = tape.gradient(loss, [*made.importance.variables, logits, first])
    return [0.0 if g is None else np.abs(g.numpy()).max() for g in found]


def test_either_loss_reaches_importance_and_backbone():
    kernel, bias, logits, first = gradients(rank_weight=1.0)
    # sum over groups of +-1/M alpha (1 - alpha): the bias', too, but for rounding to zero
    assert kernel > 1e-4 and first > 1e-8 and logits == 0.0
    kernel, bias, logits, first = gradients(rank_weight=0.0)
    assert kernel > 1e-4 and bias > 1e-4 and logits > 1e-4 and first > 1e-6


def test_the_networks_output_is_weighted_by_importance():
    for network in (tiny_network(dropout=0.5), head_network(8)):
        plain, completed = network, SCN.complete(network, seed=3)
        again = SCN.complete(network, seed=3)
        assert completed.name == "network" and completed.input_shape == plain.input_shape
        part = trained_part(completed)
        importance = part.get_layer("importance")
        for a, b in zip(
            importance.weights, trained_part(again).get_layer("importance").weights, strict=True
        ):
            np.testing.assert_array_equal(a, b)
        inputs = tf.constant(np.random.default_rng(0).uniform(size=[3, *plain.input_shape[1:]]))
        features, logits = plain(inputs, training=False)
        found = completed(inputs, training=False)
        np.testing.assert_array_equal(found[0], features)
        np.testing.assert_allclose(found[1], importance(features) * logits, rtol=1e-6)
        np.testing.assert_allclose(read_out(part)(features), found[1], rtol=1e-6)


def test_full_importance_is_plain_training():
    made = compiled("scn", scn_rank_weight=0.0, scn_relabel_epoch=99)
    made.importance.kernel.assign(tf.zeros_like(made.importance.kernel))
    made.importance.bias.assign([100.0])  # sigmoid is 1, and its slope 0
    plain = compiled("cross_entropy")
    for seed in range(3):
        made.train_step(batch(seed))
        plain.train_step(batch(seed))
    kept = [v for v in made.network.variables if "importance" not in v.name]
    assert_equal_variables(kept, plain.network.variables)


@pytest.mark.parametrize("kind", ["before the logits", "before the features"])
def test_labels_are_decided_without_dropout(kind):
    network = tiny_network(batch_norm=False, dropout=0.9)
    data = dict(batch())
    if kind == "before the features":
        network = early_dropout_network(8)
        data["image"] = tf.constant(np.random.default_rng(0).normal(size=[BATCH, 8]), tf.float32)
    settings = dict(scn_relabel_epoch=1, scn_relabel_margin=0.0)
    made = compiled("scn", network, optimizer=tf.keras.optimizers.SGD(0.0), **settings)
    seen = [made.losses(data, None).logits.numpy() for _ in range(2)]
    assert (seen[0] != seen[1]).any()
    for _ in range(3):
        made.new_labels.assign(tf.fill([SAMPLES], NOT_RELABELED))
        made.train_step(data)
        expected = made(data["image"])[1].numpy().argmax(axis=-1)
        new = tf.gather(made.new_labels, data["sample_id"]).numpy()
        np.testing.assert_array_equal(
            np.where(new == NOT_RELABELED, data["label"].numpy(), new), expected
        )
