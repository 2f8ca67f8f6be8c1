"""An ONNX file as data: whole in itself or with its weights beside it, of known operators."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ldl_fer.errors import InputError
from ldl_fer.extras import extra_package

# ONNX's own operators, and those that ONNX Runtime brings along.
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def read_onnx(path: str | Path) -> Any:
    """Reads and checks a file; nothing of it is run, and no other file is opened.

    Returns:
      onnx.ModelProto.

    Raises:
      InputError: no such file, no ONNX file, external data that lies out of the file's folder,
        operators of another domain; no package onnx.
    """
    path = Path(path)
    onnx = extra_package("onnx", str(path))
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (OSError, DecodeError) as error:
        raise InputError(f"{path} cannot be read as an ONNX file: {error}") from error
    for name, location in external_data(model):
        _check_location(path, name, location)
    own = {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in DOMAINS and node.domain not in own:
            raise InputError(
                f"{path} is refused: operators that are not ONNX's own, such as {node.op_type} of "
                f"{node.domain} in node {node.name}, need a library that is not loaded. Export "
                "the network with standard operators."
            )
    return model


def external_data(model: Any) -> Iterator[tuple[str, str]]:
    """Name and file of each tensor that the file keeps in another one."""
    for tensor in _tensors(model):
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
            told = {entry.key: entry.value for entry in tensor.external_data}
            yield tensor.name, told.get("location", "")


def _check_location(path: Path, name: str, location: str) -> None:
    parts = PurePosixPath(location.replace("\\", "/"))
    file = path.parent / parts
    within = file.resolve().is_relative_to(path.parent.resolve())
    if not location or parts.is_absolute() or ":" in location or ".." in parts.parts or not within:
        raise InputError(
            f"{path} is refused: its tensor {name} is kept in {location or 'no file'}, which does "
            "not lie in the folder of the file."
        )
    if not file.is_file():
        raise InputError(f"{path} keeps its tensor {name} in {file}, which does not exist.")


def _nodes(model: Any) -> Iterator[Any]:
    """All nodes, of graphs within nodes too."""
    waiting = [model.graph, *model.functions]
    while waiting:
        for node in waiting.pop().node:
            yield node
            for attribute in node.attribute:
                waiting += [attribute.g, *attribute.graphs]


def _tensors(model: Any) -> Iterator[Any]:
    """All constants, of graphs within nodes too."""
    graphs = [model.graph]
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            yield from _of_sparse((attribute.sparse_tensor, *attribute.sparse_tensors))
            graphs += [attribute.g, *attribute.graphs]
    for graph in graphs:
        yield from graph.initializer
        yield from _of_sparse(graph.sparse_initializer)


def _of_sparse(tensors: Any) -> Iterator[Any]:
    for tensor in tensors:
        yield from (tensor.values, tensor.indices)
