"""MobileFaceNet's weights out of an ONNX file, into the Keras layers.

The file's graph and ours are walked side by side, node by layer: operation, inputs, attributes and
shapes have to agree. Its batch normalization may stand in BatchNormalization nodes or be folded
into the convolutions, its rectifiers may be PRelu or, as in MobileFaceNet.onnx, ReLU6.
"""

import itertools
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.backbones.mobilefacenet import mobilefacenet
from ldl_fer.backbones.onnx_graph import CONVOLUTIONS, Graph, Node, read_graph
from ldl_fer.backbones.onnx_layers import (
    check_attributes,
    file_shape,
    is_convolution,
    mismatch,
    set_kernel,
    set_normalization,
    set_slopes,
    vector,
)
from ldl_fer.errors import InputError

layers = tf.keras.layers

FILE_SIZE = 112  # Pixels; gdconv's 7 x 7 kernel fits no other.
_SHOWN = 10


def load_mobilefacenet(
    path: str | Path, image_size: int, output: str = "average", rectifier: str | None = None
) -> tf.keras.Model:
    """The file's network, trainable: `mobilefacenet(image_size, rectifier, output)`.

    Where the file has its batch normalization folded away, ours has mean 0 and variance 1, which
    no batch has: call it with training=False, in training too.

    Args:
      path: an ONNX file of a MobileFaceNet for RGB images of 112 pixels, (x - 127.5) / 128.
      image_size: H = W, pixels, a multiple of 16.
      output: "average", V = 512, or "embedding", V = 128, as `mobilefacenet` has it.
      rectifier: "prelu" or "relu6", what the file must have; None: what it has.

    Returns:
      RGB images [B, H, W, 3], normalized as (x - 127.5) / 127.5, -> features [B, V].

    Raises:
      InputError: no such file, no ONNX file, one with external data, one of another network or
        rectifier; an image size that does not fit; no package onnx.
    """
    if output == "embedding" and image_size != FILE_SIZE:
        raise InputError(
            f"--image_size={image_size} does not fit the embedding of {path}, whose last kernel "
            f"takes images of {FILE_SIZE} pixels. Average the map instead (output='average'), or "
            f"set --image_size={FILE_SIZE}."
        )
    graph = read_graph(path)
    found = _rectifier(graph)
    if rectifier not in (None, found):
        raise InputError(f"{path} has {found}: add --rectifier={found}.")
    whole = mobilefacenet(FILE_SIZE, found)
    _compare_kernels(whole, graph)
    _fill(whole, graph)
    model = mobilefacenet(image_size, found, output)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
    return model


def _rectifier(graph: Graph) -> str:
    """As `mobilefacenet` names it."""
    ops = {node.op for node in graph.nodes}
    if "PRelu" in ops:
        return "prelu"
    if "Clip" in ops:
        return "relu6"
    raise InputError(f"{graph.path} is no MobileFaceNet: it has neither PRelu nor Clip nodes.")


def _compare_kernels(model: tf.keras.Model, graph: Graph) -> None:
    """Raises InputError with the names of the convolutions whose shapes differ."""
    ours = [(x.name, file_shape(x)) for x in model.layers if is_convolution(x)]
    nodes = [node for node in graph.nodes if node.op in CONVOLUTIONS]
    theirs = [(node.inputs[1], graph.kernel(node).shape) for node in nodes]
    wrong = [
        " against ".join(f"{x[0]} {list(x[1])}" if x else "nothing" for x in pair)
        for pair in itertools.zip_longest(ours, theirs)
        if None in pair or pair[0][1] != pair[1][1]
    ]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"{graph.path} is not the MobileFaceNet of ldl_fer: it has {len(theirs)} convolutions, "
            f"ours {len(ours)}, and {len(wrong)} do not match (ours against the file's): "
            f"{'; '.join(wrong[:_SHOWN])}{more}."
        )


def _fill(model: tf.keras.Model, graph: Graph) -> None:
    """Walks layers and nodes together; what a layer lacks in the file raises InputError."""
    nodes = list(graph.nodes)
    given = {}  # Our tensor -> the file's.
    padding, bias = 0, np.zeros(0)

    def take(layer: tf.keras.layers.Layer, *ops: str) -> Node:
        inputs = [given[x.name] for x in tf.nest.flatten(layer.input)]
        node = nodes.pop(0) if nodes else Node("nothing", "the end", (), "", {})
        if node.op not in ops or sorted(node.inputs[: len(inputs)]) != sorted(inputs):
            raise mismatch(graph, layer, f"a {' or '.join(ops)} of {inputs}", node)
        return node

    for layer in model.layers:
        node = None
        if isinstance(layer, layers.InputLayer):
            given[layer.output.name] = graph.input
            continue
        if isinstance(layer, layers.ZeroPadding2D):
            padding = layer.padding[0][0]
        elif is_convolution(layer):
            node = take(layer, *CONVOLUTIONS)
            check_attributes(layer, padding, node, graph)
            set_kernel(layer, graph.kernel(node))
            bias = np.zeros(file_shape(layer)[0])
            if len(node.inputs) > 2:
                bias = vector(node, 2, len(bias), layer, graph)
            padding = 0
        elif isinstance(layer, layers.BatchNormalization):
            has_one = nodes and nodes[0].op == "BatchNormalization"
            node = take(layer, "BatchNormalization") if has_one else None
            set_normalization(layer, node, bias, graph)
        elif isinstance(layer, layers.PReLU):
            node = take(layer, "PRelu", "Relu")
            set_slopes(layer, node, graph)
        elif isinstance(layer, layers.ReLU):
            node = take(layer, "Relu" if layer.max_value is None else "Clip")
            if node.op == "Clip" and graph.limits(node) != (0.0, 6.0):
                raise mismatch(graph, layer, "a Clip from 0 to 6", node)
        elif isinstance(layer, layers.Add):
            node = take(layer, "Add")
        source = tf.nest.flatten(layer.input)[0]
        given[layer.output.name] = node.output if node else given[source.name]
    if nodes:
        raise mismatch(graph, model.layers[-1], "its end", nodes[0])
