"""Tiny networks, batches and compiled models for the tests of the methods."""

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.settings import NetworkConfig
from ldl_fer.methods import METHODS
from ldl_fer.networks.head import head

SAMPLES, BATCH, NEIGHBORS, CLASSES, SIDE, UNITS = 12, 6, 3, 7, 4, 10
LABELS = np.random.default_rng(99).integers(0, CLASSES, SAMPLES).astype(np.int32)
layers = tf.keras.layers


def tiny_network(seed=0, batch_norm=True, convolution=False, dropout=0.0):
    """Layers named as those of `build_network`; equal seeds, equal weights."""
    tf.keras.utils.set_random_seed(seed)
    pixels = x = tf.keras.Input([SIDE, SIDE, 3])
    x = layers.Conv2D(UNITS, 3, padding="same")(x) if convolution else layers.Flatten()(x)
    x = x if convolution else layers.Dense(UNITS)(x)
    x = layers.BatchNormalization()(x) if batch_norm else x
    x = layers.ReLU(name="rectified")(x)
    x = layers.GlobalAveragePooling2D()(x) if convolution else x
    backbone = tf.keras.Model(pixels, x, name="backbone")
    images = tf.keras.Input([SIDE, SIDE, 3])
    x = backbone(layers.Rescaling(1 / 127.5, -1.0, name="pixels")(images))
    features = x = layers.Activation("linear", name="features")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(x) if dropout else x
    logits = layers.Dense(CLASSES, name="logits")
    return tf.keras.Model(images, [features, logits(x)], name="network")


def feature_network(size, classes):
    """A head whose input is its features, and the first of them its logits."""
    images = tf.keras.Input([size])
    features = layers.Activation("linear", name="features")(images)
    logits = layers.Dense(classes, name="logits")
    head = tf.keras.Model(images, [features, logits(features)], name="head")
    logits.set_weights([np.eye(size, classes), np.zeros(classes)])
    whole = tf.keras.Input([size])
    return tf.keras.Model(whole, head(whole), name="network")


def head_network(size):
    """A frozen backbone's head, with dropout, alone."""
    config = NetworkConfig(dropout=0.5, head_units=UNITS)
    pooled = tf.keras.Input([size])
    return tf.keras.Model(pooled, head(config, size, CLASSES, seed=0)(pooled), name="network")


def early_dropout_network(size):
    """A head with dropout before its features, as a backbone of a user's may have."""
    inputs, whole = tf.keras.Input([size]), tf.keras.Input([size])
    hidden = layers.Dropout(0.5, seed=0, name="dropout")(inputs)
    features = layers.Dense(UNITS, "relu", name="features")(hidden)
    logits = layers.Dense(CLASSES, name="logits")(features)
    head = tf.keras.Model(inputs, [features, logits], name="head")
    return tf.keras.Model(whole, head(whole), name="network")


def compiled(
    method,
    network=None,
    optimizer=None,
    steps_per_epoch=2,
    samples=SAMPLES,
    class_weights=None,
    teachers=None,
    **settings,
):
    """A compiled model of a method, of a tiny network; with teachers, if it has any."""
    config = Config().replace(method=method, **settings)
    network = METHODS[method].complete(tiny_network() if network is None else network, seed=0)
    teachers = teachers_of(config) if teachers is None else teachers
    made = METHODS[method](
        network, config, samples, steps_per_epoch, class_weights, teachers=teachers
    )
    # SGD, since Adam would magnify the rounding of gradients that are exactly zero (a bias before
    # a batch normalization).
    made.compile(optimizer or tf.keras.optimizers.SGD(0.1))
    return made


def teachers_of(config, make=tiny_network):
    """Networks for the runs that a method learns from."""
    return [make(90 + place) for place, _ in enumerate(METHODS[config.method].teacher_runs(config))]


def batch(seed=0, size=BATCH):
    rng = np.random.default_rng(seed)
    places = np.random.default_rng([seed, 1])
    ids = rng.permutation(SAMPLES)[:size].astype(np.int32)
    arrays = {
        "sample_id": ids,
        "label": LABELS[ids],
        "image": rng.integers(0, 256, [size, SIDE, SIDE, 3]).astype(np.uint8),
        "neighbors": rng.integers(0, SAMPLES, [size, NEIGHBORS]).astype(np.int32),
        "auxiliary": places.uniform(-0.5, 0.5, [size, 2]).astype(np.float32),
        "neighbor_auxiliary": places.uniform(-0.5, 0.5, [size, NEIGHBORS, 2]).astype(np.float32),
    }
    return {name: tf.constant(array) for name, array in arrays.items()}


def softmax(logits):
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def step_by_hand(optimizer, variables, loss):
    """One plain step on the value of `loss()`."""
    with tf.GradientTape() as tape:
        value = loss()
    optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
    return float(value)


def mean_cross_entropy(labels, logits):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
    )


def assert_equal_variables(first, second, atol=1e-6):
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=a.name)


def assert_trains_plainly(made, network=None, atol=1e-6):
    """Asserts that three steps leave what plain training leaves; `network`: plain training's."""
    plain = compiled("cross_entropy", network)
    for seed in range(3):
        made.train_step(batch(seed))
        plain.train_step(batch(seed))
    assert_equal_variables(made.learner.variables, plain.network.variables, atol)


def own_variables(made):
    """Those of the method beside the network's, the optimizer's and the metrics'."""
    others = [*made.network.variables, *made.optimizer.variables]
    others += [variable for metric in made.metrics for variable in metric.variables]
    known = {id(variable) for variable in others}
    return [variable for variable in made.variables if id(variable) not in known]


def state(made):
    """All variables, the optimizer's among them, but the metrics': sums over many samples."""
    metrics = {id(variable) for metric in made.metrics for variable in metric.variables}
    every = [*made.variables, *made.optimizer.variables]
    return [variable for variable in every if id(variable) not in metrics]


def assert_dropout_is_shared(method, part, atol=0.0):
    """Asserts that a method of two views sees no difference of a face from itself under dropout.

    Args:
      method: its name; its network is the head of a frozen backbone.
      part: of its losses, 0 where both views are the same.
      atol: of that.
    """
    made = compiled(method, head_network(8))
    pooled, other = tf.constant(np.random.default_rng(3).normal(size=[2, BATCH, 8]), tf.float32)
    data = batch() | {"image": pooled, "mirrored_image": pooled}
    losses = [made.losses(data, None) for _ in range(2)]
    assert (losses[0].logits != losses[1].logits).numpy().any()  # dropout is at work
    for rows in losses:
        np.testing.assert_allclose(getattr(rows, part), np.zeros(BATCH), atol=atol)
    rows = made.losses(data | {"mirrored_image": other}, None)
    assert getattr(rows, part).numpy().min() > 1e-4


def without_chance(made):
    """The same with its dropout off, so that two runs can be compared."""
    for layer in made.submodules:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return made
