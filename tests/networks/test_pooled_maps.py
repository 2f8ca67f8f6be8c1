"""The pooled maps against NumPy, their columns, and their independence of our code."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.faceres import faceres
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.pooled_maps import (
    FACERES_MAPS,
    MAPS,
    PARTS,
    SIZE,
    columns,
    joined_pooled_maps,
    pooled_maps,
)
from ldl_fer.networks.small_cnn import small_cnn


def images_of(size, batch=3):
    return np.random.default_rng(0).uniform(-1, 1, [batch, size, size, 3]).astype("float32")


def random_network(*settings):
    """Activations of about 1 throughout, so that a feature shows what it is made of."""
    model, rng = mobilefacenet(*settings), np.random.default_rng(0)
    for variable in model.variables:
        if "kernel" in variable.name:
            height, width, inputs, _ = variable.shape
            fan = height * width * (1 if "depthwise" in variable.name else inputs)
            variable.assign(rng.normal(0, fan**-0.5, variable.shape))
        elif "beta" in variable.name:
            variable.assign(rng.uniform(0.1, 0.9, variable.shape))
    return model


def expected_of(backbone, images):
    """Map by map: mean of rows [0, ceil(h / 2)), mean of rows [floor(h / 2), h), maximum."""
    outputs = [backbone.get_layer(name).output for name in MAPS]
    features = []
    for x in tf.keras.Model(backbone.input, outputs)(images):
        x, height = x.numpy(), x.shape[1]
        features += [
            x[:, : (height + 1) // 2].mean(axis=(1, 2)),
            x[:, height // 2 :].mean(axis=(1, 2)),
            x.max(axis=(1, 2)),
        ]
    return np.concatenate(features, axis=1)


# Rows of the three maps: 112 px 14, 7, 7; 64 px 8, 4, 4; 48 px 6, 3, 3; 16 px 2, 1, 1.
@pytest.mark.parametrize(
    ("size", "rectifier", "output"),
    [
        (112, "relu6", "average"),
        (64, "prelu", "embedding"),
        (48, "relu6", "average"),
        (16, "prelu", "average"),
    ],
)
def test_parts_are_those_of_the_formula(size, rectifier, output):
    backbone = random_network(size, rectifier, output)
    pooled = pooled_maps(backbone)
    assert pooled.output_shape == (None, SIZE) and SIZE == 2304
    expected = expected_of(backbone, images_of(size))
    assert expected.std() > 0.1
    np.testing.assert_allclose(pooled(images_of(size)), expected, rtol=1e-5, atol=1e-5)


def test_columns_name_the_parts_in_their_order():
    # Map by map (128, 128, 512 channels), in each upper, lower, maximum.
    at, start = {}, 0
    for name, channels in (("map_stride8", 128), ("map_stride16", 128), ("map_stride16_wide", 512)):
        for part in ("upper", "lower", "maximum"):
            at[name, part] = np.arange(start, start + channels)
            start += channels
    for (name, part), expected in at.items():
        np.testing.assert_array_equal(columns([part], [name]), expected)
    np.testing.assert_array_equal(columns(), np.arange(2304))
    halves = [at[name, part] for name in MAPS for part in ("upper", "lower")]
    np.testing.assert_array_equal(columns(("lower", "upper")), np.concatenate(halves))
    assert len(columns(maps=["map_stride16_wide"])) == 3 * 512 and PARTS == (
        "upper",
        "lower",
        "maximum",
    )
    with pytest.raises(ValueError, match="no such part or map: left, map9"):
        columns(["left"], ["map9"])


def test_columns_are_what_the_network_gives():
    backbone = random_network(48, "relu6", "average")
    features = pooled_maps(backbone)(images_of(48)).numpy()
    outputs = backbone.get_layer("map_stride16").output
    maps = tf.keras.Model(backbone.input, outputs)(images_of(48)).numpy()
    maximum = features[:, columns(["maximum"], ["map_stride16"])]
    np.testing.assert_allclose(maximum, maps.max(axis=(1, 2)), rtol=1e-5, atol=1e-5)
    # With three rows: 2 of 3 in each half, the middle one in both.
    upper = features[:, columns(["upper"], ["map_stride16"])]
    np.testing.assert_allclose(upper, maps[:, :2].mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)
    lower = features[:, columns(["lower"], ["map_stride16"])]
    np.testing.assert_allclose(lower, maps[:, 1:].mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["a.keras", pytest.param("folder", marks=pytest.mark.slow)])
def test_files_need_no_code_of_ours(tmp_path, name):
    pooled = pooled_maps(random_network(32, "relu6", "average"))
    keras = tf.keras.Model.__module__.split(".")[0]  # or tf_keras
    assert {type(layer).__module__.split(".")[0] for layer in pooled.layers} == {keras}
    assert not any(isinstance(layer, tf.keras.layers.Lambda) for layer in pooled.layers)
    pooled.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    loaded = tf.keras.models.load_model(tmp_path / name, compile=False, safe_mode=True)
    np.testing.assert_array_equal(loaded(images_of(32)), pooled(images_of(32)))


def test_layers_are_shared_and_learn():
    backbone = mobilefacenet(32, "prelu", "average")
    pooled = pooled_maps(backbone)
    assert all(a is b for a, b in zip(pooled.weights, backbone.weights, strict=True))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(pooled(images_of(32), training=True)))
    gradients = tape.gradient(loss, pooled.trainable_variables)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_another_backbone_is_refused_with_the_names():
    with pytest.raises(InputError, match="map_stride8, map_stride16, map_stride16_wide"):
        pooled_maps(small_cnn(32))


# --- Several backbones -------------------------------------------------------------------------


@pytest.mark.slow
def test_two_backbones_give_the_maps_of_both_each_at_its_own_size():
    first, second = random_network(48, "relu6", "average"), faceres(32)
    images = images_of(96)
    # Resized bilinearly: at half the size means of 2 x 2 pixels, at a third the middle one of 3.
    halved = images.reshape(3, 48, 2, 48, 2, 3).mean(axis=(2, 4))
    expected = [pooled_maps(first)(halved), pooled_maps(second)(images[:, 1::3, 1::3])]
    for given in ([first, second], [second, first]):
        joined = joined_pooled_maps(given, 96)
        assert joined.output_shape == (None, 2304 + 4608)
        np.testing.assert_allclose(joined(images), tf.concat(expected, 1), rtol=1e-4, atol=1e-4)
        assert len(joined.weights) == len(first.weights) + len(second.weights)


def test_images_of_its_own_size_reach_a_backbone_as_they_are():
    joined = joined_pooled_maps([faceres(32), random_network(48, "relu6", "average")], 48)
    assert [layer.name for layer in joined.layers][1:] == [
        *("faceres_pixels", "mobilefacenet", "faceres", "pooled_maps")
    ]


def test_columns_of_two_backbones_are_those_of_both():
    size = 2304 + 4608
    for parts in (["upper"], ["lower", "maximum"]):
        both = np.concatenate([columns(parts), 2304 + columns(parts, size=4608)])
        np.testing.assert_array_equal(columns(parts, size=size), both)
    np.testing.assert_array_equal(
        columns(maps=FACERES_MAPS, size=size), np.arange(2304, 2304 + 4608)
    )
    with pytest.raises(KeyError):
        columns(size=2305)
