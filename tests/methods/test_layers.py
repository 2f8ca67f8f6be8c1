"""Layers: change in training, rest in evaluation; values against loops over NumPy arrays."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.methods.layers import (
    ClassCenters,
    LayerNormalization,
    SampleUncertainty,
    SimilarityCalibrator,
)

UNITS = (24, 12)  # of g


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_logit_form_is_one_minus_sigmoid():
    layer = SampleUncertainty(5, "logit", 0.5)
    # 1 - lambda = sigmoid(0.5)  =>  lambda = 1 - 1 / (1 + exp(-0.5))
    expected = 1 - 1 / (1 + np.exp(-0.5))
    np.testing.assert_allclose(layer(tf.constant([0, 4])), [expected] * 2, rtol=1e-6)


def test_direct_form_is_the_variable():
    layer = SampleUncertainty(3, "direct", 0.25)
    layer.value.assign([0.0, 0.5, 1.0])
    np.testing.assert_array_equal(layer(tf.constant([[2, 1]])), [[1.0, 0.5]])


def test_uncertainty_gradient_touches_only_its_rows():
    layer = SampleUncertainty(1000, "logit", 0.0)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.constant([7, 7, 3])))
    gradient = tape.gradient(total, layer.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert sorted(gradient.indices.numpy()) == [3, 7, 7]


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match="direct"):
        SampleUncertainty(3, "other", 0.0)
    with pytest.raises(ValueError, match="layer"):
        SimilarityCalibrator("other", UNITS)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_layer_normalization_is_that_of_keras_with_its_gradients(scale):
    values, weights = scale * random(5, 3, 8) + 2 * scale, random(5, 3, 8, seed=1)
    found = []
    for kind in (LayerNormalization, tf.keras.layers.LayerNormalization):
        layer, inputs = kind(), tf.constant(values)
        layer.build(inputs.shape)
        layer.set_weights([random(8, seed=2), random(8, seed=3)])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            normalized = layer(inputs)
            total = tf.reduce_sum(weights * normalized)
        found.append([normalized, *tape.gradient(total, [inputs, *layer.trainable_variables])])
    for own, keras in zip(*found, strict=True):
        np.testing.assert_allclose(own, keras, rtol=1e-4, atol=2e-5 * np.abs(keras).max())


@pytest.mark.parametrize("normalization", ["layer", "batch"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 2), (2, 7, 1)])
def test_calibrator_is_the_mlp_on_concatenated_features(normalization, shape):
    batch, neighbors, size = shape
    main, others = random(batch, size), random(batch, neighbors, size, seed=1)
    layer = SimilarityCalibrator(normalization, UNITS)
    layer.build([None, size])
    rng = np.random.default_rng(2)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32) * 0.3)
    logit = layer(main, others, training=True)
    # [v^i, v^k] for every pair, then dense - normalize - relu twice, then dense
    hidden = np.array(
        [[np.r_[main[i], others[i, k]] for k in range(neighbors)] for i in range(batch)]
    )
    hidden = hidden.astype(np.float64)
    for dense, norm in ((layer.dense1, layer.norm1), (layer.dense2, layer.norm2)):
        hidden = hidden @ dense.kernel.numpy() + dense.bias.numpy()
        axes = -1 if normalization == "layer" else (0, 1)
        mean = hidden.mean(axis=axes, keepdims=True)
        variance = hidden.var(axis=axes, keepdims=True)
        hidden = (hidden - mean) / np.sqrt(variance + norm.epsilon)
        hidden = np.maximum(hidden * norm.gamma.numpy() + norm.beta.numpy(), 0)
    expected = (hidden @ layer.dense3.kernel.numpy() + layer.dense3.bias.numpy())[..., 0]
    assert logit.shape == (batch, neighbors)
    np.testing.assert_allclose(logit, expected, rtol=1e-3, atol=2e-3)


def test_calibrator_statistics_move_in_training_only():
    layer = SimilarityCalibrator("batch", UNITS)
    main, others = random(4, 3), random(4, 2, 3, seed=1)
    layer(main, others, training=False)
    before = [v.numpy() for v in layer.non_trainable_variables]
    layer(main, others, training=False)
    for variable, value in zip(layer.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    layer(main, others, training=True)
    assert any(
        not np.array_equal(v, b) for v, b in zip(layer.non_trainable_variables, before, strict=True)
    )


def test_calibrator_in_evaluation_treats_neighbors_alike():
    layer = SimilarityCalibrator("batch", UNITS)
    main, others = random(4, 3), random(4, 5, 3, seed=1)
    order = [3, 1, 4, 0, 2]
    swapped = layer(main, others[:, order], training=False)
    np.testing.assert_allclose(
        swapped, tf.gather(layer(main, others, training=False), order, axis=1), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("divide_by_rows", [False, True])
def test_center_steps(divide_by_rows):
    classes, size, rows, rate = 4, 3, 9, 0.5
    layer = ClassCenters(classes, size, rate, "unordered", 0.1, divide_by_rows)
    start = random(classes, size)
    layer.centers.assign(start)
    features, weight = random(rows, size, seed=1), np.abs(random(rows, seed=2))
    labels = np.array([0, 1, 1, 3, 3, 3, 0, 1, 1], np.int32)  # class 2 does not occur
    seen = tf.constant(features), tf.constant(labels), tf.constant(weight)
    layer.update(*layer.sums(*seen))
    expected = start.astype(np.float64)
    for c in range(classes):
        mine = [i for i in range(rows) if labels[i] == c]
        # rate * sum_i -w_i (v_i - mu_c) / (n_c + 1)  [/ rows]
        step = sum(-weight[i] * (features[i] - start[c]) for i in mine) / (len(mine) + 1)
        expected[c] -= rate * step / (rows if divide_by_rows else 1)
    push = np.zeros_like(expected)
    for j in range(classes):
        for k in range(classes):
            if j != k:
                # d/dmu_j exp(-|mu_j - mu_k|^2 / V) = -2 (mu_j - mu_k) / V exp(-|mu_j - mu_k|^2 / V)
                gap = expected[j] - expected[k]
                push[j] += -2 * gap / size * np.exp(-gap @ gap / size)
    expected -= rate * 0.1 * push
    np.testing.assert_allclose(layer.centers, expected, rtol=1e-5, atol=1e-6)


def test_centers_start_at_zero_and_are_no_optimizers_business():
    layer = ClassCenters(3, 2, 0.5, "ordered_sqrt", 1.0, False)
    assert not layer.trainable_variables
    np.testing.assert_array_equal(layer.centers, np.zeros([3, 2]))
    # identical centers: C (C - 1) ordered pairs of exp(0)
    assert float(layer.separation()) == 6.0
