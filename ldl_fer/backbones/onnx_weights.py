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
from ldl_fer.errors import InputError

layers = tf.keras.layers

FILE_SIZE = 112  # Pixels; gdconv's 7 x 7 kernel fits no other.
# The file takes (x - 127.5) / 128, our backbones (x - 127.5) / 127.5.
_INPUT_SCALE = 127.5 / 128
_SHOWN = 10


def load_mobilefacenet(
    path: str | Path, image_size: int, output: str = "average"
) -> tf.keras.Model:
    """The file's network, trainable: `mobilefacenet(image_size, rectifier_of(path), output)`.

    Where the file has its batch normalization folded away, ours has mean 0 and variance 1, which
    no batch has: call it with training=False, in training too.

    Args:
      path: an ONNX file of a MobileFaceNet for RGB images of 112 pixels, (x - 127.5) / 128.
      image_size: H = W, pixels, a multiple of 16.
      output: "average", V = 512, or "embedding", V = 128, as `mobilefacenet` has it.

    Returns:
      RGB images [B, H, W, 3], normalized as (x - 127.5) / 127.5, -> features [B, V].

    Raises:
      InputError: no such file, no ONNX file, one with external data, one of another network; an
        image size that does not fit; no package onnx.
    """
    if output == "embedding" and image_size != FILE_SIZE:
        raise InputError(
            f"--image_size={image_size} does not fit the embedding of {path}, whose last kernel "
            f"takes images of {FILE_SIZE} pixels. Average the map instead (output='average'), or "
            f"set --image_size={FILE_SIZE}."
        )
    graph = read_graph(path)
    rectifier = _rectifier(graph)
    whole = mobilefacenet(FILE_SIZE, rectifier)
    _compare_kernels(whole, graph)
    _fill(whole, graph)
    model = mobilefacenet(image_size, rectifier, output)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(whole.get_layer(layer.name).get_weights())
    return model


def rectifier_of(path: str | Path) -> str:
    """The file's rectifier as `mobilefacenet` names it: "prelu" or "relu6".

    Raises:
      InputError: no such file, no ONNX file, one with external data or neither of the two; no
        package onnx.
    """
    return _rectifier(read_graph(path))


def _rectifier(graph: Graph) -> str:
    ops = {node.op for node in graph.nodes}
    if "PRelu" in ops:
        return "prelu"
    if "Clip" in ops:
        return "relu6"
    raise InputError(f"{graph.path} is no MobileFaceNet: it has neither PRelu nor Clip nodes.")


def _compare_kernels(model: tf.keras.Model, graph: Graph) -> None:
    """Raises InputError with the names of the convolutions whose shapes differ."""
    ours = [(x.name, _file_shape(x)) for x in model.layers if _is_convolution(x)]
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
            raise _mismatch(graph, layer, f"a {' or '.join(ops)} of {inputs}", node)
        return node

    for layer in model.layers:
        node = None
        if isinstance(layer, layers.InputLayer):
            given[layer.output.name] = graph.input
            continue
        if isinstance(layer, layers.ZeroPadding2D):
            padding = layer.padding[0][0]
        elif _is_convolution(layer):
            node = take(layer, *CONVOLUTIONS)
            _check_attributes(layer, padding, node, graph)
            _set_kernel(layer, graph.kernel(node))
            bias = np.zeros(_file_shape(layer)[0])
            if len(node.inputs) > 2:
                bias = _vector(node, 2, len(bias), layer, graph)
            padding = 0
        elif isinstance(layer, layers.BatchNormalization):
            has_one = nodes and nodes[0].op == "BatchNormalization"
            node = take(layer, "BatchNormalization") if has_one else None
            layer.set_weights(_normalization(layer, node, bias, graph))
        elif isinstance(layer, layers.PReLU):
            node = take(layer, "PRelu", "Relu")
            _set_slopes(layer, node, graph)
        elif isinstance(layer, layers.ReLU):
            node = take(layer, "Relu" if layer.max_value is None else "Clip")
            if node.op == "Clip" and graph.limits(node) != (0.0, 6.0):
                raise _mismatch(graph, layer, "a Clip from 0 to 6", node)
        elif isinstance(layer, layers.Add):
            node = take(layer, "Add")
        source = tf.nest.flatten(layer.input)[0]
        given[layer.output.name] = node.output if node else given[source.name]
    if nodes:
        raise _mismatch(graph, model.layers[-1], "its end", nodes[0])


def _is_convolution(layer: tf.keras.layers.Layer) -> bool:
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D))


def _file_shape(layer: tf.keras.layers.Layer) -> tuple[int, ...]:
    """Of the kernel, as ONNX has it: [O, I, h, w], depthwise [C, 1, h, w]."""
    height, width, first, last = layer.weights[0].shape
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return (first, last, height, width) if depthwise else (last, first, height, width)


def _set_kernel(layer: tf.keras.layers.Layer, kernel: np.ndarray) -> None:
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    scale = _INPUT_SCALE if layer.name == "conv1" else 1.0
    layer.set_weights([scale * kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])


def _check_attributes(layer: tf.keras.layers.Layer, padding: int, node: Node, graph: Graph) -> None:
    if node.op == "Gemm":
        wanted = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        usual = wanted
    else:
        group = layer.weights[0].shape[2] if isinstance(layer, layers.DepthwiseConv2D) else 1
        usual = {"strides": [1, 1], "pads": 4 * [0], "group": 1, "dilations": [1, 1]}
        usual |= {"auto_pad": b"NOTSET"}
        wanted = usual | {"strides": list(layer.strides), "pads": 4 * [padding], "group": group}
    has = {key: node.attributes.get(key, value) for key, value in usual.items()}
    wrong = {key: value for key, value in wanted.items() if has[key] != value}
    if wrong:
        raise _mismatch(graph, layer, str(wrong), node, str({key: has[key] for key in wrong}))


def _normalization(
    layer: tf.keras.layers.Layer, node: Node | None, bias: np.ndarray, graph: Graph
) -> list[np.ndarray]:
    """gamma, beta, mean, variance for the epsilon of ours; without a node, beta is the bias."""
    channels = len(bias)
    ones = np.ones(channels)
    if node is None:
        return [ones, bias, 0 * ones, ones - layer.epsilon]
    gamma, beta, mean, variance = (_vector(node, i, channels, layer, graph) for i in range(1, 5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    return [gamma, beta, mean - bias, variance + (epsilon - layer.epsilon)]


def _set_slopes(layer: tf.keras.layers.Layer, node: Node, graph: Graph) -> None:
    shape = layer.alpha.shape
    slopes = np.zeros(1) if node.op == "Relu" else graph.array(node, 1)
    each = slopes.size == shape[-1] and slopes.shape[-3:] == (shape[-1], 1, 1)
    if slopes.size != 1 and not each:
        raise _mismatch(graph, layer, f"slopes {[shape[-1], 1, 1]}", node, str(list(slopes.shape)))
    layer.set_weights([np.broadcast_to(slopes.reshape(1, 1, -1), shape)])


def _vector(
    node: Node, index: int, size: int, layer: tf.keras.layers.Layer, graph: Graph
) -> np.ndarray:
    vector = graph.array(node, index)
    if vector.shape != (size,):
        found = f"{node.inputs[index]} {list(vector.shape)}"
        raise _mismatch(graph, layer, f"a vector [{size}]", node, found)
    return vector


def _mismatch(
    graph: Graph, layer: tf.keras.layers.Layer, wanted: str, node: Node, found: str = ""
) -> InputError:
    return InputError(
        f"{graph.path} is not the MobileFaceNet of ldl_fer: layer {layer.name} wants {wanted}, the "
        f"file has {found or f'a {node.op} of {list(node.inputs)}'} in node {node.name}."
    )
