"""One Keras layer's weights out of one ONNX node."""

import numpy as np
import tensorflow as tf

from ldl_fer.backbones.onnx_graph import Graph, Node
from ldl_fer.errors import InputError

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
