"""MobileFaceNet's weights out of an ONNX file, into the Keras layers.

The file's graph and ours are walked side by side, node by layer: operation, inputs, attributes and
shapes have to agree. Its batch normalization may stand in BatchNormalization nodes or be folded
into the convolutions, its rectifiers may be PRelu or, as in MobileFaceNet.onnx, ReLU6.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.model_files import external_data, read_onnx

CONVOLUTIONS = ("Conv", "Gemm")
_UNCHANGED = ("Identity", "Dropout")
_FLATTENED = ("Flatten", "Reshape", "Squeeze")


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation of an ONNX file: its kind, name, names of inputs and output, attributes."""

    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """What an ONNX file computes.

    Attributes:
      path: the file.
      input: name of its one input.
      nodes: those that compute something, in order.
      arrays: name -> constant of the file.
    """

    path: Path
    input: str
    nodes: tuple[Node, ...]
    arrays: Mapping[str, np.ndarray]

    def array(self, node: Node, index: int) -> np.ndarray:
        """An input of a node that is a constant of the file, as finite numbers.

        Raises:
          InputError: it has no such input, or one of another kind.
        """
        name = node.inputs[index] if index < len(node.inputs) else "nothing"
        array = self.arrays.get(name)
        if array is None or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(
                f"{self.path}: node {node.name} ({node.op}) takes {name}, which is not a constant "
                "of finite floating-point numbers in the file."
            )
        return array

    def kernel(self, node: Node) -> np.ndarray:
        """[O, I, h, w] of one of `CONVOLUTIONS`; a Gemm is a convolution of 1 x 1.

        Raises:
          InputError: as `array`.
        """
        kernel = self.array(node, 1)
        if node.op == "Gemm":
            kernel = kernel if node.attributes.get("transB", 0) else kernel.T
            return kernel[:, :, None, None] if kernel.ndim == 2 else kernel
        return kernel

    def limits(self, node: Node) -> tuple[float, float]:
        """A Clip's, which are attributes up to opset 10 and inputs later.

        Raises:
          InputError: as `array`.
        """
        limits = [node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)]
        for index, name in enumerate(node.inputs[1:3]):
            if name:
                limits[index] = self.array(node, index + 1).item()
        return tuple(limits)


def read_graph(path: str | Path) -> Graph:
    """Reads an ONNX file of a convolutional network of one input.

    Identity, Dropout and, from the last but one of `CONVOLUTIONS` on, reshaping are left out: there
    the maps are 1 x 1.

    Raises:
      InputError: as `read_onnx`; one with external data, or another number of inputs.
    """
    model = read_onnx(path)
    import onnx

    path, graph = Path(path), model.graph
    if next(external_data(model), None):
        raise InputError(
            f"{path} keeps its weights in another file, which is not opened. Save it in one file: "
            "onnx.save(onnx.load(PATH), NEW_PATH, save_as_external_data=False)."
        )
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            tensors |= dict(zip(node.output, value, strict=False))
    try:
        arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    inputs = [value.name for value in graph.input if value.name not in arrays]
    if len(inputs) != 1 or not graph.node:
        raise InputError(
            f"{path} is no ONNX network of one input: it has {len(inputs)} inputs and "
            f"{len(graph.node)} nodes."
        )
    return Graph(path, inputs[0], tuple(_nodes(graph, onnx)), arrays)


def _nodes(graph: Any, onnx: ModuleType) -> Iterator[Node]:
    """Those that compute something, in order, fed past those that do not."""
    convolutions = sum(node.op_type in CONVOLUTIONS for node in graph.node)
    seen, sources = 0, {}
    for node in graph.node:
        inputs = tuple(sources.get(name, name) for name in node.input)
        seen += node.op_type in CONVOLUTIONS
        flattened = node.op_type in _FLATTENED and seen >= convolutions - 1
        if node.op_type in _UNCHANGED or flattened:
            sources[node.output[0]] = inputs[0]
        elif node.op_type != "Constant":
            attributes = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
            output = node.output[0] if node.output else ""
            yield Node(node.op_type, node.name, inputs, output, attributes)


layers = tf.keras.layers
# The file takes (x - 127.5) / 128, our backbones (x - 127.5) / 127.5.
_INPUT_SCALE = 127.5 / 128


def is_convolution(layer: tf.keras.layers.Layer) -> bool:
    """Whether it has a kernel as `set_kernel` sets it."""
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D))


def file_shape(layer: tf.keras.layers.Layer) -> tuple[int, ...]:
    """Shape of the kernel, as ONNX has it: [O, I, h, w], depthwise [C, 1, h, w]."""
    height, width, first, last = layer.weights[0].shape
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return (first, last, height, width) if depthwise else (last, first, height, width)


def set_kernel(layer: tf.keras.layers.Layer, kernel: np.ndarray) -> None:
    """Sets a kernel as ONNX has it; that of the first layer for our scale of pixels."""
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    scale = _INPUT_SCALE if layer.name == "conv1" else 1.0
    layer.set_weights([scale * kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])


def check_attributes(layer: tf.keras.layers.Layer, padding: int, node: Node, graph: Graph) -> None:
    """Compares strides, padding and groups.

    Raises:
      InputError: they differ.
    """
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
        raise mismatch(graph, layer, str(wrong), node, str({key: has[key] for key in wrong}))


def set_normalization(
    layer: tf.keras.layers.Layer, node: Node | None, bias: np.ndarray, graph: Graph
) -> None:
    """Sets gamma, beta, mean, variance for the epsilon of ours; without a node, beta is the bias.

    Args:
      layer: our batch normalization.
      node: the file's; None: it was folded into the convolution before it.
      bias: [C], of that convolution.
      graph: of the node.

    Raises:
      InputError: vectors of another size.
    """
    channels = len(bias)
    ones = np.ones(channels)
    if node is None:
        layer.set_weights([ones, bias, 0 * ones, ones - layer.epsilon])
        return
    gamma, beta, mean, variance = (vector(node, i, channels, layer, graph) for i in range(1, 5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    layer.set_weights([gamma, beta, mean - bias, variance + (epsilon - layer.epsilon)])


def set_slopes(layer: tf.keras.layers.Layer, node: Node, graph: Graph) -> None:
    """Sets the slopes of a PReLU; a Relu's are zero.

    Raises:
      InputError: neither one slope nor one per channel.
    """
    shape = layer.alpha.shape
    slopes = np.zeros(1) if node.op == "Relu" else graph.array(node, 1)
    each = slopes.size == shape[-1] and slopes.shape[-3:] == (shape[-1], 1, 1)
    if slopes.size != 1 and not each:
        raise mismatch(graph, layer, f"slopes {[shape[-1], 1, 1]}", node, str(list(slopes.shape)))
    layer.set_weights([np.broadcast_to(slopes.reshape(1, 1, -1), shape)])


def vector(
    node: Node, index: int, size: int, layer: tf.keras.layers.Layer, graph: Graph
) -> np.ndarray:
    """A node's input, [size].

    Raises:
      InputError: of another shape.
    """
    found = graph.array(node, index)
    if found.shape != (size,):
        shape = f"{node.inputs[index]} {list(found.shape)}"
        raise mismatch(graph, layer, f"a vector [{size}]", node, shape)
    return found


def mismatch(
    graph: Graph, layer: tf.keras.layers.Layer, wanted: str, node: Node, found: str = ""
) -> InputError:
    """What to raise where layer and node differ."""
    return InputError(
        f"{graph.path} is not the MobileFaceNet of ldl_fer: layer {layer.name} wants {wanted}, the "
        f"file has {found or f'a {node.op} of {list(node.inputs)}'} in node {node.name}."
    )


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
