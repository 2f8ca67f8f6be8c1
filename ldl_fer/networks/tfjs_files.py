"""Reads TensorFlow.js graph models: a JSON of nodes and weights, whose numbers lie in .bin files.

Their constants become arrays, and the few operations of a plain convolutional network are run by
TensorFlow, to compare our network with the file. TensorFlow.js is not needed.
"""

import base64
import graphlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")  # kernels [h, w, I, O] and [h, w, C, 1]
_TYPES = MappingProxyType({"float32": "<f4", "int32": "<i4", "uint8": "u1", "bool": "?"})
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class Node(NamedTuple):
    """An operation of the graph; its output has its name."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


class TfjsGraph(NamedTuple):
    """What leads to one node: nodes, each behind its inputs, that node last; constants by name."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]


def read_tfjs(path: str | Path, last: str) -> TfjsGraph:
    """Reads a graph model as far as the first node of an operation.

    Args:
      path: the .json; its .bin files lie beside it.
      last: the operation, as "Mean".

    Raises:
      InputError: no such file, no graph model, one that is damaged or quantized, one whose weights
        do not fill its .bin files or lie elsewhere, no such node, or an operation before it that is
        not known here.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        topology = content["modelTopology"] if isinstance(content, dict) else {}
        if "node" not in topology:
            raise InputError(
                f"{path} is no graph model of TensorFlow.js: it has no modelTopology with nodes."
            )
        nodes = [_node(node) for node in topology["node"]]
        constants: dict[str, np.ndarray] = {}
        for group in content["weightsManifest"]:
            constants |= _weights(path, group)
        return TfjsGraph(_leading_to(last, nodes, constants, path), constants)
    except InputError:
        raise
    except OSError as error:
        name = error.filename or path
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path} is damaged, or no model of TensorFlow.js: {reason}") from error


def run_tfjs(graph: TfjsGraph, images: np.ndarray) -> np.ndarray:
    """Runs a graph on the CPU.

    Args:
      graph: of `read_tfjs`.
      images: float32 [B, H, W, 3], as the file takes them.

    Raises:
      ValueError: the operations do not take these images.
    """
    values: dict[str, Any] = dict(graph.constants)
    try:
        with tf.device("CPU"):
            for node in graph.nodes:
                if node.op == "Placeholder":
                    values[node.name] = tf.constant(images)
                elif node.op != "Const":
                    given = [values[name] for name in node.inputs]
                    values[node.name] = _OPERATIONS[node.op](*given, **node.attributes)
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise ValueError(f"{node.op} {node.name}: {str(error).splitlines()[0]}") from error
    return values[graph.nodes[-1].name].numpy()


def _node(node: Mapping[str, Any]) -> Node:
    inputs = tuple(name.removesuffix(":0") for name in node.get("input", ()) if name[0] != "^")
    attributes: dict[str, Any] = {}
    if node["op"] in CONVOLUTIONS:
        _, _ = inputs  # images or a map, and the kernel
        given = node["attr"]
        strides = [int(size) for size in given["strides"]["list"]["i"]]
        attributes = {"strides": strides, "padding": _text(given["padding"])}
        wide = given.get("dilations", {}).get("list", {}).get("i", ["1"])
        if set(wide) != {"1"} or _text(given.get("data_format", {"s": "TkhXQw=="})) != "NHWC":
            raise ValueError(f"{node['name']} is dilated or has its channels first")
    op = "Add" if node["op"] in ("AddV2", "BiasAdd") else node["op"]
    return Node(node["name"], op, inputs, attributes)


def _text(attribute: Mapping[str, str]) -> str:
    return base64.b64decode(attribute["s"], validate=True).decode()


def _weights(path: Path, group: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Reads a group of the manifest: its files one after the other, in them weight after weight."""
    if any(Path(name).name != name for name in group["paths"]):
        raise InputError(f"{path} names weights {group['paths']} that do not lie beside it.")
    content = b"".join((path.parent / name).read_bytes() for name in group["paths"])
    found, start = {}, 0
    for entry in group["weights"]:
        name, shape = entry["name"], entry["shape"]
        if "quantization" in entry or entry["dtype"] not in _TYPES:
            kind = entry.get("quantization", entry)["dtype"]
            raise InputError(
                f"{path} is not read: {name} is quantized or of another type ({kind}), and weights "
                "are read as they are. Take the file in float32."
            )
        dtype, count = np.dtype(_TYPES[entry["dtype"]]), math.prod(shape)
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"{name} has the shape {shape}")
        if start + count * dtype.itemsize <= len(content):
            found[name] = np.frombuffer(content, dtype, count, start).reshape(shape)
        start += count * dtype.itemsize
    if start != len(content):
        raise InputError(
            f"{path.parent / group['paths'][0]} is damaged: {path.name} has weights of {start:,} "
            f"bytes for it, and there are {len(content):,}."
        )
    return found


def _leading_to(
    last: str, nodes: Sequence[Node], constants: Mapping[str, np.ndarray], path: Path
) -> tuple[Node, ...]:
    by_name = {node.name: node for node in nodes}
    wanted = [node.name for node in nodes if node.op == last][:1]
    if not wanted:
        raise InputError(f"{path} has no {last}, at which the network would end.")
    needed: dict[str, tuple[str, ...]] = {}
    while wanted:
        node = by_name[wanted.pop()]
        if node.op not in (*_OPERATIONS, "Placeholder", "Const"):
            raise InputError(f"{path} has an operation that is not known here: {node.op}.")
        if node.op == "Const" and node.name not in constants:
            raise ValueError(f"there are no weights for {node.name}")
        if node.name not in needed:
            needed[node.name] = node.inputs
            wanted += node.inputs
    return tuple(by_name[name] for name in graphlib.TopologicalSorter(needed).static_order())


def _mean(x: tf.Tensor, axes: np.ndarray) -> tf.Tensor:
    return tf.reduce_mean(x, axes)


_OPERATIONS: Mapping[str, Callable[..., tf.Tensor]] = MappingProxyType(
    {
        **{"Conv2D": tf.nn.conv2d, "DepthwiseConv2dNative": tf.nn.depthwise_conv2d},
        **{"Add": tf.add, "Mul": tf.multiply, "Mean": _mean},
        **{"Relu": tf.nn.relu, "Minimum": tf.minimum, "Maximum": tf.maximum},
    }
)
