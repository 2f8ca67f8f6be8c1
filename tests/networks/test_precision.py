"""Precision, shared batch statistics, XLA: the same network, and lambda and losses in float32."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.small_model import batch, network, state

from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.methods.ldlva import LDLVA
from ldl_fer.methods.optimizers import network_optimizer
from ldl_fer.networks.network import build_network
from ldl_fer.networks.precision import with_precision

SIDE, SLOW = 32, pytest.mark.slow


def pixels(count=6, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, [count, SIDE, SIDE, 3])
    return tf.constant(images, tf.uint8)


def ldlva(precision, **settings):
    config = PRESETS["small"].replace(precision=precision, learning_rate=1e-4, **settings)
    made = LDLVA(build_network(config.network, SIDE, 7), config, 20, steps_per_epoch=4)
    made.compile(network_optimizer(config.optimizer, precision))
    return made


def face_batch(seed=0):
    data = dict(batch(seed))
    data["image"] = pixels(6, seed)
    data["neighbor_image"] = tf.reshape(pixels(18, seed + 50), [6, 3, SIDE, SIDE, 3])
    return data


def test_nothing_to_change_is_the_model_itself():
    made = network()
    assert with_precision(made, "float32", False) is made


@pytest.mark.parametrize(
    "name",
    ["small_cnn", *(pytest.param(name, marks=SLOW) for name in ("resnet18", "mobilefacenet"))],
)
def test_a_copy_has_the_same_weights_and_answers(name):
    plain, synced = (
        build_network(NetworkConfig(backbone=name, sync_batch_norm=sync), SIDE, 7, seed=3)
        for sync in (False, True)
    )
    layers = [layer for layer in synced.submodules if isinstance(layer, tf.keras.layers.Layer)]
    norms = [x for x in layers if isinstance(x, tf.keras.layers.BatchNormalization)]
    assert norms and all(norm.synchronized for norm in norms)
    for a, b in zip(plain.get_weights(), synced.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    expected, found = plain(pixels())[0].numpy(), synced(pixels())[0].numpy()
    # Processors add in other orders: the error is one of the sums, not of what is left of them.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-5 * np.abs(expected).max())


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_only_the_backbone_computes_in_half_precision(precision):
    half = build_network(NetworkConfig(backbone="small_cnn", precision=precision), SIDE, 7)
    full = build_network(NetworkConfig(backbone="small_cnn"), SIDE, 7)
    assert half.get_layer("backbone").output.dtype == precision.removeprefix("mixed_")
    assert all(variable.dtype == tf.float32 for variable in half.variables)
    assert [output.dtype for output in half.outputs] == [tf.float32] * 2
    expected = full(pixels())[0].numpy()
    np.testing.assert_allclose(half(pixels())[0], expected, atol=0.05 * expected.max())
    assert tf.keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("neighbors", ["bank", "forward"])
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_steps_in_half_precision_follow_those_in_full(precision, neighbors):
    half, full = ldlva(precision, neighbors=neighbors), ldlva("float32", neighbors=neighbors)
    scaled = isinstance(half.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    first = [variable.numpy() for variable in half.network.trainable_variables]
    for seed in range(3):
        found, expected = half.train_step(face_batch(seed)), full.train_step(face_batch(seed))
        np.testing.assert_allclose(found["loss"], expected["loss"], rtol=0.05)
    pairs = zip(first, half.network.trainable_variables, strict=True)
    changed = [(a != b.numpy()).any() for a, b in pairs]
    assert all(changed)
    # lambda's gradient is freed of the scale, 32,768 at first: else lambda would be 0 or 1
    expected = full.uncertainty.value.numpy()
    assert expected.max() > 0.05
    np.testing.assert_allclose(half.uncertainty.value, expected, atol=0.3 * expected.max())
    for part in (half.uncertainty, half.centers, half.calibrator):
        assert all(variable.dtype == tf.float32 for variable in part.variables)


@pytest.mark.parametrize("neighbors", ["bank", pytest.param("forward", marks=SLOW)])
def test_a_network_compiled_by_xla_walks_the_same_steps(neighbors):
    def made(jit):
        config = PRESETS["paper"].replace(neighbors=neighbors, jit=jit)
        twin = LDLVA(network(), config, 20, steps_per_epoch=4)
        twin.compile(tf.keras.optimizers.SGD(0.1))
        return twin

    compiled, plain = made(True), made(False)
    step = tf.function(compiled.train_step)
    for seed in range(3):
        found, expected = step(batch(seed)), plain.train_step(batch(seed))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)
    for a, b in zip(state(compiled), state(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    text = compiled.run_network.experimental_get_compiler_ir(batch()["image"], training=True)()
    assert "HloModule" in text


def test_a_layer_that_cannot_be_copied_is_said():
    class Stubborn(tf.keras.layers.Layer):
        def __init__(self, something):
            super().__init__()

    images = tf.keras.Input([4])
    with pytest.raises(InputError, match="--precision=float32"):
        with_precision(tf.keras.Model(images, Stubborn(1)(images)), "mixed_bfloat16", False)
