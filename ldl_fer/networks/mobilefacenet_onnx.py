"""MobileFaceNet's weights out of an ONNX file, into the Keras layers.

The file's constants are taken in the order of its nodes, where their shapes have to fit our layers.
Then both networks see the same random images: whatever else differs, such as strides, padding or
residuals, shows in the answers. Batch normalization may stand in nodes of its own or be folded into
the convolutions; rectifiers may be PRelu or, as in MobileFaceNet.onnx, ReLU6.
"""

import functools
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.model_files import onnx_session, read_onnx
from ldl_fer.networks.onnx_twins import answers_of_file, check_alike, read_constants, tiles

layers = tf.keras.layers

FILE_SIZE = 112  # pixels; the 7 x 7 kernel of gdconv fits no other
# The file takes (x - 127.5) / 128, our backbones (x - 127.5) / 127.5.
_INPUT_SCALE = 127.5 / 128
_CONVOLUTIONS = ("Conv", "Gemm")  # a Gemm of the flattened 1 x 1 map is a convolution
_RECTIFIERS = ("PRelu", "Relu", "Clip")


def load_mobilefacenet(
    path: str | Path, image_size: int, output: str = "average", rectifier: str | None = None
) -> tf.keras.Model:
    """Builds `mobilefacenet(image_size, rectifier, output)`, trainable, with the file's weights.

    Where the file has its batch normalization folded away, ours has mean 0 and variance 1, which
    no batch has: call it with training=False, in training too.

    Args:
      path: an ONNX file of a MobileFaceNet for RGB images of 112 pixels, (x - 127.5) / 128.
      image_size: H = W, pixels, a multiple of 16.
      output: "average", V = 512, or "embedding", V = 128, as `mobilefacenet` has it.
      rectifier: "prelu" or "relu6", which the file must have; None: the one it has.

    Returns:
      RGB images [B, H, W, 3], normalized as (x - 127.5) / 127.5, -> features [B, V].

    Raises:
      InputError: no such file, no ONNX file, one with external data, one of another network or
        rectifier, or whose answers differ from ours by more than TOLERANCE; an image size that does
        not fit; no package onnx or onnxruntime.
    """
    if output == "embedding" and image_size != FILE_SIZE:
        raise InputError(
            f"--image_size={image_size} does not fit the embedding of {path}, whose last kernel "
            f"takes images of {FILE_SIZE} pixels. Average the map instead (output='average'), or "
            f"set --image_size={FILE_SIZE}."
        )
    file = read_onnx(path)
    session = onnx_session(file, path)
    found = _rectifier(file.graph, path)
    if rectifier not in (None, found):
        raise InputError(f"{path} has {found}: add --rectifier={found}.")
    whole = mobilefacenet(FILE_SIZE, found)
    _set_weights(whole, file.graph, path)
    _compare(whole, session, path)
    if output == "embedding":
        return whole
    model = mobilefacenet(image_size, found, output)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
    return model


def _rectifier(graph: Any, path: str | Path) -> str:
    """Returns the rectifier's name, as `mobilefacenet` has it."""
    operations = {node.op_type for node in graph.node}
    if "PRelu" in operations:
        return "prelu"
    if "Clip" in operations:
        return "relu6"
    raise InputError(f"{path} is no MobileFaceNet: it has neither PRelu nor Clip nodes.")


def _set_weights(model: tf.keras.Model, graph: Any, path: str | Path) -> None:
    """Sets the weights of all layers; raises InputError where the file's do not fit them."""
    constants = read_constants(graph, path)
    normalizations = {x.input[0]: x for x in graph.node if x.op_type == "BatchNormalization"}
    ours = [x for x in model.layers if isinstance(x, (layers.Conv2D, layers.DepthwiseConv2D))]
    theirs = [node for node in graph.node if node.op_type in _CONVOLUTIONS]
    for layer, node in zip_longest(ours, theirs):
        kernel = _kernel(node, constants) if node else None
        if layer is None or kernel is None or kernel.shape != _onnx_shape(layer):
            wanted = f"{layer.name} {list(_onnx_shape(layer))}" if layer else "nothing"
            shape = "no constant" if kernel is None else list(kernel.shape)
            raise _mismatch(
                path,
                f"it has {len(theirs)} convolutions, ours {len(ours)}; the first that do not match "
                f"(ours against the file's): {wanted} against "
                + (f"{node.input[1]} {shape}" if node else "nothing"),
            )
        scale = _INPUT_SCALE if layer.name == "conv1" else 1.0
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        layer.set_weights([scale * kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])
        normalization = model.get_layer(f"{layer.name}_bn")
        follower = normalizations.get(node.output[0])
        names = [*node.input[2:3], *(follower.input[1:5] if follower else ())]
        vectors = [constants.get(name, np.zeros(0)) for name in names]
        if any(vector.shape != kernel.shape[:1] for vector in vectors):
            shapes = [list(vector.shape) for vector in vectors]
            raise _mismatch(
                path, f"{layer.name} takes constants [{len(kernel)}], {names} have {shapes}"
            )
        bias = vectors.pop(0) if len(node.input) > 2 else np.zeros(len(kernel))
        normalization.set_weights(_statistics(bias, vectors, follower, normalization.epsilon))
    slopes = [layer for layer in model.layers if isinstance(layer, layers.PReLU)]
    rectifiers = [node for node in graph.node if node.op_type in _RECTIFIERS]
    for layer, node in zip(slopes, rectifiers, strict=False):  # `_compare` notices one too many
        slope = constants.get(node.input[1]) if node.op_type == "PRelu" else np.zeros(1)
        if slope is None or slope.size not in (1, layer.alpha.shape[-1]):
            raise _mismatch(path, f"{node.name} has other slopes than {layer.name}")
        layer.set_weights([np.broadcast_to(slope.reshape(1, 1, -1), layer.alpha.shape)])


def _statistics(
    bias: np.ndarray, vectors: list[np.ndarray], node: Any | None, epsilon: float
) -> list[np.ndarray]:
    """Returns gamma, beta, mean and variance [C] of our batch normalization.

    Args:
      bias: [C], of the file's convolution.
      vectors: the same four of the file's; none where it is folded into the convolution.
      node: the file's.
      epsilon: of ours.
    """
    if node is None:
        return [np.ones_like(bias), bias, np.zeros_like(bias), np.ones_like(bias) - epsilon]
    gamma, beta, mean, variance = vectors
    (other,) = [x.f for x in node.attribute if x.name == "epsilon"] or [1e-5]
    return [gamma, beta, mean - bias, variance + (other - epsilon)]


def _kernel(node: Any, constants: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Returns a node's kernel [O, I, h, w]; None: it is no constant."""
    kernel = constants.get(node.input[1])
    if node.op_type == "Gemm" and kernel is not None:
        transposed = any(x.name == "transB" and x.i for x in node.attribute)
        return (kernel if transposed else kernel.T)[..., np.newaxis, np.newaxis]
    return kernel


def _onnx_shape(layer: tf.keras.layers.Layer) -> tuple[int, ...]:
    """Returns the kernel's shape as ONNX has it: [O, I, h, w], depthwise [C, 1, h, w]."""
    height, width, first, last = layer.weights[0].shape
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return (first, last, height, width) if depthwise else (last, first, height, width)


def _compare(model: tf.keras.Model, session: Any, path: str | Path) -> None:
    """Raises InputError unless model and file answer alike to random images, within TOLERANCE."""
    images = tiles(4, FILE_SIZE)
    fed = (_INPUT_SCALE * images).astype(np.float32).transpose(0, 3, 1, 2)[:, np.newaxis]
    mismatch = functools.partial(_mismatch, path)
    theirs = answers_of_file(session, fed, f"RGB images of {FILE_SIZE} pixels", mismatch)
    check_alike(theirs, model, images, mismatch, ", as by other strides, padding or rectifiers")


def _mismatch(path: str | Path, difference: str) -> InputError:
    return InputError(f"{path} is not the MobileFaceNet of ldl_fer: {difference}.")
