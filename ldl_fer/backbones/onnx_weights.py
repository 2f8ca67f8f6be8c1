"""MobileFaceNet's weights out of an ONNX file, into the Keras layers.

The file's graph and ours are walked side by side, node by layer: operation, inputs, attributes and
shapes have to agree. The file is read as data; nothing of it is run. Its batch normalization may
stand in BatchNormalization nodes or be folded into the convolutions, its rectifiers may be PRelu
or, as in MobileFaceNet.onnx, ReLU6.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.backbones.mobilefacenet import mobilefacenet
from ldl_fer.errors import InputError

layers = tf.keras.layers

FILE_SIZE = 112  # Pixels; gdconv's 7 x 7 kernel fits no other.
# The file takes (x - 127.5) / 128, our backbones (x - 127.5) / 127.5.
_INPUT_SCALE = 127.5 / 128
_SHOWN = 10
_CONVOLUTIONS = ("Conv", "Gemm")
_UNCHANGED = ("Identity", "Dropout")
_FLATTENED = ("Flatten", "Reshape", "Squeeze")  # Of a map of 1 x 1: gdconv's or conv3's.


@dataclasses.dataclass(frozen=True)
class _Node:
    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Graph:
    path: Path
    input: str
    nodes: tuple[_Node, ...]
    arrays: Mapping[str, np.ndarray]


def load_mobilefacenet(
    path: str | Path, image_size: int, output: str = "average"
) -> tf.keras.Model:
    """The file's network, trainable: `mobilefacenet(image_size, rectifier_of(path), output)`.

    Where the file has its batch normalization folded away, ours computes the same in evaluation
    but has forgotten the statistics: `restore_statistics` before it is trained.

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
    graph = _read(Path(path))
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
    return _rectifier(_read(Path(path)))


def restore_statistics(backbone: tf.keras.Model, images: np.ndarray) -> None:
    """Gives every batch normalization the statistics of these images, the function unchanged.

    A file with folded normalization leaves mean 0 and variance 1, which no batch has: in training
    the network would begin as another function. Each layer gets the mean m and variance v of its
    inputs, gamma' = gamma sqrt(v + e) / sqrt(var + e), beta' = beta + gamma (m - mean) /
    sqrt(var + e), so that evaluation gives what it gave and training begins near it.

    Args:
      backbone: of this module; changed in place.
      images: [B, H, W, 3] in [-1, 1], a few hundred of those to be trained on.
    """
    norms = [x for x in backbone.layers if isinstance(x, layers.BatchNormalization)]
    inputs = tf.keras.Model(backbone.input, [norm.input for norm in norms])
    sums = [np.zeros([2, norm.moving_mean.shape[0]]) for norm in norms]
    for start in range(0, len(images), 32):
        for total, x in zip(sums, inputs(images[start : start + 32], training=False), strict=True):
            # Means over a batch's maps, weighted by its images.
            squares = [tf.reduce_mean(x, [0, 1, 2]), tf.reduce_mean(tf.square(x), [0, 1, 2])]
            total += x.shape[0] * np.array(squares, "float64")
    for norm, total in zip(norms, sums, strict=True):
        gamma, beta, old_mean, old_variance = norm.get_weights()
        mean, square = total / len(images)
        variance = np.maximum(square - mean**2, 0.0)
        slope = gamma / np.sqrt(old_variance + norm.epsilon)
        gamma = slope * np.sqrt(variance + norm.epsilon)
        norm.set_weights([gamma, beta + slope * (mean - old_mean), mean, variance])


def _read(path: Path) -> _Graph:
    try:
        import onnx
    except (ImportError, AttributeError) as error:
        # AttributeError: onnx from 1.19 on, with the ml_dtypes that TensorFlow 2.15 is bound to.
        raise InputError(
            f"{path} needs the package onnx, which cannot be imported ({error}). "
            "pip install -r requirements.txt -r requirements-extras.txt"
        ) from error
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.ModelProto.FromString(path.read_bytes()).graph
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (OSError, DecodeError) as error:
        raise InputError(f"{path} cannot be read as an ONNX file: {error}") from error
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            tensors |= dict(zip(node.output, value, strict=False))
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
        raise InputError(
            f"{path} keeps its weights in another file, which is not opened. Save it in one file: "
            "onnx.save(onnx.load(PATH), NEW_PATH, save_as_external_data=False)."
        )
    try:
        arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    foreign = [node for node in graph.node if node.domain not in ("", "ai.onnx")]
    if foreign:
        raise InputError(
            f"{path} has operators that are not ONNX's own, such as {foreign[0].op_type} of "
            f"{foreign[0].domain} in node {foreign[0].name}."
        )
    inputs = [value.name for value in graph.input if value.name not in arrays]
    if len(inputs) != 1 or not graph.node:
        raise InputError(
            f"{path} is no ONNX network of one input: it has {len(inputs)} inputs and "
            f"{len(graph.node)} nodes."
        )
    return _Graph(path, inputs[0], tuple(_nodes(graph, onnx)), arrays)


def _nodes(graph, onnx) -> Iterator[_Node]:
    """Those that compute something, in order, fed past those that do not."""
    convolutions = sum(node.op_type in _CONVOLUTIONS for node in graph.node)
    seen, sources = 0, {}
    for node in graph.node:
        inputs = tuple(sources.get(name, name) for name in node.input)
        seen += node.op_type in _CONVOLUTIONS
        flattened = node.op_type in _FLATTENED and seen >= convolutions - 1
        if node.op_type in _UNCHANGED or flattened:
            sources[node.output[0]] = inputs[0]
        elif node.op_type != "Constant":
            attributes = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
            output = node.output[0] if node.output else ""
            yield _Node(node.op_type, node.name, inputs, output, attributes)


def _rectifier(graph: _Graph) -> str:
    ops = {node.op for node in graph.nodes}
    if "PRelu" in ops:
        return "prelu"
    if "Clip" in ops:
        return "relu6"
    raise InputError(f"{graph.path} is no MobileFaceNet: it has neither PRelu nor Clip nodes.")


def _compare_kernels(model: tf.keras.Model, graph: _Graph) -> None:
    """Raises InputError with the names of the convolutions whose shapes differ."""
    ours = [(x.name, _file_shape(x)) for x in model.layers if _is_convolution(x)]
    nodes = [node for node in graph.nodes if node.op in _CONVOLUTIONS]
    theirs = [(node.inputs[1], _kernel(node, graph).shape) for node in nodes]
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


def _fill(model: tf.keras.Model, graph: _Graph) -> None:
    """Walks layers and nodes together; what a layer lacks in the file raises InputError."""
    nodes = list(graph.nodes)
    given = {}  # Our tensor -> the file's.
    padding, bias = 0, None

    def take(layer, *ops: str) -> _Node:
        inputs = [given[x.name] for x in tf.nest.flatten(layer.input)]
        node = nodes.pop(0) if nodes else _Node("nothing", "the end", (), "", {})
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
            node = take(layer, *_CONVOLUTIONS)
            _check_attributes(layer, padding, node, graph)
            _set_kernel(layer, _kernel(node, graph))
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
            if node.op == "Clip" and _limits(node, graph) != (0.0, 6.0):
                raise _mismatch(graph, layer, "a Clip from 0 to 6", node)
        elif isinstance(layer, layers.Add):
            node = take(layer, "Add")
        source = tf.nest.flatten(layer.input)[0]
        given[layer.output.name] = node.output if node else given[source.name]
    if nodes:
        raise _mismatch(graph, model.layers[-1], "its end", nodes[0])


def _is_convolution(layer) -> bool:
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D))


def _file_shape(layer) -> tuple[int, ...]:
    """Of the kernel, as ONNX has it: [O, I, h, w], depthwise [C, 1, h, w]."""
    height, width, first, last = layer.weights[0].shape
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return (first, last, height, width) if depthwise else (last, first, height, width)


def _set_kernel(layer, kernel: np.ndarray) -> None:
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    scale = _INPUT_SCALE if layer.name == "conv1" else 1.0
    layer.set_weights([scale * kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])


def _kernel(node: _Node, graph: _Graph) -> np.ndarray:
    """[O, I, h, w]; a Gemm is a convolution of 1 x 1."""
    kernel = _array(node, 1, graph)
    if node.op == "Gemm":
        kernel = kernel if node.attributes.get("transB", 0) else kernel.T
        return kernel[:, :, None, None] if kernel.ndim == 2 else kernel
    return kernel


def _check_attributes(layer, padding: int, node: _Node, graph: _Graph) -> None:
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


def _normalization(layer, node: _Node | None, bias: np.ndarray, graph: _Graph) -> list[np.ndarray]:
    """gamma, beta, mean, variance for the epsilon of ours; without a node, beta is the bias."""
    channels = len(bias)
    ones = np.ones(channels)
    if node is None:
        return [ones, bias, 0 * ones, ones - layer.epsilon]
    gamma, beta, mean, variance = (_vector(node, i, channels, layer, graph) for i in range(1, 5))
    epsilon = node.attributes.get("epsilon", 1e-5)
    return [gamma, beta, mean - bias, variance + (epsilon - layer.epsilon)]


def _set_slopes(layer, node: _Node, graph: _Graph) -> None:
    shape = layer.alpha.shape
    slopes = np.zeros(1) if node.op == "Relu" else _array(node, 1, graph)
    each = slopes.size == shape[-1] and slopes.shape[-3:] == (shape[-1], 1, 1)
    if slopes.size != 1 and not each:
        raise _mismatch(graph, layer, f"slopes {[shape[-1], 1, 1]}", node, str(list(slopes.shape)))
    layer.set_weights([np.broadcast_to(slopes.reshape(1, 1, -1), shape)])


def _limits(node: _Node, graph: _Graph) -> tuple[float, float]:
    """A Clip's, which are attributes up to opset 10 and inputs later."""
    limits = [node.attributes.get("min", -np.inf), node.attributes.get("max", np.inf)]
    for index, name in enumerate(node.inputs[1:3]):
        if name:
            limits[index] = _array(node, index + 1, graph).item()
    return tuple(limits)


def _vector(node: _Node, index: int, size: int, layer, graph: _Graph) -> np.ndarray:
    vector = _array(node, index, graph)
    if vector.shape != (size,):
        found = f"{node.inputs[index]} {list(vector.shape)}"
        raise _mismatch(graph, layer, f"a vector [{size}]", node, found)
    return vector


def _array(node: _Node, index: int, graph: _Graph) -> np.ndarray:
    """An input of a node that is a constant of the file, as finite numbers."""
    name = node.inputs[index] if index < len(node.inputs) else "nothing"
    array = graph.arrays.get(name)
    if array is None or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise InputError(
            f"{graph.path}: node {node.name} ({node.op}) takes {name}, which is not a constant of "
            "finite floating-point numbers in the file."
        )
    return array


def _mismatch(graph: _Graph, layer, wanted: str, node: _Node, found: str = "") -> InputError:
    return InputError(
        f"{graph.path} is not the MobileFaceNet of ldl_fer: layer {layer.name} wants {wanted}, the "
        f"file has {found or f'a {node.op} of {list(node.inputs)}'} in node {node.name}."
    )
