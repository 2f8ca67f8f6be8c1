"""Ada-DF: its numbers, its class distributions, its loss, where no gradient goes."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    batch,
    compiled,
    feature_network,
    softmax,
    tiny_network,
)
from helpers.toy_batch import (
    LABELS,
    PROBABILITIES,
    assert_differentiates,
    assert_loss_differentiates,
)

from ldl_fer.methods import ada_df
from ldl_fer.methods.ada_df import (
    adaptive_target,
    branch_weights,
    class_distributions,
    scaled_attention,
    threshold_distributions,
)
from ldl_fer.methods.scn import rank_regularization

ATTENTION = np.array([0.9, 0.4, 0.6, 0.2], np.float32)


def test_attention_is_scaled_within_the_batch():
    np.testing.assert_allclose(scaled_attention(ATTENTION), [1, 0.428571, 0.657143, 0.2], atol=1e-6)
    np.testing.assert_allclose(scaled_attention(tf.fill([3], 0.4)), [0.2] * 3)


def test_the_target_is_the_formula():
    rows = tf.gather(threshold_distributions(0.7, 3), LABELS)
    np.testing.assert_allclose(rows[0], [0.7, 0.15, 0.15], rtol=1e-5)
    found = adaptive_target(PROBABILITIES, rows, scaled_attention(ATTENTION))
    np.testing.assert_allclose(found[0], [0.7, 0.15, 0.15], rtol=1e-5)  # w is 1
    np.testing.assert_allclose(found[1], [0.204131, 0.680138, 0.115732], atol=1e-6)


def test_the_gradients_are_those_of_the_formula():
    rows = tf.cast(tf.gather(threshold_distributions(0.7, 3), LABELS), tf.float64)

    def function(probabilities, weight):
        return adaptive_target(probabilities, rows, weight)[:, 0]

    assert_differentiates(function, PROBABILITIES, ATTENTION)


@pytest.mark.parametrize("epoch", [1, 9])
def test_the_gradient_is_that_of_the_whole_loss(monkeypatch, epoch):
    # No gradient flows into t, which finite differences would move.
    monkeypatch.setattr(ada_df, "adaptive_target", lambda *_: tf.constant(PROBABILITIES[::-1]))
    made = compiled("ada_df", feature_network(3, 3))
    made.optimizer.iterations.assign((epoch - 1) * made.steps_per_epoch)
    assert_loss_differentiates(made, atol=1e-3)  # its batch normalization bends


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, (0.641180, 1)), (3, (1, 1)), (6, (1, 0.778801))]
)
def test_the_branches_take_turns(epoch, expected):
    np.testing.assert_allclose(branch_weights(tf.constant(epoch), 3.0), expected, atol=1e-6)


def test_class_distributions_need_the_threshold():
    sums = tf.constant([[8.0, 1.0, 1.0], [2.0, 3.0, 0.0], [0.0, 0.0, 0.0]])
    expected = [[0.8, 0.1, 0.1], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]
    np.testing.assert_allclose(class_distributions(sums, 0.7), expected, rtol=1e-5)


def test_losses_and_distributions_are_those_written_by_hand():
    made = compiled("ada_df", tiny_network(batch_norm=False), ada_threshold=0.05)
    distributions = threshold_distributions(0.05, CLASSES).numpy()
    sums = np.zeros([CLASSES, CLASSES])
    for number in range(4):
        data = batch(number)
        label, place = data["label"].numpy(), np.arange(BATCH)
        features, logits = (value.numpy() for value in made.network(data["image"]))
        hidden = features @ made.hidden.layers[0].kernel.numpy()
        hidden = (hidden - hidden.mean(axis=0)) / np.sqrt(hidden.var(axis=0) + 1e-5)
        hidden = np.maximum(hidden * made.hidden.layers[1].gamma + made.hidden.layers[1].beta, 0)
        first = made.auxiliary_attention(hidden).numpy()
        second = made.attention(features).numpy()
        z = features @ made.network.get_layer("logits").kernel.numpy()
        z += made.network.get_layer("logits").bias.numpy()
        np.testing.assert_allclose(logits, second * z, rtol=1e-4, atol=1e-6)
        p1 = softmax(first * made.auxiliary(hidden).numpy())
        p2 = softmax(logits)
        attention = ((first + second) / 2)[:, 0]
        spread = (attention - attention.min()) / (attention.max() - attention.min())
        w = (0.2 + 0.8 * spread)[:, np.newaxis]
        target = (1 - w) * p1 + w * distributions[label]
        rank = float(rank_regularization(attention, 0.7, 0.07))
        epoch = number // 2 + 1
        loss = -np.log(p1[place, label]) + rank
        loss += np.exp(-((1 - epoch / 3) ** 2)) * (target * np.log(target / p2)).sum(axis=1)
        made.reset_metrics()
        np.testing.assert_allclose(made.train_step(data)["loss"], loss.mean(), rtol=1e-4)
        np.add.at(sums, label, p1)
        if number % 2:
            for c in range(CLASSES):
                mean = sums[c] / max(sums[c].sum(), 1e-9)
                start = threshold_distributions(0.05, CLASSES).numpy()[c]
                distributions[c] = mean if mean[c] >= 0.05 else start
            sums[:] = 0
        np.testing.assert_allclose(made.sums, sums, atol=1e-4)
        np.testing.assert_allclose(made.distributions, distributions, atol=1e-5)
    assert np.abs(distributions - threshold_distributions(0.05, CLASSES)).max() > 0.01


def test_attention_is_regularized_over_whole_samples_of_the_high_share():
    made, data = compiled("ada_df", ada_high_share=0.6, ada_margin=0.9), batch()
    rows = made.losses(data, None)
    hidden = made.hidden(rows.features, training=True)
    attention = (made.auxiliary_attention(hidden) + made.attention(rows.features)).numpy() / 2
    high = np.sort(attention[:, 0])[::-1]
    expected = 0.9 - high[:3].mean() + high[3:].mean()  # floor(0.6 * 6) = 3
    np.testing.assert_allclose(rows.rank_regularization, np.full(BATCH, expected), rtol=1e-5)


def test_no_gradient_flows_into_the_target():
    made, data = compiled("ada_df"), batch()
    kernels = [layer.kernel for layer in (made.auxiliary, made.auxiliary_attention)]
    with tf.GradientTape(persistent=True) as tape:
        rows = made.losses(data, None)
        distribution = tf.reduce_sum(rows.distribution_loss)
        classification = tf.reduce_sum(rows.classification_loss)
    assert tape.gradient(distribution, kernels) == [None, None]
    assert all(np.abs(g).max() > 0 for g in tape.gradient(classification, kernels))
    logits = made.network.get_layer("logits").kernel
    assert np.abs(tape.gradient(distribution, logits)).max() > 0
    assert tape.gradient(classification, logits) is None


def test_a_step_that_is_left_out_is_not_counted():
    made, data = compiled("ada_df"), batch()
    rows = made.losses(data, None)
    sums = made.sums_of_step(data, rows)
    made.after_step(data, rows, [], tf.constant(False), sums)
    assert not made.sums.numpy().any()
