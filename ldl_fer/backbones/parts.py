"""The parts of a network of `backbones.build_network`: backbone, head, read-out, feature map."""

import numpy as np
import tensorflow as tf


def trained_part(network: tf.keras.Model) -> tf.keras.Model:
    """All of a network of `build_network`, or the head over its frozen backbone."""
    models = [layer for layer in network.layers if isinstance(layer, tf.keras.Model)]
    return next((model for model in models if model.name == "head"), network)


def frozen_part(network: tf.keras.Model) -> tf.keras.Model:
    """The rest: images [B, H, W, 3] -> pooled maps [B, P] that the head takes."""
    images = tf.keras.Input(network.input_shape[1:])
    pixels = network.get_layer("pixels")(images)
    return tf.keras.Model(images, network.get_layer("backbone")(pixels, training=False))


def standardize(network: tf.keras.Model, mean: np.ndarray, variance: np.ndarray) -> None:
    """Tells the head of a frozen backbone what the pooled maps are like.

    Args:
      network: of `build_network`.
      mean, variance: [P], of the training set.
    """
    network.get_layer("head").get_layer("standardization").set_weights([mean, variance])


def backbone_variables(network: tf.keras.Model) -> list[tf.Variable]:
    """The trained variables that lie beneath the features; none in a frozen backbone's head."""
    found = [layer for layer in network.layers if layer.name == "backbone"]
    return found[0].trainable_variables if found else []


def read_out(network: tf.keras.Model) -> tf.keras.Model:
    """The last layers, features [B, V] -> logits [B, C]: dropout, if it comes there, and "logits".

    Args:
      network: of `build_network`, or its head.
    """
    features = hidden = tf.keras.Input(network.outputs[0].shape[1:])
    names = [layer.name for layer in network.layers]
    for name in names[names.index("features") + 1 :]:
        hidden = network.get_layer(name)(hidden)
    return tf.keras.Model(features, hidden)


def feature_map(network: tf.keras.Model) -> tf.keras.Model | None:
    """Images [B, H, W, 3] -> (map [B, h, w, V] whose average the features are, features, logits).

    The layers are the network's own, used as it uses them. None where the features are no average
    of a map.
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
