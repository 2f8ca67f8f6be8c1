"""Networks: shapes, sizes, first weights, training, files of the user."""

import json
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.networks.channels_last import Unconvertible, to_channels_last
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.network import BACKBONES, WITH_IMAGENET_WEIGHTS, build_network

layers = tf.keras.layers
SMALL = ("resnet18", "mobilefacenet", "small_cnn")
# What downloads ImageNet weights: of keras or of tf_keras.
GET_FILE = f"{tf.keras.applications.ResNet50.__module__}.data_utils.get_file"
FEATURES = {"resnet18": 512, "resnet34": 512, "mobilefacenet": 128, "small_cnn": 160}


def network_of(backbone, image_size=32, seed=0, **settings):
    return build_network(NetworkConfig(backbone=str(backbone), **settings), image_size, 7, seed)


def images_of(size=32, batch=4, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, [batch, size, size, 3]).astype("float32")


def pixels_of(*args, **settings):
    """The same images as the network takes them."""
    return images_of(*args, **settings) * 127.5 + 127.5


def randomize(model, seed=0):
    """Gives every variable, moving statistics included, a value unlike its first."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        low, high = (0.5, 1.5) if "variance" in variable.name else (-0.5, 0.5)
        variable.assign(rng.uniform(low, high, variable.shape))
    return model


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
    ("name", "trainable", "moving"),
    [
        # torchvision's counts without the classifier: 11,689,512 - 513,000; 21,797,672 - 513,000.
        ("resnet18", 11_176_512, 9_600),
        ("resnet34", 21_284_672, 17_024),
        # Keras' published "notop" counts (convolutions have biases there): 23,587,712 in all.
        ("resnet50", 23_534_592, 53_120),
        pytest.param("resnet101", 42_552_832, 105_344, marks=pytest.mark.slow),
        pytest.param("resnet152", 58_219_520, 151_424, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts_are_the_known_ones(name, trainable, moving):
    model = BACKBONES[name](32)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == trainable
    assert sum(np.prod(v.shape) for v in model.non_trainable_variables) == moving


def test_resnet18_has_the_sizes_of_the_paper():
    model = BACKBONES["resnet18"](224)
    # He et al. (2016), Table 1: 112, 56, 56, 28, 14, 7 pixels.
    sizes = {"conv1": 112, "pool1": 56, "stage1_block2_add": 56, "stage2_block2_add": 28}
    sizes |= {"stage3_block2_add": 14, "stage4_block2_add": 7}
    assert {n: model.get_layer(n).output_shape[1] for n in sizes} == sizes
    # Table 1: 1.8e9 multiply-adds.
    assert multiply_adds(model) == pytest.approx(1.8e9, rel=0.02)


def multiply_adds(model):
    """Of all convolutions: output pixels times kernel entries (x channels if depthwise)."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            kernel = next(v for v in layer.weights if "kernel" in v.name)
            total += np.prod(layer.output_shape[1:3]) * np.prod(kernel.shape)
    return total


def test_small_cnn_is_cheap_and_not_negative():
    model = BACKBONES["small_cnn"](48)
    # Stem: 24^2 pixels, 3 x 3 x 3 x 16. A block from a to b channels: two 3 x 3 convolutions and
    # a 1 x 1 shortcut, 9 a b + 9 b b + a b, at its own resolution.
    widths, sides = (16, 24, 48, 96, 160), (24, 12, 6, 3)
    expected = 24**2 * 27 * 16
    for a, b, side in zip(widths, widths[1:], sides, strict=False):
        expected += side**2 * (10 * a * b + 9 * b * b)
    assert multiply_adds(model) == expected
    features = model(images_of(48)).numpy()
    assert features.min() >= 0 and features.max() > 0


def test_mobilefacenet_is_the_stack_of_the_onnx_file():
    model = mobilefacenet(112)
    maps = {"map_stride8": (14, 128), "map_stride16": (7, 128), "map_stride16_wide": (7, 512)}
    for name, (side, channels) in maps.items():
        assert model.get_layer(name).output_shape == (None, side, side, channels)
    # Kernels, read off the file: stem, depthwise, pointwise; (channels, expanded, out) of the
    # blocks; conv2, global depthwise, conv3.
    blocks = [(64, 128, 64)] * 5 + [(64, 256, 128)] + [(128, 256, 128)] * 6
    blocks += [(128, 512, 128)] + [(128, 256, 128)] * 2
    expected = [(3, 3, 3, 64), (3, 3, 64, 1), (1, 1, 64, 64)]
    for channels, expanded, out in blocks:
        expected += [(1, 1, channels, expanded), (3, 3, expanded, 1), (1, 1, expanded, out)]
    expected += [(1, 1, 128, 512), (7, 7, 512, 1), (1, 1, 512, 128)]
    kernels = [v for v in model.trainable_variables if v.shape.rank == 4]
    assert [tuple(v.shape) for v in kernels] == expected
    residual = [n for n in range(15) if n not in (0, 5, 12)]
    assert [x.name for x in model.layers if isinstance(x, layers.Add)] == [
        f"block{n:02d}_add" for n in residual
    ]
    # One slope per channel; none after the 15 projections and the last two layers: 51 - 17.
    slopes = [x for x in model.layers if isinstance(x, layers.PReLU)]
    assert len(slopes) == 34 and all(x.alpha.shape[:2] == (1, 1) for x in slopes)


def test_mobilefacenet_with_the_rectifiers_of_the_file():
    model = mobilefacenet(32, rectifier="relu6")
    limits = {x.name: x.max_value for x in model.layers if isinstance(x, layers.ReLU)}
    plain = {name for name, limit in limits.items() if limit is None}
    assert plain == {"dw_conv_depthwise_act", "dw_conv_pointwise_act"}
    assert len(limits) == 34 and {float(limits[n]) for n in limits if n not in plain} == {6.0}
    with pytest.raises(ValueError, match="rectifier"):
        mobilefacenet(32, rectifier="gelu")


@pytest.mark.parametrize("name", ["mobilefacenet", "small_cnn"])
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


def test_small_cnn_overfits_a_handful():
    network = network_of("small_cnn")
    optimizer = tf.keras.optimizers.Adam(1e-2)
    images, labels = images_of(batch=14), np.arange(14) % 7

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = network(images, training=True)[1]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    first = float(step())
    losses = [float(step()) for _ in range(40)]
    assert first > 1.0 and losses[-1] < 0.05


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


def test_imagenet_weights_see_the_pixels_they_were_trained_on(tmp_path, monkeypatch):
    # Random kernels and no biases: the outputs grow with the pixels, so that any error shows.
    reference = tf.keras.applications.ResNet50(include_top=False, weights=None)
    rng = np.random.default_rng(0)
    for variable in reference.trainable_variables:
        if variable.shape.rank == 4:
            deviation = np.prod(variable.shape[:3]) ** -0.5
            variable.assign(rng.normal(0, deviation, variable.shape))
    reference.save_weights(tmp_path / "resnet50.h5")
    monkeypatch.setattr(
        GET_FILE,
        lambda *args, **kwargs: str(tmp_path / "resnet50.h5"),
    )
    network = network_of("resnet50", weights="imagenet")
    pixels = rng.integers(0, 256, [2, 32, 32, 3]).astype("float32")
    features = network(pixels)[0].numpy()

    def pooled(images):
        return reference(images).numpy().mean(axis=(1, 2))

    expected = pooled(tf.keras.applications.resnet.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * expected.std())
    # The same means, but red and blue exchanged, or no means, lie a thousand times further off.
    for wrong in (pixels - [123.68, 116.779, 103.939], pixels[..., ::-1] - 127.5):
        assert np.abs(pooled(wrong) - expected).max() > 0.1 * expected.std()


def test_failed_download_is_said_with_its_cure(monkeypatch):
    def get_file(name, url, **kwargs):
        raise Exception(f"URL fetch failure on {url}: None -- no route to host")

    monkeypatch.setattr(GET_FILE, get_file)
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(InputError, match=f"{name} and put it into ~/.keras/models"):
        network_of("resnet50", weights="imagenet")


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


# --- Files of the user -------------------------------------------------------------------------


def plain_model(pooled=True):
    inputs = tf.keras.Input([32, 32, 3])
    x = layers.Conv2D(6, 3, strides=2)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.GlobalMaxPooling2D()(x) if pooled else x
    return randomize(tf.keras.Model(inputs, x, name="features"))


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
@pytest.mark.parametrize("pooled", [True, False])
def test_local_file_round_trip(tmp_path, name, pooled):
    model = plain_model(pooled)
    model.compile("adam", "mse")  # what a compiled model carries along must not matter
    model.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    network = network_of(tmp_path / name, weights="none")
    expected = model(images_of()).numpy()
    expected = expected if pooled else expected.mean(axis=(1, 2))
    np.testing.assert_allclose(network(pixels_of())[0], expected, rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(pixels_of(), training=True)[1]))
    gradients = tape.gradient(loss, network.trainable_variables)
    assert len(gradients) == len(model.trainable_variables) + 2
    assert all(np.abs(g).max() > 0 for g in gradients[:1] + gradients[-2:])


def test_frozen_layers_of_a_file_are_trained(tmp_path):
    model = plain_model()
    model.trainable = False
    model.save(tmp_path / "a.keras")
    assert len(network_of(tmp_path / "a.keras").trainable_variables) == 5 + 2


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


class Custom(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (lambda: layers.Lambda(lambda x: x * 2, name="twice"), "Lambda 'twice' holds code"),
        (lambda: Custom(name="mine"), "Custom 'mine'"),
        (lambda: tf.square, "TFOpLambda"),
        (lambda: tf.keras.Sequential([layers.Lambda(lambda x: x)]), "Lambda"),
    ],
)
def test_code_in_files_is_refused_before_keras_sees_it(tmp_path, monkeypatch, name, extra, text):
    inputs = tf.keras.Input([32, 32, 3])
    model = tf.keras.Model(inputs, extra()(layers.Conv2D(2, 3)(inputs)))
    model.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    monkeypatch.setattr(tf.keras.models, "load_model", lambda *a, **k: pytest.fail("was loaded"))
    with pytest.raises(InputError, match=text):
        network_of(tmp_path / name)


def test_foreign_modules_in_keras_files_are_refused(tmp_path):
    plain_model().save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = archive.read("config.json").decode()
    assert '"keras.layers"' in config
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", config.replace('"keras.layers"', '"os.path"', 1))
    with pytest.raises(InputError, match="comes from the module os.path"):
        network_of(tmp_path / "b.keras")


def test_missing_and_damaged_files_are_mistakes_of_the_user(tmp_path):
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("readme", "x")
    plain_model().save_weights(tmp_path / "weights.h5")
    plain_model().save(tmp_path / "whole.h5")
    with h5py.File(tmp_path / "whole.h5", "a") as file:
        del file["model_weights"]
    model = tf.Module()
    model.variable = tf.Variable(1.0)
    tf.saved_model.save(model, str(tmp_path / "bare"))
    for name, text in {
        "text.h5": "damaged or neither",
        "empty.keras": "damaged or neither",
        "zip.keras": "damaged or neither",
        "folder": "without saved_model.pb",
        "weights.h5": "without the network",
        "whole.h5": "cannot be loaded",
        "bare": "did not make",
        "absent.h5": "neither an existing file",
    }.items():
        with pytest.raises(InputError, match=text) as caught:
            network_of(tmp_path / name)
        assert name in str(caught.value)


def test_unfit_inputs_and_outputs_are_refused(tmp_path):
    def save(name, inputs, outputs):
        tf.keras.Model(inputs, outputs).save(tmp_path / name)

    image, gray = tf.keras.Input([32, 32, 3]), tf.keras.Input([32, 32, 1])
    vector = tf.keras.Input([5])
    pooled = layers.GlobalAveragePooling2D()(image)
    save("gray.h5", gray, layers.Flatten()(gray))
    save("vector.h5", vector, layers.Dense(2)(vector))
    save("two.h5", [image, vector], layers.Concatenate()([pooled, vector]))
    save("line.h5", image, layers.Reshape([32 * 32, 3])(image))
    save("fit.h5", image, layers.Dense(2)(pooled))
    for name, size, text in [
        ("gray.h5", 32, "not color images"),
        ("vector.h5", 32, "not color images"),
        ("two.h5", 32, "2 inputs"),
        ("line.h5", 32, "a feature vector"),
        ("fit.h5", 48, "Set --image_size=32"),
    ]:
        with pytest.raises(InputError, match=text):
            network_of(tmp_path / name, size)
    with pytest.raises(InputError, match="no ImageNet weights"):
        network_of(tmp_path / "fit.h5", weights="imagenet")


def test_any_size_fits_a_file_without_one(tmp_path):
    inputs = tf.keras.Input([3, None, None])
    x = layers.Conv2D(4, 3, data_format="channels_first")(inputs)
    tf.keras.Model(inputs, x).save(tmp_path / "a.h5")
    for size in (16, 24):
        assert network_of(tmp_path / "a.h5", size)(images_of(size))[0].shape == (4, 4)
