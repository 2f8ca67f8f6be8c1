"""RUL's mixture against loops, a step written by hand, and which way the uncertainty learns."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    UNITS,
    assert_equal_variables,
    batch,
    compiled,
    feature_network,
    softmax,
    step_by_hand,
    tiny_network,
    without_chance,
)
from helpers.toy_batch import FEATURES, assert_differentiates, assert_loss_differentiates

from ldl_fer.methods.rul import mixed_features

WEIGHTS = np.array([3, 0.5, 1, 2, 0.25, 1, 4], np.float32)


@pytest.mark.parametrize(("size", "units"), [(1, 1), (2, 5), (7, 3), (5, 64)])
def test_mixture_is_the_formula_and_the_same_for_both(size, units):
    rng = np.random.default_rng(size)
    mine, other = rng.normal(size=[2, size, units]).astype(np.float32)
    sigma, partner = rng.uniform(0.01, 3, [2, size]).astype(np.float32)
    expected = np.zeros([size, units])
    for i in range(size):
        for k in range(units):
            total = sigma[i] + partner[i]
            expected[i, k] = sigma[i] / total * mine[i, k] + partner[i] / total * other[i, k]
    found = mixed_features(mine, other, sigma, partner)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mixed_features(other, mine, partner, sigma), found, atol=1e-6)


def test_the_toy_batch_is_mixed_as_the_formula_says():
    sigma, partners = np.array([1, 3, 0.5, 2], np.float32), [1, 2, 3, 0]
    found = mixed_features(FEATURES, FEATURES[partners], sigma, sigma[partners])
    expected = [
        [0.25, 0.75, 1.25],
        [0.285714, 1, 0.857143],
        [-0.4, 1, 0.4],
        [-0.333333, 0.666667, 1],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_gradients_are_those_of_the_formulas():
    sigma = np.array([1, 3, 0.5, 2])
    assert_differentiates(
        lambda *values: mixed_features(*values) ** 2, FEATURES, FEATURES[::-1], sigma, sigma[::-1]
    )
    made = without_chance(compiled("rul", feature_network(3, 3)))
    assert_loss_differentiates(made)


def test_the_larger_uncertainty_is_the_larger_weight():
    mine, other = tf.constant([[1.0], [1.0], [1.0]]), tf.constant([[0.0], [0.0], [0.0]])
    # 3 / (3 + 1); 1e-30 / 1; 1e30 / 1e30
    found = mixed_features(
        mine, other, tf.constant([3.0, 1e-30, 1e30]), tf.constant([1.0, 1.0, 1.0])
    )
    np.testing.assert_allclose(found[:, 0], [0.75, 0.0, 1.0], atol=1e-7)


@pytest.mark.parametrize(
    "shapes",
    [
        ([2, 3], [2, 4], [2], [2]),
        ([2, 3], [3, 3], [2], [2]),
        ([2, 3], [2, 3], [2, 1], [2]),
        ([2, 3], [2, 3], [2], [1]),
        ([3], [3], [3], [3]),
    ],
)
def test_other_shapes_are_refused(shapes):
    with pytest.raises(ValueError):
        mixed_features(*(tf.ones(shape) for shape in shapes))


def test_a_harder_face_asks_for_a_larger_uncertainty():
    # Two classes, logits = features. The easy face shouts its class, the hard one whispers: at
    # equal weights z = (2.5, 0.5), where the easy label is read and the hard one is not.
    easy, hard = tf.constant([[5.0, 0.0]]), tf.constant([[0.0, 1.0]])
    sigma_easy, sigma_hard = tf.constant([1.0]), tf.constant([1.0])
    with tf.GradientTape() as tape:
        tape.watch([sigma_easy, sigma_hard])
        z = mixed_features(easy, hard, sigma_easy, sigma_hard)
        p = tf.nn.softmax(z)[0]
        loss = -0.5 * tf.math.log(p[0]) - 0.5 * tf.math.log(p[1])
    for_easy, for_hard = tape.gradient(loss, [sigma_easy, sigma_hard])
    # dL/dz = f - (1/2, 1/2) = g (1, -1); dz/dsigma_hard = (hard - easy) / 4 = (-5, 1) / 4
    g = 1 / (1 + np.exp(-2.0)) - 0.5
    np.testing.assert_allclose(for_hard, [-6 * g / 4], rtol=1e-5)
    np.testing.assert_allclose(for_easy, [6 * g / 4], rtol=1e-5)


def test_the_branch_learns_to_tell_hard_faces():
    # Easy faces shout their class, hard ones whisper; only the branch is trained.
    classes, rng = 7, np.random.default_rng(0)
    made = compiled("rul", feature_network(classes, classes), samples=64)
    optimizer = tf.keras.optimizers.Adam(0.01)

    def data(count=64):
        labels = rng.integers(0, classes, count)
        loud = np.where(np.arange(count) % 4 < 2, 6.0, 1.0)
        return loud, {
            "sample_id": tf.range(count),
            "label": tf.constant(labels, tf.int32),
            "image": tf.constant(np.eye(classes)[labels] * loud[:, np.newaxis], tf.float32),
        }

    @tf.function(reduce_retracing=True)
    def learn(features):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(made.losses(features, None).loss)
        variables = made.uncertainty.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    loud, last = data()

    def all_hard_ones_are_above_all_easy_ones():
        sigma = np.exp(made.uncertainty(last["image"], training=False)).mean(axis=-1)
        return sigma[loud == 1.0].min() > sigma[loud == 6.0].max()

    assert not all_hard_ones_are_above_all_easy_ones()
    for _ in range(300):
        learn(data()[1])
    assert all_hard_ones_are_above_all_easy_ones()


def test_the_branch_is_normalization_dropout_units_normalization():
    made = compiled("rul")
    first, dropout, dense, second = made.uncertainty.layers
    assert not first.trainable_variables and len(second.trainable_variables) == 2
    assert dropout.rate == 0.4 and dense.kernel.shape == (UNITS, 64)
    # 4 variables learn beside the network's.
    ours = {id(v) for v in made.optimized_variables}
    assert {id(v) for v in (dense.kernel, dense.bias, second.gamma, second.beta)} < ours
    assert len(ours) == len(made.network.trainable_variables) + 4
    # Dropout is at work in training.
    data = batch()
    losses = [made.losses(data, None).loss.numpy() for _ in range(2)]
    assert (losses[0] != losses[1]).any()


def normalized(x, epsilon=2e-5):
    mean, variance = tf.nn.moments(x, axes=[0])
    return (x - mean) / tf.sqrt(variance + epsilon)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_steps_are_those_written_by_hand(weights):
    given = None if weights is None else weights.tolist()
    made = without_chance(compiled("rul", class_weights=given))
    factors = np.ones(7, np.float32) if weights is None else weights
    twin, optimizer = tiny_network(), tf.keras.optimizers.SGD(0.1)
    kernel, bias, gamma, beta = (tf.Variable(v) for v in made.uncertainty.trainable_variables)
    for seed in range(3):
        data = batch(seed)
        labels = data["label"].numpy()

        def loss(data=data, labels=labels):
            features, _ = twin(data["image"], training=True)
            h = normalized(normalized(features) @ kernel + bias) * gamma + beta
            sigma, total = tf.reduce_mean(tf.exp(h), axis=1), 0.0
            last = twin.get_layer("logits")
            for i in range(BATCH):
                j = i - 1 if i else BATCH - 1
                own = sigma[i] / (sigma[i] + sigma[j])
                other = sigma[j] / (sigma[i] + sigma[j])
                z = own * features[i] + other * features[j]
                f = tf.nn.log_softmax(
                    tf.linalg.matvec(last.kernel, z, transpose_a=True) + last.bias
                )
                total -= 0.5 * factors[labels[i]] * f[labels[i]]
                total -= 0.5 * factors[labels[j]] * f[labels[j]]
            return total / BATCH

        made.reset_metrics()
        logs = made.train_step(data)
        variables = [*twin.trainable_variables, kernel, bias, gamma, beta]
        expected = step_by_hand(optimizer, variables, loss)
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    assert_equal_variables(made.network.variables, twin.variables)
    # (The exact gradient of a bias before a normalization is zero, as is its step.)
    assert_equal_variables(made.uncertainty.trainable_variables, [kernel, bias, gamma, beta])


def test_the_partner_is_the_sample_before():
    # All pairs of the ring are in the sum either way round; a sample's own loss tells which is its.
    made = without_chance(compiled("rul", feature_network(7, 7)))
    made.uncertainty.get_layer("dense").kernel.assign(tf.zeros([7, 64]))  # equal uncertainties
    labels = np.array([0, 1, 2, 3, 4])
    features = np.random.default_rng(0).normal(size=[5, 7]).astype(np.float32)
    data = {"sample_id": tf.range(5), "label": tf.constant(labels, tf.int32), "image": features}
    found = made.losses(data, None).loss.numpy()
    for i, j in ((0, 4), (1, 0), (2, 1), (3, 2), (4, 3)):
        p = softmax((features[i] + features[j]) / 2)
        expected = -0.5 * np.log(p[labels[i]]) - 0.5 * np.log(p[labels[j]])
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)


def test_every_variable_gets_a_gradient():
    made = compiled("rul", tiny_network(batch_norm=False))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made.losses(batch(), None).loss)
    for variable, gradient in zip(
        made.optimized_variables, tape.gradient(loss, made.optimized_variables), strict=True
    ):
        # A bias before a normalization has none but for rounding.
        least = 0.0 if variable is made.uncertainty.get_layer("dense").bias else 1e-5
        assert np.abs(gradient.numpy()).max() > least, variable.name


def test_a_face_with_itself_is_not_mixed():
    made, plain = (compiled(m, tiny_network(batch_norm=False)) for m in ("rul", "cross_entropy"))
    data = batch(size=1)
    for model in (made, plain):
        model.train_step(data)
    assert_equal_variables(made.network.variables, plain.network.variables)


def test_faces_are_not_mixed_at_test_time():
    made, data = compiled("rul"), batch()
    for seed in range(2):
        made.train_step(batch(seed))
    together = made(data["image"])[1].numpy()
    for i in range(BATCH):
        alone = made(data["image"][i : i + 1])[1].numpy()
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
    before = [variable.numpy() for variable in made.uncertainty.variables]
    made.test_step(data)
    for variable, value in zip(made.uncertainty.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_mixtures_pass_the_networks_dropout_as_single_faces_do():
    # All features but a few are dropped: without dropout the losses would be equal each time.
    made = compiled("rul", tiny_network(batch_norm=False, dropout=0.9))
    made.uncertainty.get_layer("dropout").rate = 0.0
    data = batch()
    losses = [made.losses(data, None).loss.numpy() for _ in range(4)]
    assert any((loss != losses[0]).any() for loss in losses[1:])
