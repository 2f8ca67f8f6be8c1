"""Backbones from the user's files: .h5, .keras, or a SavedModel made by Keras.

A model file can hold code. Only Keras' own layers are loaded: the file's description of the model
is read first, as data, and anything else in it is refused before Keras sees the file.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import tensorflow as tf
from google.protobuf.message import DecodeError

from ldl_fer.addons import SavedMetadata
from ldl_fer.backbones.channels_last import Unconvertible, to_channels_last
from ldl_fer.errors import InputError

layers = tf.keras.layers

_KERAS_CLASSES = {
    name
    for module in ("layers", "initializers", "regularizers", "constraints", "metrics", "losses")
    for name in dir(getattr(tf.keras, module))
} | {"Functional", "Model", "Sequential", "Policy", "TensorShape", "TypeSpec", "__tuple__"}
# Of those: what runs code from the file, or opens further files.
_REFUSED = {
    "Lambda": "holds code",
    "TFSMLayer": "opens another file",
    "StringLookup": "may open another file",
    "IntegerLookup": "may open another file",
    "TextVectorization": "may open another file",
}
# What `compile=False` leaves alone: optimizer, losses, metrics.
_UNUSED = ("training_config", "compile_config")


def load_backbone(path: str | Path, image_size: int) -> tf.keras.Model:
    """The network of a file, as one from images to features, trainable throughout.

    Its output is a feature vector [B, V], or a feature map, which is then averaged over the image.
    Channels-first networks are turned into channels-last ones of the same function, so that they
    also run on a CPU; one that cannot be turned is used as it is where there is a GPU.

    Args:
      path: a .h5 or .keras file, or a SavedModel folder, written by Keras' `model.save`.
      image_size: H = W, pixels.

    Returns:
      RGB images [B, H, W, 3], normalized as (x - 127.5) / 127.5, -> features [B, V].

    Raises:
      InputError: a missing or damaged file; one with a Lambda layer or a class that is not
        Keras'; another input or output; channels first without a way to turn it or a GPU.
    """
    path = Path(path)
    for description in layer_descriptions(path):
        refuse_code(description, path)
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises about anything for a damaged file
        raise InputError(f"{path} cannot be loaded as a Keras model: {error}") from error
    if not isinstance(model, tf.keras.Model) or not getattr(model, "_is_graph_network", False):
        raise InputError(
            f"{path} holds a model without a fixed graph of layers (subclassed or never built). "
            "Save it as a functional or Sequential model."
        )
    model.trainable = True
    model = _square_input(model, path, image_size)
    images = tf.keras.Input([image_size, image_size, 3])
    output = model(images)
    if output.shape.rank == 4:
        output = layers.GlobalAveragePooling2D(data_format="channels_last", name="map_pool")(output)
    return tf.keras.Model(images, output, name="backbone")


def layer_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    """What the file says of its layers, as plain data."""
    try:
        if path.is_dir():
            yield from _saved_model_descriptions(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield json.loads(archive.read("config.json"))
        else:
            with h5py.File(path) as file:
                if "model_config" not in file.attrs:
                    raise InputError(
                        f"{path} holds weights without the network. Save the whole model by "
                        "model.save instead of model.save_weights."
                    )
                yield json.loads(file.attrs["model_config"])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (OSError, KeyError, json.JSONDecodeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is damaged or neither .h5, .keras nor a SavedModel: {error}"
        ) from error


def _saved_model_descriptions(path: Path) -> Iterator[dict[str, Any]]:
    if not (path / "saved_model.pb").exists():
        raise InputError(f"{path} is a folder without saved_model.pb, so it is not a SavedModel.")
    file = path / "keras_metadata.pb"
    if not file.exists():
        raise InputError(
            f"{path} is a SavedModel that Keras' model.save did not make (no {file.name}): its "
            "layers are unknown and cannot be trained. Save the Keras model itself, as .keras."
        )
    try:
        nodes = SavedMetadata.FromString(file.read_bytes()).nodes
    except DecodeError as error:
        raise InputError(f"{file} is damaged: {error}") from error
    for node in nodes:
        yield json.loads(node.metadata)


def refuse_code(description: Any, path: Path) -> None:
    """Walks a description; raises InputError at the first thing that is not plainly Keras'."""
    if isinstance(description, list):
        for item in description:
            refuse_code(item, path)
    if not isinstance(description, dict):
        return
    name = description.get("class_name")
    if name is not None:
        reason = None if name in _KERAS_CLASSES else "is not one of Keras' own"
        module = description.get("module")
        if module is not None and str(module).split(".")[0] not in ("keras", "builtins"):
            reason = f"comes from the module {module}"
        reason = _REFUSED.get(name, reason)
        if reason:
            config = description.get("config")
            label = config.get("name", "") if isinstance(config, dict) else ""
            raise InputError(
                f"{path} is refused: {name} {label!r} {reason}, and only Keras' own layers are "
                "loaded from files. Save the network without it."
            )
    for key, item in description.items():
        if key not in _UNUSED:
            refuse_code(item, path)


def _square_input(model: tf.keras.Model, path: Path, image_size: int) -> tf.keras.Model:
    """The model with its input as [B, image_size, image_size, 3]; checks input and output."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; a backbone "
            "has one of each."
        )
    shape, rank = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape.rank
    if rank not in (2, 4):
        raise InputError(
            f"{path} gives an output of shape {tuple(model.outputs[0].shape)}; a backbone gives a "
            "feature vector [B, V] or a feature map [B, H, W, V]."
        )
    first = len(shape) == 3 and shape[0] == 3 and shape[2] != 3
    if len(shape) != 3 or (not first and shape[2] != 3):
        raise InputError(f"{path} takes inputs of shape {shape}, not color images [H, W, 3].")
    sides = shape[1:] if first else shape[:2]
    if any(side not in (None, image_size) for side in sides):
        raise InputError(
            f"{path} takes images of {sides[0]} x {sides[1]} pixels. Set --image_size={sides[0]}."
        )
    if "channels_first" not in json.dumps(model.get_config(), default=str):
        return _with_permuted_input(model, image_size) if first else model
    try:
        if not first:
            raise Unconvertible("its input is channels-last but layers inside are not")
        return to_channels_last(model)
    except Unconvertible as error:
        if not tf.config.list_physical_devices("GPU"):
            raise InputError(
                f"{path} needs a GPU: TensorFlow runs channels-first convolutions on nothing else, "
                f"and this network cannot be turned into a channels-last one ({error})."
            ) from error
    return _with_permuted_input(model, image_size) if first else model


def _with_permuted_input(model: tf.keras.Model, image_size: int) -> tf.keras.Model:
    images = tf.keras.Input([image_size, image_size, 3])
    return tf.keras.Model(images, model(layers.Permute((3, 1, 2))(images)))
