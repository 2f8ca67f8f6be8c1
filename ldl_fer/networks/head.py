"""The head on a backbone, and the parts of a network of `network.build_network`.

Dropout and "logits" stand on the features. A frozen backbone has a model "head", which is trained
alone: from pooled maps to features and logits.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ldl_fer.config.settings import NetworkConfig


def head(config: NetworkConfig, size: int, num_classes: int, seed: int) -> tf.keras.Model:
    """Builds the head of a frozen backbone: maps [B, size] -> (features [B, head_units], logits).

    Layers: "standardization" (see `standardize`), "hidden", "normalization", "features", dropout
    and "logits" [B, C].
    """
    pooled = tf.keras.Input([size], name="pooled")
    standard = tf.keras.layers.BatchNormalization(
        center=False, scale=False, trainable=False, name="standardization"
    )(pooled, training=False)
    hidden = tf.keras.layers.Dense(
        config.head_units,
        use_bias=False,
        kernel_initializer=tf.keras.initializers.HeNormal(seed),
        name="hidden",
    )(standard)
    hidden = tf.keras.layers.BatchNormalization(
        momentum=0.9, synchronized=config.sync_batch_norm, name="normalization"
    )(hidden)
    features = tf.keras.layers.ReLU(name="features")(hidden)
    outputs = features, logits(dropout(features, config, seed), num_classes, seed)
    return tf.keras.Model(pooled, outputs, name="head")


def dropout(x: tf.Tensor, config: NetworkConfig, seed: int) -> tf.Tensor:
    """Applies a layer "dropout" unless its rate is zero."""
    if not config.dropout:
        return x
    # A generator of its own can be saved in training checkpoints: a run goes on as it would.
    return tf.keras.layers.Dropout(
        config.dropout, seed=seed, force_generator=True, dtype="float32", name="dropout"
    )(x)


def logits(features: tf.Tensor, num_classes: int, seed: int) -> tf.Tensor:
    """Applies the layer "logits", float32: [B, V] -> [B, C]."""
    return tf.keras.layers.Dense(
        num_classes,
        kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(features)


def trained_part(network: tf.keras.Model) -> tf.keras.Model:
    """Returns the head over a frozen backbone; of any other network, all of it."""
    models = [layer for layer in network.layers if isinstance(layer, tf.keras.Model)]
    return next((model for model in models if model.name == "head"), network)


def frozen_part(network: tf.keras.Model) -> tf.keras.Model:
    """Returns the rest: images [B, H, W, 3] -> pooled maps [B, P] that the head takes."""
    images = tf.keras.Input(network.input_shape[1:])
    pixels = network.get_layer("pixels")(images)
    return tf.keras.Model(images, network.get_layer("backbone")(pixels, training=False))


def standardize(network: tf.keras.Model, mean: np.ndarray, variance: np.ndarray) -> None:
    """Sets the statistics by which the head of a frozen backbone standardizes its pooled maps.

    Args:
      network: of `build_network`.
      mean, variance: [P], of the training set.
    """
    network.get_layer("head").get_layer("standardization").set_weights([mean, variance])


def backbone_variables(network: tf.keras.Model) -> list[tf.Variable]:
    """Returns the trained variables beneath the features; none in a frozen backbone's head."""
    found = [layer for layer in network.layers if layer.name == "backbone"]
    return found[0].trainable_variables if found else []


def read_out(network: tf.keras.Model) -> tf.keras.Model:
    """Returns the layers after the features: [B, V] -> logits [B, C].

    Args:
      network: of `build_network`, or its head.
    """
    features, logits = network.outputs
    return tf.keras.Model(features, logits)


def with_logits(
    network: tf.keras.Model, answer: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.keras.Model:
    """Returns the network with other logits; its layers are shared.

    Args:
      network: of `build_network`.
      answer: features [B, V] and logits [B, C], symbolic -> logits [B, C].
    """
    part = trained_part(network)
    features, logits = part.outputs
    answered = tf.keras.Model(part.inputs, [features, answer(features, logits)], name=part.name)
    if part is network:
        return answered
    pooled = part.inbound_nodes[0].keras_inputs
    return tf.keras.Model(network.inputs, answered(*pooled), name=network.name)


def feature_map(network: tf.keras.Model) -> tf.keras.Model | None:
    """Returns images [B, H, W, 3] -> (map [B, h, w, V], features, logits).

    The features are the map's average. The layers are the network's own, used as it uses them. None
    where the features are no average of a map.
    """
    if trained_part(network) is not network:
        return None
    backbone = network.get_layer("backbone")
    last = backbone.layers[-1]
    if not isinstance(last, tf.keras.layers.GlobalAveragePooling2D):
        return None
    inner = tf.keras.Model(backbone.input, (last.input, last.output))
    images = tf.keras.Input(network.input_shape[1:])
    mode = backbone.inbound_nodes[0].call_kwargs  # training=False where it is pretrained
    maps, average = inner(network.get_layer("pixels")(images), **mode)
    features = network.get_layer("features")(average)
    return tf.keras.Model(images, (maps, features, read_out(network)(features)))
