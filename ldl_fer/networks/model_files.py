"""Model files from elsewhere: looked at as data first, loaded only if they hold no code.

.h5, .keras   the description of the layers is walked: Keras' own classes, no Lambda layers
SavedModel    the same where Keras wrote it; and its graph must compute, not read or write files
.onnx         whole in one file, of operators that ONNX and ONNX Runtime bring along

`safe_mode` of Keras 2 refuses Lambda layers of a .keras alone: it imports any module that the file
names, and does not look at a .h5. Hence the walk, which runs before Keras sees the file.

`trust` is the user's word (--trust_model) that the file may do whatever its maker liked.
"""

import functools
import importlib
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from ldl_fer.errors import InputError, extra_package
from ldl_fer.files import plain_path

if TYPE_CHECKING:
    import tensorflow as tf

# Of Keras' own classes: what runs code from the file, or opens further files.
_REFUSED = {
    "Lambda": "holds code",
    "TFSMLayer": "opens another file",
    "StringLookup": "may open another file",
    "IntegerLookup": "may open another file",
    "TextVectorization": "may open another file",
}
# Plain values that Keras describes like classes.
_VALUES = {"Policy", "TensorShape", "TypeSpec", "__tuple__", "__tensor__", "__numpy__"}
# Optimizer, losses and metrics of the outermost model, which `compile=False` leaves alone.
_UNUSED = ("training_config", "compile_config")
_TRUST = (
    "Such a file can do on this machine whatever its maker liked. If you trust its source, add "
    "--trust_model; where a command has no such flag, give it an export of the run."
)
# Operations with a state or an effect that networks consist of; all other such ones are refused.
_HARMLESS = re.compile(
    "Assert|Assign(Add|Sub)?VariableOp|ReadVariableOp|VarHandleOp|VarIsInitializedOp|"
    "VariableShape|DisableCopyOnRead|ResourceGather(Nd)?|ResourceScatter.*|"
    "StatefulPartitionedCall|If|Case|While|DeviceIndex|"
    "Random.*|Multinomial|TruncatedNormal|ParameterizedTruncatedNormal|Stateful.*|Rng.*|"
    "StatelessRandomGetAlg|NonDeterministicInts|TensorArray.*|Stack.*|Empty|"
    "CheckNumerics(V2)?|CudnnRNN.*|SampleDistortedBoundingBox(V2)?|GuaranteeConst|"
    "DestroyResourceOp|MutexV2|MutexLock|ConsumeMutexLock|_Arg|_Retval|"
    "SaveV2|RestoreV2|MergeV2Checkpoints|ShardedFilename"  # every SavedModel's variables
)
# Operations that are refused though TensorFlow marks neither state nor effect: they read files,
# run Python or ask other machines.
_REACHING_OUT = re.compile(
    "ReadFile|MatchingFiles|ImmutableConst|PyFuncStateless|.*TextFile(V2)?|ShardedFilespec|"
    "Debug.*|.*Dataset.*|Reader.*|.*Rpc.*|.*Remote.*"
)
# ONNX's own operators, and those that ONNX Runtime brings along.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


# --- Keras ---------------------------------------------------------------------------------------


def load_keras_model(path: str | Path, trust: bool = False) -> "tf.keras.Model":
    """Loads a Keras model, without compiling it.

    Args:
      path: a .keras file, a SavedModel folder made by `model.save`, or, by any other name, .h5.
      trust: load also what holds Python code: Lambda layers, other functions.

    Raises:
      InputError: a missing or damaged file, or one without the network; without `trust`, one with
        code or with a class that is not Keras' own.
    """
    path = Path(path)
    if path.is_dir():
        _check_graph(path, trust)
    descriptions = list(_layer_descriptions(path))
    if not trust:
        for description in descriptions:
            _refuse_code(description, path)
    import tensorflow as tf

    try:
        return tf.keras.models.load_model(plain_path(path), compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises about anything for a damaged file
        raise InputError(f"{path} cannot be loaded as a Keras model: {error}") from error


def _layer_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    """Yields what the file says of its layers; its kind is decided as Keras decides it.

    Raises:
      InputError: as `load_keras_model`; also weights that Keras would unpickle.
    """
    try:
        if path.is_dir():
            yield from _saved_model_descriptions(path)
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                if any(name.endswith(".npz") for name in archive.namelist()):
                    raise InputError(
                        f"{path} keeps its weights as .npz, which Keras reads by pickle, so that "
                        "they can hold code. Save the model anew with h5py installed."
                    )
                if damaged := archive.testzip():
                    raise ValueError(f"{damaged} within it is not what was written")
                yield _without_compilation(archive.read("config.json"))
        else:
            with h5py.File(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(
                        f"{path} holds weights without the network. Save the whole model by "
                        "model.save instead of model.save_weights."
                    )
                yield _without_compilation(file.attrs["model_config"])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except InputError:
        raise
    except Exception as error:  # of about any kind, as the damage
        raise InputError(
            f"{path} is damaged or neither .h5, .keras nor a SavedModel: {error}. Get it again."
        ) from error


def _saved_model_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    file = path / "keras_metadata.pb"
    if not file.exists():
        raise InputError(
            f"{path} is a SavedModel that Keras' model.save did not make (no {file.name}): its "
            "layers are unknown and cannot be trained. Save the Keras model itself, as .keras."
        )
    messages = importlib.import_module(f"{_keras_package()}.protobuf.saved_metadata_pb2")
    for node in messages.SavedMetadata.FromString(file.read_bytes()).nodes:
        yield _without_compilation(node.metadata)


def _without_compilation(text: str | bytes) -> dict[str, Any]:
    description = json.loads(text)
    if not isinstance(description, dict):
        raise ValueError("its description of the layers is not an object")
    return {key: value for key, value in description.items() if key not in _UNUSED}


def _refuse_code(description: Any, path: Path) -> None:
    """Raises InputError at the first object, however deep, that is not plainly Keras' own."""
    waiting = [description]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict):
            reason = _reason(item) if "class_name" in item else ""
            if reason:
                config = item.get("config")
                label = config.get("name", "") if isinstance(config, dict) else ""
                raise InputError(
                    f"{path} is refused: {item['class_name']} {label!r} {reason}. {_TRUST}"
                )
            waiting += reversed(item.values())


def _reason(item: dict[str, Any]) -> str:
    """Returns why an object is not to be loaded; empty: it may be."""
    name, module = str(item["class_name"]), item.get("module")
    if name in _REFUSED:
        return _REFUSED[name]
    if module is not None and str(module).split(".")[0] not in ("keras", _keras_package()):
        return f"comes from the module {module}"
    registered = item.get("registered_name")
    if registered is not None and registered != name:
        return f"is registered as {registered}, which is not Keras'"
    return "" if name in _keras_classes() else "is not one of Keras' own"


def _keras_package() -> str:
    """Returns "keras" or "tf_keras", whichever holds Keras 2."""
    import tensorflow as tf

    return tf.keras.Model.__module__.split(".")[0]


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


# --- SavedModel ----------------------------------------------------------------------------------


def load_saved_model(folder: str | Path, trust: bool = False) -> Any:
    """Loads a SavedModel by `tf.saved_model.load`; Keras takes no part.

    Raises:
      InputError: no SavedModel, a damaged one, or, without `trust`, one whose graph does more than
        compute: reads or writes files, calls Python.
    """
    folder = Path(folder)
    _check_graph(folder, trust)
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(plain_path(folder)))
    except Exception as error:  # of many kinds, as the damage
        raise InputError(f"{folder} is damaged and cannot be loaded: {error}") from error


def _check_graph(folder: Path, trust: bool) -> None:
    """Raises InputError without a saved_model.pb or, unless trusted, for operations in it."""
    file = folder / "saved_model.pb"
    if not file.is_file():
        raise InputError(f"{folder} is a folder without saved_model.pb, so it is not a SavedModel.")
    if trust:
        return
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    found = set()
    try:
        for part in SavedModel.FromString(file.read_bytes()).meta_graphs:
            functions = part.graph_def.library.function
            nodes = [*part.graph_def.node, *(node for f in functions for node in f.node_def)]
            found |= {node.op for node in nodes} - {f.signature.name for f in functions}
    except (OSError, DecodeError) as error:
        raise InputError(f"{file} is damaged: {error}. Get the SavedModel again.") from error
    refused = sorted(op for op in found if not _computes(op))
    if refused:
        raise InputError(
            f"{file} is refused: its graph holds {', '.join(refused)}, and such operations can "
            "read or write files or run code. If you trust its source, add --trust_model."
        )


def _computes(op: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(op)
    if known is None:  # of a library that would have to be loaded
        return False
    return bool(_HARMLESS.fullmatch(op) if known.is_stateful else not _REACHING_OUT.fullmatch(op))


# --- ONNX ----------------------------------------------------------------------------------------


def read_onnx(path: str | Path) -> Any:
    """Reads and checks an ONNX file; nothing of it is run, and no other file is opened.

    Returns:
      onnx.ModelProto.

    Raises:
      InputError: no such file, no ONNX file, one that keeps tensors in other files, operators of
        another domain; no package onnx.
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
    domains = {*_DOMAINS, *(function.domain for function in model.functions)}
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto) and message.domain not in domains:
            raise InputError(
                f"{path} is refused: operators that are not ONNX's own, such as {message.op_type} "
                f"of {message.domain} in node {message.name}, need a library that is not loaded. "
                "Export the network with standard operators."
            )
        if isinstance(message, onnx.TensorProto) and (
            message.data_location == message.EXTERNAL or message.external_data
        ):
            raise InputError(
                f"{path} is refused: it keeps its tensor {message.name} in another file, which is "
                "not opened. Save it in one file: "
                "onnx.save(onnx.load(PATH), NEW_PATH, save_as_external_data=False)."
            )
    return model


def onnx_session(model: Any, path: str | Path) -> Any:
    """Makes an onnxruntime.InferenceSession, on the CPU, of what `read_onnx` gave for a path.

    Raises:
      InputError: ONNX Runtime refuses the network; no package onnxruntime.
    """
    onnxruntime = extra_package("onnxruntime", str(path))
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class of its own for each of its codes
        raise InputError(f"{path} cannot be loaded: {error}") from error


def _messages(message: Any) -> Iterator[Any]:
    """Yields a protobuf message and all within it, such as the graphs in branches of a node."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(part)
