"""An ONNX file as nodes, kernels and constants. It is read as data; nothing of it is run."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.model_file.onnx_network import external_data, read_onnx

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
