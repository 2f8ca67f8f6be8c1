"""Channels-first networks and their channels-last twins compute the same."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import images_of, network_of, pixels_of, randomize

from ldl_fer.errors import InputError
from ldl_fer.networks.channels_last import Unconvertible, to_channels_last

layers = tf.keras.layers


def two_formats(channels_first):
    """A network with everything that format touches, in either format, same layer order."""
    format_ = "channels_first" if channels_first else "channels_last"
    axis = 1 if channels_first else 3
    inputs = tf.keras.Input([3, 16, 16] if channels_first else [16, 16, 3])
    options = {"data_format": format_}
    x = layers.ZeroPadding2D(((1, 0), (2, 1)), **options)(inputs)
    x = layers.Conv2D(6, 3, **options)(x)
    x = layers.BatchNormalization(axis=axis)(x)
    x = layers.PReLU(shared_axes=[2, 3] if channels_first else [1, 2])(x)
    y = layers.DepthwiseConv2D(3, padding="same", **options)(x)
    y = layers.SeparableConv2D(6, 3, padding="same", **options)(y)
    y = layers.PReLU()(y)
    x = layers.Add()([x, y])
    scale = layers.GlobalAveragePooling2D(keepdims=True, **options)(x)
    scale = layers.Conv2D(6, 1, activation="sigmoid", **options)(scale)
    x = layers.Multiply()([x, scale])
    x = layers.Concatenate(axis=axis)([x, y])
    x = layers.MaxPooling2D((2, 3), **options)(x)
    inner = tf.keras.Sequential(
        [
            layers.Conv2D(5, (2, 1), input_shape=tuple(x.shape[1:]), **options),
            layers.LayerNormalization(axis=axis),
            layers.AveragePooling2D((1, 2), **options),
        ]
    )
    return inputs, inner(x)


def copy_across_formats(first, last):
    """NumPy only: the same weights, PReLU slopes [C, H, W] as [H, W, C]."""
    for a, b in zip(first.layers, last.layers, strict=True):
        weights = a.get_weights()
        if isinstance(a, layers.PReLU):
            weights = [weights[0].transpose(1, 2, 0)]
        b.set_weights(weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
def test_channels_first_file_is_the_channels_last_network(tmp_path, name):
    models = []
    for channels_first in (True, False):
        inputs, x = two_formats(channels_first)
        # Flatten's own channels_first means "put the channels last, then flatten".
        x = layers.Flatten(data_format="channels_first" if channels_first else None)(x)
        x = layers.BatchNormalization()(layers.Dense(9)(x))
        models.append(tf.keras.Model(inputs, x))
    first, last = randomize(models[0]), models[1]
    copy_across_formats(first, last)
    first.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    network = network_of(tmp_path / name, 16)
    features = network(pixels_of(16))[0]
    expected = last(images_of(16)).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert "channels_first" not in json.dumps(network.get_config(), default=str)


def test_channels_first_flatten_in_memory_order(tmp_path):
    """What other frameworks do: [C, H, W] is flattened as it lies, then multiplied."""
    inputs, x = two_formats(channels_first=True)
    dense = layers.Dense(9, use_bias=False)
    outputs = dense(layers.Flatten(data_format="channels_last")(x))
    first = randomize(tf.keras.Model(inputs, outputs))
    last = tf.keras.Model(*two_formats(channels_first=False))
    copy_across_formats(tf.keras.Model(inputs, x), last)
    first.save(tmp_path / "a.h5")
    maps = last(images_of(16)).numpy()  # [B, H, W, C]
    expected = maps.transpose(0, 3, 1, 2).reshape(len(maps), -1) @ dense.kernel.numpy()
    features = network_of(tmp_path / "a.h5", 16)(pixels_of(16))[0]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_channels_first_map_is_pooled(tmp_path):
    first = randomize(tf.keras.Model(*two_formats(channels_first=True)))
    last = tf.keras.Model(*two_formats(channels_first=False))
    copy_across_formats(first, last)
    first.save(tmp_path / "a.h5")
    features = network_of(tmp_path / "a.h5", 16)(pixels_of(16))[0]
    expected = last(images_of(16)).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_channels_first_reshape_dense_and_softmax_keep_their_meaning():
    """Layers that know no format work along the original's axes, shown on a CPU layer by layer."""
    inputs = tf.keras.Input([3, 4, 5])
    x = layers.Activation("softmax")(inputs)  # along the width
    x = layers.Dense(6)(x)  # along the width
    x = layers.Concatenate(axis=-2)([x, x])
    x = layers.Reshape([6, 12, 2])(x)
    x = layers.Permute((2, 1, 3))(x)
    first = randomize(tf.keras.Model(inputs, x))
    images = np.random.default_rng(0).normal(size=[2, 3, 4, 5]).astype("float32")
    expected = first(images).numpy()
    twin = to_channels_last(first)(images.transpose(0, 2, 3, 1)).numpy()
    np.testing.assert_allclose(twin, expected.transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)


def test_channels_first_input_alone_is_turned(tmp_path):
    inputs = tf.keras.Input([3, 16, 16])
    x = layers.Conv2D(4, 3, data_format="channels_last")(layers.Permute((2, 3, 1))(inputs))
    model = randomize(tf.keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "a.keras")
    expected = model(images_of(16).transpose(0, 3, 1, 2))
    features = network_of(tmp_path / "a.keras", 16)(pixels_of(16))[0]
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def test_channels_first_that_cannot_be_turned_needs_a_gpu(tmp_path, monkeypatch):
    inputs = tf.keras.Input([16, 16, 3])
    x = layers.Permute((3, 1, 2))(inputs)
    x = layers.Conv2D(4, 3, data_format="channels_first")(x)
    tf.keras.Model(inputs, layers.Flatten()(x)).save(tmp_path / "a.h5")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    with pytest.raises(InputError, match="needs a GPU.*its input is channels-last"):
        network_of(tmp_path / "a.h5", 16)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    assert network_of(tmp_path / "a.h5", 16).outputs[0].shape == (None, 4 * 14 * 14)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (layers.Conv2D(4, 3, activation="softmax", data_format="channels_first"), "softmax"),
        (layers.LayerNormalization(axis=[1, 2]), r"axes \[1, 2\]"),
        (layers.LocallyConnected2D(4, 3, data_format="channels_first"), "LocallyConnected2D"),
    ],
)
def test_layers_without_a_twin_are_named(layer, text):
    inputs = tf.keras.Input([3, 8, 8])
    with pytest.raises(Unconvertible, match=text):
        to_channels_last(tf.keras.Model(inputs, layer(inputs)))
