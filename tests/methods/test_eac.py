"""EAC's attention and its consistency against loops, gradients, and steps written by hand."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    BATCH,
    CLASSES,
    SIDE,
    UNITS,
    assert_dropout_is_shared,
    assert_equal_variables,
    assert_trains_plainly,
    batch,
    compiled,
    feature_network,
    mean_cross_entropy,
    step_by_hand,
    tiny_network,
)
from helpers.toy_batch import assert_differentiates

from ldl_fer.config.settings import AugmentationConfig, NetworkConfig
from ldl_fer.data.augmentation import augment
from ldl_fer.methods.eac import attention_maps, flip_consistency
from ldl_fer.networks.head import feature_map
from ldl_fer.networks.network import build_network


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 5, 1), (1, 7, 7, 3)])
@pytest.mark.parametrize("classes", [1, 7])
def test_attention_is_the_formula(shape, classes):
    rng = np.random.default_rng(0)
    maps, kernel = rng.normal(size=shape), rng.normal(size=[shape[-1], classes])
    expected = np.zeros([*shape[:3], classes])
    for b, h, w, c in np.ndindex(*expected.shape):
        for k in range(shape[-1]):
            expected[b, h, w, c] += kernel[k, c] * maps[b, h, w, k]
    found = attention_maps(tf.constant(maps, tf.float32), tf.constant(kernel, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 5, 1), (2, 4, 1, 3)])
def test_consistency_is_the_formula(shape):
    rng = np.random.default_rng(1)
    maps, mirrored = rng.normal(size=[2, *shape])
    _, height, width, classes = shape
    expected = np.zeros(shape[0])
    for b, h, w, c in np.ndindex(*shape):
        distance = maps[b, h, w, c] - mirrored[b, h, width - 1 - w, c]
        expected[b] += distance**2 / (height * width * classes)
    found = flip_consistency(tf.constant(maps, tf.float32), tf.constant(mirrored, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_only_the_mirror_image_is_consistent():
    maps = np.random.default_rng(2).normal(size=[2, 3, 4, 5]).astype(np.float32)
    np.testing.assert_array_equal(flip_consistency(maps, maps[:, :, ::-1]), [0, 0])
    for other in (maps, maps[:, ::-1], maps[:, ::-1, ::-1], maps[:, :, ::-1, ::-1]):
        assert flip_consistency(maps, other).numpy().min() > 0.1


def test_huge_attention_gives_no_nan():
    maps = tf.fill([1, 2, 2, 3], 1e15)
    np.testing.assert_allclose(flip_consistency(maps, -maps), [4e30], rtol=1e-5)
    np.testing.assert_array_equal(flip_consistency(maps, maps), [0.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: attention_maps(tf.zeros([1, 2, 2, 3]), tf.zeros([4, 7])),
        lambda: attention_maps(tf.zeros([2, 2, 3]), tf.zeros([3, 7])),
        lambda: attention_maps(tf.zeros([1, 2, 2, 3]), tf.zeros([3])),
        lambda: flip_consistency(tf.zeros([1, 2, 3, 4]), tf.zeros([1, 3, 2, 4])),
        lambda: flip_consistency(tf.zeros([1, 2, 2, 4]), tf.zeros([2, 2, 2, 4])),
        lambda: flip_consistency(tf.zeros([2, 2, 4]), tf.zeros([2, 2, 4])),
    ],
)
def test_other_shapes_are_refused(call):
    with pytest.raises(ValueError):
        call()


def images_of(size, count=3):
    images = np.random.default_rng(0).integers(0, 256, [count, size, size, 3])
    return tf.constant(images.astype(np.uint8))


@pytest.fixture(scope="module")
def small():
    network = build_network(NetworkConfig(backbone="small_cnn"), 32, CLASSES, seed=3)
    network.get_layer("logits").bias.assign(np.linspace(-1, 1, CLASSES))
    return network


@pytest.mark.parametrize("training", [False, True])
def test_the_attentions_average_is_the_logits_less_the_bias(small, training):
    maps, features, logits = feature_map(small)(images_of(32), training=training)
    assert maps.shape[1] > 1 and maps.shape[1] == maps.shape[2]
    kernel, bias = small.get_layer("logits").get_weights()
    average = attention_maps(maps, kernel).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(average, logits.numpy() - bias, atol=1e-4)
    expected = small(images_of(32), training=training)
    for a, b in zip((features, logits), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_features_that_average_no_map_have_none():
    assert feature_map(tiny_network()) is None
    assert feature_map(tiny_network(convolution=True)) is not None


@pytest.mark.slow
def test_a_pretrained_backbone_is_normalized_as_the_network_has_it():
    # Its normalization is folded into its weights: `build_network` runs it as in evaluation.
    settings = NetworkConfig(backbone="mobilefacenet", pretrained="x.onnx", rectifier="relu6")
    network = build_network(settings, 32, CLASSES, load=False)
    images, first = images_of(32), network.get_weights()
    expected, moved = network(images, training=True), network.get_weights()
    network.set_weights(first)
    _, *found = feature_map(network)(images, training=True)
    for a, b in zip([*found, *network.get_weights()], [*expected, *moved], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("convolution", [False, True])
def test_no_gradient_reaches_the_classifier_by_way_of_the_maps(convolution):
    made = compiled("eac", tiny_network(convolution=convolution))
    last, data = made.network.get_layer("logits"), batch()
    with tf.GradientTape(persistent=True) as tape:
        rows = made.losses(data, None)
        total = tf.reduce_sum(rows.loss)
        classification = tf.reduce_sum(rows.classification_loss)
        consistency = tf.reduce_sum(rows.consistency_loss)
    assert tape.gradient(consistency, last.kernel) is None
    assert tape.gradient(consistency, last.bias) is None
    first = made.network.trainable_variables[0]
    assert np.abs(tape.gradient(consistency, first)).max() > 1e-4
    np.testing.assert_allclose(
        tape.gradient(total, last.kernel), tape.gradient(classification, last.kernel), atol=1e-6
    )
    # L = CE + 5 L_c in all that lies beneath
    expected = tape.gradient(classification, first) + 5 * tape.gradient(consistency, first)
    np.testing.assert_allclose(tape.gradient(total, first), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_that_attention_stops_is_an_argument():
    maps, kernel = tf.ones([1, 2, 2, 3]), tf.Variable(tf.ones([3, 7]))
    for stops, expected in ((True, None), (False, 4.0)):  # each of 4 places adds F_k = 1
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(attention_maps(maps, kernel, stops))
        found = tape.gradient(total, kernel)
        assert found is None if stops else (found.numpy() == expected).all()


def loss_by_hand(network, images, mirrored, labels, convolution, weight):
    """CE of the pictures alone + weight * mean over b, c, h, w of squared distances."""
    last, attended, distance = network.get_layer("logits"), [], 0.0
    kernel = last.kernel.numpy()
    for number, view in enumerate((images, mirrored)):  # batch statistics of each
        maps = tf.cast(view, tf.float32) / 127.5 - 1.0
        for layer in network.get_layer("backbone").layers:
            if not isinstance(
                layer, (tf.keras.layers.InputLayer, tf.keras.layers.GlobalAveragePooling2D)
            ):
                maps = layer(maps, training=True)
        if number == 0:
            features = tf.reduce_mean(maps, axis=[1, 2]) if convolution else maps
            classification = mean_cross_entropy(labels, features @ last.kernel + last.bias)
        maps = maps if convolution else maps[:, tf.newaxis, tf.newaxis]
        attended.append(
            [sum(kernel[k, c] * maps[..., k] for k in range(UNITS)) for c in range(CLASSES)]
        )
    count, width = len(labels), maps.shape[2]
    for first, second in zip(*attended, strict=True):
        for w in range(width):
            distance += tf.reduce_sum((first[:, :, w] - second[:, :, width - 1 - w]) ** 2)
    places = maps.shape[1] * width
    return classification + weight * distance / (count * CLASSES * places)


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_steps_are_those_written_by_hand(convolution, given):
    made = compiled("eac", tiny_network(convolution=convolution), eac_weight=2.0)
    twin = tiny_network(convolution=convolution)
    optimizer = tf.keras.optimizers.SGD(0.1)
    for seed in range(3):
        data = batch(seed)
        mirrored = data["image"][:, :, ::-1]
        if given:  # as with pooled maps: a view of its own, not the first one reversed
            mirrored = batch(seed + 50)["image"]
            data["mirrored_image"] = mirrored
        made.reset_metrics()
        logs = made.train_step(data)
        expected = step_by_hand(
            optimizer,
            twin.trainable_variables,
            lambda data=data, mirrored=mirrored: loss_by_hand(
                twin, data["image"], mirrored, data["label"], convolution, 2.0
            ),
        )
        np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
        parts = logs["classification_loss"] + 2.0 * logs["consistency_loss"]
        np.testing.assert_allclose(logs["loss"], parts, rtol=1e-5)
    assert_equal_variables(made.network.variables, twin.variables)


def test_without_views_of_their_own_both_have_the_same_erased_patch():
    config = AugmentationConfig(pad=0, flip=False, erase_probability=1.0, erase_area=(0.1, 0.3))
    clean = tf.zeros([BATCH, 16, 16, 3], tf.uint8)
    erased = augment(clean, tf.constant([1, 2]), config, True, 0, BATCH)
    patches = erased.numpy().any(axis=-1)
    assert patches.any(axis=(1, 2)).all() and not patches.all(axis=(1, 2)).any()
    network = build_network(NetworkConfig(backbone="small_cnn"), 32, CLASSES)
    made, passed = compiled("eac", network), []
    erased = tf.repeat(tf.repeat(erased, 2, axis=1), 2, axis=2)
    run = made.with_map
    made.with_map = lambda images, training: (
        passed.append(images.numpy()) or run(images, training=training)
    )
    made.losses(batch() | {"image": erased}, None)
    images, mirrored = passed
    np.testing.assert_array_equal(images, erased)
    for column in range(32):
        np.testing.assert_array_equal(mirrored[:, :, column], images[:, :, 31 - column])
    assert (images != mirrored).any()


def test_pooled_maps_are_a_map_of_one_place():
    made = compiled("eac", feature_network(9, CLASSES))
    rng = np.random.default_rng(4)
    images, mirrored = rng.normal(size=[2, BATCH, 9]).astype(np.float32)
    kernel = rng.normal(size=[9, CLASSES]).astype(np.float32)
    made.kernel.assign(kernel)
    data = {"sample_id": tf.range(BATCH), "label": batch()["label"], "image": images}
    rows = made.losses(data | {"mirrored_image": mirrored}, None)
    # 1/C sum_c (W_c v - W_c v')^2
    pairs = list(zip(images, mirrored, strict=True))
    expected = [np.mean([(a @ w - b @ w) ** 2 for w in kernel.T]) for a, b in pairs]
    np.testing.assert_allclose(rows.consistency_loss, expected, rtol=1e-4)
    np.testing.assert_allclose(rows.logits, images @ kernel, rtol=1e-4, atol=1e-5)


def test_dropout_of_a_frozen_backbones_head_is_no_inconsistency():
    assert_dropout_is_shared("eac", "consistency_loss")


def test_without_weight_it_is_plain_training():
    # Without batch normalization, which sees the mirrored view, too.
    made = compiled("eac", tiny_network(batch_norm=False), eac_weight=0.0)
    assert_trains_plainly(made, tiny_network(batch_norm=False))


def test_consistency_counts_after_the_plain_epochs():
    settings = dict(batch_size=BATCH, epochs=15, eac_plain_share=0.1)  # two, of 2 steps each
    made = compiled("eac", tiny_network(batch_norm=False), **settings)
    plain = compiled("cross_entropy", tiny_network(batch_norm=False), batch_size=BATCH)
    for seed in range(5):
        made.train_step(batch(seed))
        plain.train_step(batch(seed))
        pairs = zip(made.network.variables, plain.network.variables, strict=True)
        apart = max(np.abs(a - b).max() for a, b in pairs)
        assert apart < 1e-6 if seed < 4 else apart > 1e-3


def test_the_gradient_of_the_consistency_is_that_of_the_formula():
    assert_differentiates(flip_consistency, *np.random.default_rng(1).normal(size=[2, 1, 2, 3, 2]))


def test_a_face_that_is_its_own_mirror_image_is_consistent():
    made = compiled("eac", tiny_network(convolution=True))
    half = np.random.default_rng(0).integers(0, 256, [BATCH, SIDE, SIDE // 2, 3])
    images = np.concatenate([half, half[:, :, ::-1]], axis=2).astype(np.uint8)
    conv = made.network.get_layer("backbone").layers[1]
    kernel = conv.kernel.numpy()
    conv.kernel.assign(kernel + kernel[:, ::-1])
    rows = made.losses(batch() | {"image": tf.constant(images)}, None)
    np.testing.assert_allclose(rows.consistency_loss, np.zeros(BATCH), atol=1e-9)
