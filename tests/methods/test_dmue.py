"""DMUE: its numbers, gradients, limits, what gets no gradient, what it asks of a batch."""

import numpy as np
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
    without_chance,
)
from helpers.toy_batch import (
    FEATURES,
    LABELS,
    LOGITS,
    ONE_HOT,
    assert_differentiates,
    gradient_of,
)

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS, replaced
from ldl_fer.errors import InputError
from ldl_fer.methods.dmue import (
    class_similarities,
    gram_distance,
    mined_distribution,
    ramps,
    soft_loss,
)
from ldl_fer.training.checks import check_settings

BRANCH = np.array([[0.3, -0.2], [1.0, 0.2], [0.1, 0.4], [-0.5, 0.0]], np.float32)


def test_the_ramps_are_the_papers():
    for epoch, expected in (
        (0, (0.006738, 1)),
        (4, (0.213694, 1)),
        (9, (1, 1)),
        (10, (1, 0.990050)),
        (18, (1, 0.778801)),
    ):
        np.testing.assert_allclose(ramps(tf.constant(epoch), 9.0), expected, atol=1e-6)


def test_the_mined_distribution_is_sharpened_and_leaves_out_the_label():
    found = mined_distribution(BRANCH, LABELS).numpy()
    # Sample 1, of class 1: softmax([1, .2]) ^ (1 / 1.2) = [.660756, .339244] of classes 0 and 2.
    np.testing.assert_allclose(found[1], [0.660756, 0, 0.339244], atol=1e-6)
    np.testing.assert_array_equal(found[np.arange(4), LABELS], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_the_soft_loss_is_the_papers():
    mined = mined_distribution(BRANCH, LABELS)
    np.testing.assert_allclose(soft_loss(LOGITS, mined, ONE_HOT)[1], 0.078395, atol=1e-6)


def test_similarities_of_a_sample_with_classes_are_the_papers():
    found = class_similarities(FEATURES, ONE_HOT).numpy()
    np.testing.assert_allclose(found[0], [1, 0.903508, 0], atol=1e-6)


def test_the_distance_of_pairs_is_the_papers():
    found = gram_distance(FEATURES, LOGITS, np.ones(4, np.float32))
    np.testing.assert_allclose(found, 0.147373, atol=1e-6)
    chosen = np.array([1, 0, 1, 1], np.float32)
    part = gram_distance(FEATURES[[0, 2, 3]], LOGITS[[0, 2, 3]], np.ones(3, np.float32))
    np.testing.assert_allclose(gram_distance(FEATURES, LOGITS, chosen), part, rtol=1e-5)
    assert gram_distance(FEATURES, LOGITS, np.zeros(4, np.float32)) == 0


def test_the_gradients_are_those_of_the_formulas():
    chosen = tf.constant([1.0, 1.0, 0.0, 1.0], tf.float64)
    assert_differentiates(lambda v, z: gram_distance(v, z, chosen), FEATURES, LOGITS)
    label = tf.constant(ONE_HOT, tf.float64)
    mined = tf.cast(mined_distribution(BRANCH, LABELS), tf.float64)
    assert_differentiates(lambda z: soft_loss(z, mined, label), LOGITS)
    # Cosine and scale to [0, 1] alone: minimum and maximum have kinks where two are equal.
    assert_differentiates(lambda v: class_similarities(v, label)[:, 1:2], FEATURES + 0.1)


def test_the_branches_loss_has_the_gradient_of_its_formula():
    made, data = compiled("dmue", feature_network(3, 3)), dict(image=FEATURES, label=LABELS)

    @tf.function
    def auxiliary(logits):
        made.branches = lambda *_, **__: (tf.cast(logits, tf.float32), tf.zeros([4, 3, 2]))
        return made.losses(data, None).auxiliary_loss

    logits = np.random.default_rng(0).normal(size=[4, 3, 2])
    assert_differentiates(auxiliary, logits, step=1e-2, atol=1e-4)
    [gradient] = gradient_of(auxiliary, logits)
    assert (gradient[np.arange(4), LABELS] == 0).all()  # No branch learns of its own class.


def step_losses(made, data):
    return made.losses(data, made.look_up(data))


def test_the_losses_are_those_of_loops():
    made = without_chance(compiled("dmue", steps_per_epoch=4, dmue_turn=2.0))
    for seed in range(6):
        made.train_step(batch(seed))
    data, epoch = batch(7), 1
    label = data["label"].numpy()
    rows = step_losses(made, data)
    v, z = rows.features.numpy(), rows.logits.numpy()
    branches = made.branches(v, training=True)[1].numpy()
    auxiliary, distances = [], []
    for c in range(CLASSES):
        others = [i for i in range(len(label)) if label[i] != c]
        logs = np.log(softmax(branches[others, c]))
        places = [label[i] - (label[i] > c) for i in others]
        auxiliary.append(-np.mean(logs[np.arange(len(others)), places]))
        grams = [x @ x.T for x in (branches[others, c], v[others])]
        grams = [g / np.linalg.norm(g, axis=1, keepdims=True) for g in grams]
        distances.append(np.mean((grams[0] - grams[1]) ** 2))
    np.testing.assert_allclose(np.mean(rows.auxiliary_loss), np.mean(auxiliary), rtol=1e-4)
    np.testing.assert_allclose(rows.similarity_loss, np.mean(distances), rtol=1e-3)
    mined = np.zeros([len(label), CLASSES])
    for i, y in enumerate(label):
        sharp = softmax(branches[i, y]) ** (1 / 1.2)
        mined[i, np.arange(CLASSES) != y] = sharp / sharp.sum()
    p = softmax(z) * (np.arange(CLASSES) != label[:, None])
    np.testing.assert_allclose(rows.soft_loss, ((p - mined) ** 2).mean(axis=1), rtol=1e-4)
    units = v / np.linalg.norm(v, axis=1, keepdims=True)
    a = np.zeros([len(label), CLASSES])
    for c in set(label):
        a[:, c] = (units @ units.T)[:, label == c].mean(axis=1)
    a = (a - a.min(axis=1, keepdims=True)) / np.ptp(a, axis=1)[:, None]
    r = made.confidence(np.concatenate([a, np.eye(CLASSES)[label]], axis=1)).numpy()
    given = np.log(softmax(r * z))[np.arange(len(label)), label]
    np.testing.assert_allclose(rows.classification_loss, -given, rtol=1e-3)
    up, down = np.exp(-5 * (1 - epoch / 2) ** 2), 1
    whole = up * (-given + 0.5 * rows.soft_loss + 1000 * rows.similarity_loss)
    np.testing.assert_allclose(rows.loss, whole + down * rows.auxiliary_loss, rtol=1e-3)


def test_no_gradient_reaches_the_branches_through_what_they_mine():
    made = without_chance(
        compiled("dmue", dmue_similarity_weight=0.0, steps_per_epoch=1, dmue_turn=1.0)
    )
    data = batch()
    with tf.GradientTape() as tape:
        soft = tf.reduce_sum(step_losses(made, data).soft_loss)
    variables = made.branches.trainable_variables
    assert tape.gradient(soft, variables) == [None] * len(variables)
    gradient = gradient_of(lambda x: tf.stop_gradient(mined_distribution(x, LABELS)), BRANCH)
    assert gradient == [None]


def test_without_weights_and_confidence_it_is_plain_training():
    settings = dict(dmue_soft_weight=0.0, dmue_similarity_weight=0.0, dmue_turn=1.0)
    made = compiled("dmue", steps_per_epoch=1, dmue_train_confidence=False, **settings)
    # r = 1, and from epoch 1 on up is 1; the branches' own loss must not reach the network.
    bias = made.confidence.layers[-1].bias
    made.confidence.layers[-1].kernel.assign(tf.zeros_like(made.confidence.layers[-1].kernel))
    bias.assign(tf.fill(bias.shape, 50.0))
    made.branches.last.assign(tf.zeros_like(made.branches.last))
    made.optimizer.iterations.assign(1)
    before = [v.numpy() for v in made.confidence.variables]
    freeze = made.branches.hidden
    freeze.kernel.assign(tf.zeros_like(freeze.kernel))
    assert_trains_plainly(made, atol=1e-5)
    assert_equal_variables(made.confidence.variables, [tf.Variable(v) for v in before], atol=0)


def test_the_confidence_learns_unless_it_is_left_as_released():
    for learns in (True, False):
        made = compiled("dmue", dmue_train_confidence=learns, dmue_turn=1.0, steps_per_epoch=1)
        before = [v.numpy() for v in made.confidence.trainable_variables]
        for seed in range(2):
            made.train_step(batch(seed))
        after = [v.numpy() for v in made.confidence.trainable_variables]
        assert any((a != b).any() for a, b in zip(before, after, strict=True)) == learns


def test_it_comes_with_balanced_batches_and_refuses_others():
    config = replaced(PRESETS["small"], {"method": "dmue"})
    assert config.data.sampling == "balanced"
    strategy = tf.distribute.get_strategy()
    check_settings(config.replace(batch_size=14), strategy)
    for settings in (dict(sampling="natural"), dict(batch_size=13)):
        with pytest.raises(InputError, match="--sampling=balanced and a --batch_size of 14"):
            check_settings(config.replace(**settings), strategy)
    assert Config().replace(method="dmue").data.sampling == "natural"
