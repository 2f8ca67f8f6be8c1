"""Model files from elsewhere: looked at as data first, and loaded only if they hold no code.

keras_layers       what a .h5, .keras or Keras SavedModel says of its layers
weight_stores      the arrays beside them: bombs, links to other files, pickles
hdf5_trial         whether HDF5 comes back from reading the file at all
bytecode           the Python code of a Lambda layer, if it is to be run
graph_operations   what a SavedModel's graph does beside arithmetic
onnx_network       an ONNX file: external data, foreign operators

`trust` is the user's word (--trust_model) that the file may do what its maker liked.
"""

import base64
import contextlib
import dis
import functools
import json
import marshal
import opcode
import os
import platform
import re
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import h5py

from ldl_fer.errors import InputError, extra_package

# Of Keras' own: what runs code from the file, or opens further files.
_REFUSED = {
    "Lambda": "holds code",
    "TFSMLayer": "opens another file",
    "StringLookup": "may open another file",
    "IntegerLookup": "may open another file",
    "TextVectorization": "may open another file",
}
# Plain values that Keras describes like classes.
_VALUES = {"Policy", "TensorShape", "TypeSpec", "__tuple__", "__tensor__", "__numpy__"}
# Optimizer, losses and metrics of the whole model, which `compile=False` leaves alone. Those of a
# model within it are not left alone.
_UNUSED = ("training_config", "compile_config")
_TRUST = (
    "Such a file can do on this machine whatever its maker liked. If you trust its source, add "
    "--trust_model; where a command has no such flag, give it an export of the run."
)


def layer_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    """What the file says of its layers, as plain data; the kind of file is told as Keras tells it.

    Raises:
      InputError: a missing or damaged file, weights without the network, or a SavedModel that Keras
        did not make.
    """
    try:
        if path.is_dir():
            yield from _saved_model_descriptions(path)
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                yield _without_compilation(json.loads(archive.read("config.json")))
        else:
            with h5py.File(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(
                        f"{path} holds weights without the network. Save the whole model by "
                        "model.save instead of model.save_weights."
                    )
                yield _without_compilation(json.loads(file.attrs["model_config"]))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except InputError:
        raise
    except Exception as error:  # of about any kind, as the damage
        raise InputError(
            f"{path} is damaged or neither .h5, .keras nor a SavedModel: {error}. Get it again."
        ) from error


def _without_compilation(description: Any) -> dict[str, Any]:
    if not isinstance(description, dict):
        raise ValueError("its description of the layers is not an object")
    return {key: value for key, value in description.items() if key not in _UNUSED}


def _saved_model_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    from ldl_fer.training.callbacks import SavedMetadata

    if not (path / "saved_model.pb").exists():
        raise InputError(f"{path} is a folder without saved_model.pb, so it is not a SavedModel.")
    file = path / "keras_metadata.pb"
    if not file.exists():
        raise InputError(
            f"{path} is a SavedModel that Keras' model.save did not make (no {file.name}): its "
            "layers are unknown and cannot be trained. Save the Keras model itself, as .keras."
        )
    for node in SavedMetadata.FromString(file.read_bytes()).nodes:
        yield _without_compilation(json.loads(node.metadata))


def refuse_code(description: Any, path: Path) -> None:
    """Walks a description.

    Raises:
      InputError: at the first thing that is not plainly Keras' own.
    """
    for node in nodes(description):
        reason = _reason(node)
        if reason:
            config = node.get("config")
            label = config.get("name", "") if isinstance(config, dict) else ""
            raise InputError(
                f"{path} is refused: {node['class_name']} {label!r} {reason}. {_TRUST}"
            )


def nodes(description: Any) -> Iterator[dict[str, Any]]:
    """All objects within a description that name a class, outermost first."""
    waiting = [description]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict):
            if "class_name" in item:
                yield item
            waiting += reversed(item.values())


def _reason(node: dict[str, Any]) -> str:
    """Why a node is not to be loaded; empty: it may be."""
    name, module = str(node["class_name"]), node.get("module")
    if name in _REFUSED:
        return _REFUSED[name]
    if module is not None and str(module).split(".")[0] not in _keras_packages():
        return f"comes from the module {module}"
    registered = node.get("registered_name")
    if registered is not None and registered != name:
        return f"is registered as {registered}, which is not Keras'"
    return "" if name in _keras_classes() else "is not one of Keras' own"


@functools.cache
def _keras_packages() -> frozenset[str]:
    import tensorflow as tf

    return frozenset({"keras", tf.keras.Model.__module__.split(".")[0]})  # the latter or tf_keras


@functools.cache
def _keras_classes() -> frozenset[str]:
    import tensorflow as tf

    parts = ("layers", "initializers", "regularizers", "constraints", "metrics", "losses")
    names = {
        name
        for part in parts
        for name, value in vars(getattr(tf.keras, part)).items()
        if isinstance(value, type)
    }
    return frozenset(names | _VALUES | {"Functional", "Model", "Sequential"})


WEIGHTS = "model.weights.h5"  # of a .keras archive
_LARGEST_RATIO = 20  # weights hardly compress
_SMALL = 50 * 2**20  # bytes that do no harm whatever the ratio


def check_weights(path: str | Path, content: IO[bytes] | None = None) -> None:
    """Looks through an HDF5 file without reading its arrays.

    Args:
      path: the file, or what to call `content`.
      content: a file within another one.

    Raises:
      InputError: it is damaged; an array is kept in another file; or the arrays, unpacked, are many
        times larger than the file.
    """
    path = Path(path)
    try:
        packed = path.stat().st_size
        with h5py.File(content or path) as file:
            unpacked = sum(_bytes(file, path))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except InputError:
        raise
    except Exception as error:  # h5py has OSError, RuntimeError, KeyError and more for damage
        raise InputError(f"{path} is damaged: {error}. Get it again.") from error
    _check_size(path, packed, unpacked)


def check_archive(path: Path) -> None:
    """Looks through a .keras archive without unpacking it.

    Raises:
      InputError: it is damaged, a bomb, or its weights lie in a pickle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(path, path.stat().st_size, sum(x.file_size for x in archive.infolist()))
            names = archive.namelist()
            if any(name.endswith(".npz") for name in names):
                raise InputError(
                    f"{path} keeps its weights as .npz, which Keras reads by pickle, so that they "
                    "can hold code. Save the model anew with h5py installed."
                )
            damaged = archive.testzip()
            if damaged:
                raise InputError(f"{path} is damaged: {damaged} in it is. Get it again.")
            if WEIGHTS in names:
                with archive.open(WEIGHTS) as content:
                    check_weights(path, content)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} is damaged or neither .h5, .keras nor a SavedModel: {error}. Get it again."
        ) from error


def _bytes(group: h5py.Group, path: Path) -> Iterator[int]:
    """Of each array, unpacked."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{path} is refused: {group.name}/{name} is a link out of its place.")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _bytes(item, path)
        elif item.external or item.is_virtual:
            raise InputError(f"{path} is refused: it keeps {item.name} in another file.")
        else:
            yield item.size * item.dtype.itemsize


def _check_size(path: Path, packed: int, unpacked: int) -> None:
    if unpacked > max(_SMALL, _LARGEST_RATIO * packed):
        raise InputError(
            f"{path} is refused: its {packed:,} bytes unpack to {unpacked:,}, which no weights do."
        )


# Variables, calls, loops, random numbers, and lists: what networks have of state.
_INNOCENT = re.compile(
    "Assert|Assign(Add|Sub)?VariableOp|ReadVariableOp|VarHandleOp|VarIsInitializedOp|"
    "VariableShape|DisableCopyOnRead|ResourceGather(Nd)?|ResourceScatter.*|"
    "StatefulPartitionedCall|If|Case|While|DeviceIndex|"
    "Random.*|Multinomial|TruncatedNormal|ParameterizedTruncatedNormal|Stateful.*|Rng.*|"
    "StatelessRandomGetAlg|NonDeterministicInts|TensorArray.*|Stack.*|Empty|"
    "CheckNumerics(V2)?|CudnnRNN.*|SampleDistortedBoundingBox(V2)?|GuaranteeConst|"
    "DestroyResourceOp|MutexV2|MutexLock|ConsumeMutexLock|_Arg|_Retval"
)
# Of operations that have neither state nor effect: what reads files, runs Python, or asks others.
_REACHING_OUT = re.compile(
    "ReadFile|MatchingFiles|ImmutableConst|PyFuncStateless|.*TextFile(V2)?|Sharded.*|"
    "Debug.*|.*Dataset.*|Reader.*|.*Rpc.*|.*Remote.*"
)


def refuse_operations(file: Path) -> None:
    """Looks through a saved_model.pb.

    Raises:
      InputError: it is damaged, or holds operations that do more than compute; they are named.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        graphs = SavedModel.FromString(file.read_bytes()).meta_graphs
        found = sorted({op for graph in graphs for op in _operations(graph) if not _innocent(op)})
    except (OSError, DecodeError, IndexError) as error:
        raise InputError(f"{file} is damaged: {error}. Get the SavedModel again.") from error
    if found:
        raise InputError(
            f"{file} is refused: its graph holds {', '.join(found)}, and such operations can read "
            "or write files or run code. If you trust its source, add --trust_model."
        )


def _innocent(op: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(op)
    if known is None:  # of a library that would have to be loaded
        return False
    return bool(_INNOCENT.fullmatch(op) if known.is_stateful else not _REACHING_OUT.fullmatch(op))


def _operations(meta_graph: Any) -> Iterator[str]:
    """All but those that only the saver uses, and calls of the graph's own functions."""
    library = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    saver = {
        name.partition(":")[0]
        for name in (meta_graph.saver_def.save_tensor_name, meta_graph.saver_def.restore_op_name)
        if name
    }
    nodes = meta_graph.graph_def.node
    of_saver = _reached((node for node in nodes if node.name in saver), library)
    of_others = _reached((node for node in nodes if node.name not in saver), library)
    called = [*meta_graph.object_graph_def.concrete_functions, *_restoring(meta_graph)]
    for name in called:
        of_others |= {name} | _reached(library[name].node_def if name in library else (), library)
    kept = [library[name].node_def for name in library if name not in of_saver - of_others]
    for part in (nodes, *kept):
        yield from (node.op for node in part if node.op not in library)


def _restoring(meta_graph: Any) -> Iterator[str]:
    """Functions by which objects other than variables are saved and restored."""
    objects = meta_graph.object_graph_def.nodes
    for node in objects:
        for child in node.saveable_objects.values():
            for number in (child.save_function, child.restore_function):
                yield from objects[number].function.concrete_functions


def _reached(nodes: Iterable[Any], library: Mapping[str, Any]) -> set[str]:
    """Names of the functions that nodes call, and those that these call."""
    reached: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        for name in _functions(node):
            if name in library and name not in reached:
                reached.add(name)
                waiting += library[name].node_def
    return reached


def _functions(node: Any) -> Iterator[str]:
    yield node.op  # a function can be called by its name as an operation
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


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


# Python 3.11 and later have them, and tell of them here alone.
_CACHES: Sequence[int] = getattr(opcode, "_inline_cache_entries", 256 * [0])
_LAST = ("RETURN", "RERAISE", "RAISE", "JUMP")


def runs_here(text: str) -> bool:
    """Whether this Python could have made all of the code in a text; it is not run."""
    try:
        code = marshal.loads(base64.b64decode(text))
    except (ValueError, EOFError, TypeError):
        return False
    return isinstance(code, types.CodeType) and all(_fits(part) for part in _parts(code))


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def _fits(code: types.CodeType) -> bool:
    """Whether the operations are this Python's.

    All of them are known here; each is followed by as many cache entries, zeros, as here; they
    begin as code does here, and do not run out of the end.
    """
    content, place, names = code.co_code, 0, []
    while place < len(content):
        name = dis.opname[content[place]]
        end = place + 2 + 2 * _CACHES[content[place]]
        if name.startswith("<") or name == "CACHE" or any(content[place + 2 : end]):
            return False
        names.append(name)
        place = end
    begun = "RESUME" in names or "RESUME" not in dis.opmap
    return begun and place == len(content) and names[-1].startswith(_LAST)


_SECONDS = 30  # to begin with, on a busy machine
_PROGRAM = f"import sys; from {__name__} import read; read(sys.argv[1])"
_BYTES_PER_SECOND = 10e6  # of the slowest disk


def try_reading(path: Path) -> None:
    """Does nothing if the file can be read to its end, or told to be wrong, in good time.

    Args:
      path: a .keras file, or, by any other name, HDF5; it need not exist.

    Raises:
      InputError: reading it does not end, or kills the process.
    """
    if not path.is_file():
        return
    command = [sys.executable, "-c", _PROGRAM, str(path.absolute())]
    seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path} is damaged: reading it does not end (stopped after {seconds:.0f} s). Get it "
            "again."
        ) from error
    if done.returncode < 0:
        raise InputError(
            f"{path} is damaged: reading it ends by signal {-done.returncode}. Get it again."
        )


def read(path: str | Path) -> None:
    """Reads all that can be read of the file; what is wrong with it is not told."""
    path, content = Path(path), None
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(Exception))
        if path.suffix == ".keras":
            content = stack.enter_context(zipfile.ZipFile(path)).open(WEIGHTS)
        file = stack.enter_context(h5py.File(content or path))
        _read_attributes(file)
        check_weights(path, content)  # no array is larger than the file lets expect
        _read_items(file)


def _read_items(group: h5py.Group) -> None:
    for name in group:
        with contextlib.suppress(Exception):
            item = group[name]
            _read_attributes(item)
            if isinstance(item, h5py.Group):
                _read_items(item)
            else:
                item[()]


def _read_attributes(item: h5py.Group | h5py.Dataset) -> None:
    for name in item.attrs:
        with contextlib.suppress(Exception):
            item.attrs[name]


if TYPE_CHECKING:
    import tensorflow as tf


def load_keras_model(path: str | Path, trust: bool = False) -> "tf.keras.Model":
    """A Keras model, not compiled.

    Args:
      path: a .keras file, a SavedModel folder made by `model.save`, or, by any other name, .h5.
      trust: load also what holds Python code: Lambda layers, other functions.

    Raises:
      InputError: a missing or damaged file; or, without `trust`, one with code or with a class
        that is not Keras' own; or a Lambda layer of another Python.
    """
    path = Path(path)
    if path.suffix == ".keras" and not path.is_dir():
        check_archive(path)
    try_reading(path)
    descriptions = list(layer_descriptions(path))
    if path.is_dir():
        _check_graph(path, trust)
    elif path.suffix != ".keras":
        check_weights(path)
    if not trust:
        for description in descriptions:
            refuse_code(description, path)
    check_lambdas(descriptions, path)
    import tensorflow as tf

    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises about anything for a damaged file
        raise InputError(f"{path} cannot be loaded as a Keras model: {error}") from error


def load_saved_model(folder: str | Path, trust: bool = False) -> Any:
    """What `tf.saved_model.load` makes of a folder.

    Raises:
      InputError: no SavedModel, a damaged one, or, without `trust`, one whose graph does more than
        compute: reads or writes files, calls Python.
    """
    folder = Path(folder)
    _check_graph(folder, trust)
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # of many kinds, as the damage
        raise InputError(f"{folder} is damaged and cannot be loaded: {error}") from error


def _check_graph(folder: Path, trust: bool) -> None:
    file = folder / "saved_model.pb"
    if not os.access(file, os.R_OK):
        raise InputError(f"{folder} is a folder without saved_model.pb, so it is not a SavedModel.")
    if not trust:
        refuse_operations(file)


def check_lambdas(descriptions: Iterable[Any], path: Path) -> None:
    """Has the code of every Lambda layer looked at, in a process of its own; it is not run.

    Args:
      descriptions: of `keras_layers.layer_descriptions`.
      path: what messages call the file.

    Raises:
      InputError: code of another Python.
    """
    codes = ["".join(text.split()) for part in descriptions for text in _compiled(part)]
    if codes and not run_here(codes):
        raise InputError(
            f"{path} has a Lambda layer whose code was compiled by another Python than this "
            f"{platform.python_version()}. Load it with the Python that saved it, and save the "
            "network without Lambda layers."
        )


def run_here(codes: Iterable[str]) -> bool:
    """Whether all marshalled code, each in base 64 on one line, is of this minor Python.

    Code of Python 3.8 to 3.10 cannot be told apart; nor can code so plain that it is the same in
    both versions.
    """
    command = [sys.executable, "-I", __file__]
    done = subprocess.run(command, input="\n".join(codes), text=True, capture_output=True)
    return done.returncode == 0


def _compiled(description: Any) -> Iterator[str]:
    for node in nodes(description):
        config = node.get("config")
        if not isinstance(config, dict):
            continue
        if node["class_name"] == "__lambda__":
            code = config.get("value")
        elif node["class_name"] == "Lambda" and config.get("function_type") == "lambda":
            code = config.get("function")
        else:
            continue
        if isinstance(code, dict):  # a tuple, as SavedModels and .h5 files describe it
            code = code.get("items")
        text = code[0] if isinstance(code, list) and code else code
        if isinstance(text, str):
            yield text


if __name__ == "__main__":
    # At once: what broken code left behind could still crash the usual end.
    os._exit(0 if all(runs_here(line) for line in sys.stdin) else 1)
