"""Turns a channels-first Keras network into the channels-last one of the same function.

TensorFlow runs channels-first convolutions on GPUs only. In the twin, every tensor of rank 4 is the
transpose [B, H, W, C] of the original's [B, C, H, W], and every other tensor is the same. Each
layer keeps this by one of four ways: as it is, with another `data_format`, with another axis, or
between two transpositions. Kernels are the same in both formats.
"""

import json

import numpy as np
import tensorflow as tf

layers = tf.keras.layers

_ELEMENTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Dropout", "AlphaDropout"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"),
}
_SPATIAL = {
    *("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "UpSampling2D"),
    *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"),
    *("ZeroPadding2D", "Cropping2D", "SpatialDropout2D", "Flatten"),
}
_WITH_AXIS = {"BatchNormalization", "LayerNormalization", "GroupNormalization", "Concatenate"}
_AXIS_AFTERWARDS = {1: 3, 2: 1, 3: 2}


class Unconvertible(ValueError):
    """A layer has no channels-last twin; the text names it."""


def to_channels_last(model: tf.keras.Model) -> tf.keras.Model:
    """Builds the channels-last twin, with the same weights and layer names.

    Args:
      model: functional or Sequential, from images [B, C, H, W].

    Returns:
      A functional model from images [B, H, W, C]. An output of rank 4 is transposed, any other is
      the same.

    Raises:
      Unconvertible: for a layer that mixes the two formats or is not known here.
    """
    pairs = []

    def twin(layer):
        if isinstance(layer, tf.keras.Model):
            return to_channels_last(layer)
        new = _twin(layer)
        pairs.append((layer, new))
        return new

    graph = tf.keras.Model(model.inputs, model.outputs, name=model.name)
    tensor = model.inputs[0]
    shape = tensor.shape[1:]
    if len(model.inputs) != 1 or shape.rank not in (1, 3):
        raise Unconvertible(f"{model.name} has another input than one image")
    shape = [shape[1], shape[2], shape[0]] if shape.rank == 3 else shape
    inputs = tf.keras.Input(shape, dtype=tensor.dtype)
    converted = tf.keras.models.clone_model(graph, input_tensors=inputs, clone_function=twin)
    for old, new in pairs:
        weights = old.get_weights()
        if isinstance(old, layers.PReLU) and weights[0].ndim == 3:
            weights = [np.transpose(weights[0], (1, 2, 0))]
        new.set_weights(weights)
    return converted


def _twin(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    kind, config = type(layer).__name__, layer.get_config()
    inputs = [tensor.shape.rank for tensor in tf.nest.flatten(layer.get_input_at(0))]
    images_in = 4 in inputs
    images_out = any(t.shape.rank == 4 for t in tf.nest.flatten(layer.get_output_at(0)))
    if images_in and set(inputs) != {4}:
        raise Unconvertible(f"{kind} {layer.name} joins images and vectors")
    along_last_axis = config.get("activation") in ("softmax", "log_softmax")
    if images_in and along_last_axis and kind in _SPATIAL:
        raise Unconvertible(f"{kind} {layer.name} has a softmax along the image's width")
    if images_in and config.get("data_format") == "channels_first" and kind in _SPATIAL:
        config["data_format"] = "channels_last"
    elif kind == "Flatten":
        pass
    elif '"channels_first"' in json.dumps(config, default=str):
        raise Unconvertible(f"{kind} {layer.name} is channels-first")
    if images_in and kind in _WITH_AXIS:
        config["axis"] = _axis_afterwards(layer, config["axis"])
    elif images_in and kind == "PReLU":
        shared = layer.shared_axes
        config["shared_axes"] = sorted(_AXIS_AFTERWARDS[a] for a in shared) if shared else None
    new = type(layer).from_config(config)
    elementwise = kind in _ELEMENTWISE and not along_last_axis and not config.get("noise_shape")
    turned = kind in _WITH_AXIS | {"PReLU"} or config != layer.get_config()
    if elementwise or turned or not (images_in or images_out):
        return new
    if len(inputs) > 1:
        raise Unconvertible(f"{kind} {layer.name} joins several images")
    before = [layers.Permute((3, 1, 2))] if images_in else []
    after = [layers.Permute((2, 3, 1))] if images_out else []
    return tf.keras.Sequential([*before, new, *after], name=layer.name)


def _axis_afterwards(layer: tf.keras.layers.Layer, axis: int) -> int:
    """Returns where the axis of [B, C, H, W] lies in [B, H, W, C]."""
    listed = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if len(listed) != 1 or listed[0] % 4 == 0:
        raise Unconvertible(f"{type(layer).__name__} {layer.name} works along axes {listed}")
    return _AXIS_AFTERWARDS[listed[0] % 4]
