"""What a Keras model file says of its layers, and whether all of them are plainly Keras'."""

import functools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from ldl_fer.errors import InputError

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
    from ldl_fer.addons import SavedMetadata

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
