"""What all networks have in common: shapes, sizes, first weights, training."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import images_of, network_of, pixels_of, randomize
from helpers.frozen_faces import write_mobilefacenet
from helpers.torch_weights import state_dict, write_safetensors

from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.networks.head import frozen_part
from ldl_fer.networks.mobilefacenet_onnx import load_mobilefacenet
from ldl_fer.networks.network import BACKBONES, WITH_IMAGENET_WEIGHTS, build_network

SMALL = ("resnet18", "mobilefacenet", "small_cnn")
FEATURES = {"resnet18": 512, "resnet34": 512, "mobilefacenet": 128, "small_cnn": 160}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [32, 48])
def test_maps_images_to_features_and_logits(name, size):
    network = network_of(name, size, dropout=0.5)
    features, logits = network(images_of(size, batch=2))
    assert features.shape == (2, FEATURES[name]) and logits.shape == (2, 7)
    assert features.dtype == tf.float32 and logits.dtype == tf.float32
    assert network.input_shape == (None, size, size, 3)
    np.testing.assert_array_equal(
        network.get_layer("features").output.shape, [None, FEATURES[name]]
    )
    expected = features @ network.get_layer("logits").kernel + network.get_layer("logits").bias
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["small_cnn", pytest.param("mobilefacenet", marks=pytest.mark.slow)]
)
def test_first_weights_follow_the_seed_alone(name):
    first = network_of(name, seed=3, dropout=0.1)
    tf.random.normal([2])
    network_of("small_cnn", seed=9)
    second, other = network_of(name, seed=3, dropout=0.1), network_of(name, seed=4, dropout=0.1)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [v for v in first.trainable_variables if v.shape.rank in (2, 4)]
    others = [v for v in other.trainable_variables if v.shape.rank in (2, 4)]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(kernels, others, strict=True))
    assert not np.array_equal(kernels[-2], kernels[-3])


def test_building_leaves_the_global_random_state_alone():
    tf.random.set_seed(1)
    expected = tf.random.uniform([3])
    tf.random.set_seed(1)
    network_of("small_cnn", seed=5)
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)


def test_kernels_have_the_deviation_of_he():
    model = network_of("resnet18").get_layer("backbone")
    for name, fan_out in {"conv1": 49 * 64, "stage4_block2_conv2": 9 * 512}.items():
        kernel = model.get_layer(name).kernel.numpy()
        assert kernel.std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)
        assert abs(kernel.mean()) < 0.05 * kernel.std()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_trainable_weight_receives_a_gradient_and_statistics_move(name):
    network = network_of(name)
    images, target = images_of(batch=8), tf.one_hot(np.arange(8) % 7, 7)
    statistics = [v.numpy() for v in network.non_trainable_variables]
    assert len(statistics) >= 10
    with tf.GradientTape() as tape:
        features, logits = network(images, training=True)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        loss += tf.reduce_mean(tf.square(features))
    gradients = tape.gradient(loss, network.trainable_variables)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.name
    moved = [v.numpy() for v in network.non_trainable_variables]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(statistics, moved, strict=True))
    network(images, training=False)
    for before, variable in zip(moved, network.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, variable)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int32"])
def test_pixels_are_brought_to_one_about_zero(dtype):
    network = network_of("small_cnn")
    pixels = np.random.default_rng(0).integers(0, 256, [4, 32, 32, 3]).astype(dtype)
    # (x - 127.5) / 127.5
    expected = network.get_layer("backbone")((pixels.astype("float32") - 127.5) / 127.5)
    np.testing.assert_allclose(network(pixels)[0], expected, rtol=1e-4, atol=1e-5)


def test_dropout_stands_between_features_and_logits_in_training_only():
    network = network_of("small_cnn", dropout=0.9)
    images = images_of()
    features, logits = network(images, training=False)
    again = network(images, training=False)[1]
    np.testing.assert_array_equal(logits, again)
    # Batch statistics differ in training, so the head alone is compared.
    head = tf.keras.Model(network.get_layer("features").output, network.outputs[1])
    assert np.abs(head(features, training=True) - logits).max() > 0.01
    np.testing.assert_allclose(head(features, training=False), logits, rtol=1e-5, atol=1e-5)


def test_outputs_are_float32_under_mixed_precision():
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = network_of("small_cnn", dropout=0.1)
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
    assert [output.dtype for output in network.outputs] == [tf.float32, tf.float32]
    assert network.get_layer("backbone").output.dtype == tf.bfloat16
    assert all(v.dtype == tf.float32 for v in network.trainable_variables)


def test_weights_file_round_trip(tmp_path):
    first, second = randomize(network_of("small_cnn")), network_of("small_cnn", seed=1)
    first.save_weights(tmp_path / "x.weights.h5")
    second.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(first(images_of())[1], second(images_of())[1])


@pytest.mark.parametrize("name", [n for n in BACKBONES if n not in WITH_IMAGENET_WEIGHTS])
def test_backbones_without_imagenet_weights_say_who_has_them(name):
    with pytest.raises(InputError, match="resnet50, resnet101, resnet152 do"):
        network_of(name, weights="imagenet")


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        ("vgg", 32, "neither an existing file nor one of resnet18, "),
        ("mobilefacenet", 100, "multiple of 16"),
        ("mobilefacenet", 0, "multiple of 16"),
        ("small_cnn", 31, "32 is the least"),
        ("resnet18", 31, "32 is the least"),
        ("resnet50", 16, "32 is the least"),
    ],
)
def test_unknown_names_and_unfit_sizes_are_refused(name, size, text):
    with pytest.raises(InputError, match=text):
        network_of(name, size)


@pytest.mark.slow
def test_several_backbones_are_frozen_each_with_its_file(tmp_path):
    write_mobilefacenet(tmp_path / "a.onnx")
    write_safetensors(tmp_path / "b.safetensors", state_dict())
    settings = dict(frozen=True, rectifier="relu6")
    several = settings | dict(  # the order of names is that of the files, not that of the maps
        backbone="resnet18,mobilefacenet", pretrained=f"{tmp_path}/b.safetensors,{tmp_path}/a.onnx"
    )
    network = network_of(**several)
    backbone = network.get_layer("backbone")
    assert not backbone.trainable_variables and backbone.output_shape == (None, 2304 + 2688)
    pooled = frozen_part(network)(pixels_of())
    alone = network_of("resnet18", pretrained=f"{tmp_path}/b.safetensors", **settings)
    expected = frozen_part(alone)(pixels_of())
    assert np.std(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(pooled[:, 2304:], expected, rtol=1e-5, atol=1e-5)
    file = load_mobilefacenet(tmp_path / "a.onnx", 112)
    within = backbone.get_layer("mobilefacenet")
    for value, other in zip(within.get_weights(), file.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
    unread = build_network(NetworkConfig(**several), 32, 7, load=False)  # as a run is restored
    assert [v.shape for v in unread.weights] == [v.shape for v in network.weights]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (dict(frozen=False), "names several, which are not trained together: add --frozen"),
        (dict(backbone="mobilefacenet,small_cnn"), "needs --backbone=.*, not small_cnn"),
        (dict(backbone="faceres,faceres"), "--backbone=faceres,faceres names one twice"),
        (dict(pretrained="a.onnx"), "needs as many files.*--pretrained=a.onnx is 1"),
        (dict(pretrained="a.onnx,b.onnx,c.onnx"), "--pretrained=.* is 3"),
        (dict(pretrained=""), "--frozen.* needs --pretrained=FILE"),
        (dict(pretrained="gone_a.onnx,b.onnx"), "gone_a.onnx"),
        (dict(weights="imagenet"), "has no ImageNet weights"),
    ],
    ids=str,
)
def test_several_backbones_that_do_not_go_together_are_refused(settings, text):
    pytest.importorskip("onnx", reason="needs the optional package onnx")
    given = dict(backbone="mobilefacenet,faceres", frozen=True, pretrained="a.onnx,b.onnx")
    with pytest.raises(InputError, match=text):
        network_of(**(given | settings))
