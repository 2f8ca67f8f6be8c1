"""Backbones from the user's files: .h5, .keras, or a SavedModel made by Keras."""

import json
from pathlib import Path

import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.channels_last import Unconvertible, to_channels_last
from ldl_fer.networks.model_files import load_keras_model

layers = tf.keras.layers


def load_backbone(path: str | Path, image_size: int, trust: bool = False) -> tf.keras.Model:
    """Loads the network of a file as one from images to features, trainable throughout.

    Its output is a feature vector [B, V], or a feature map, which is then averaged over the image.
    Channels-first networks are turned into channels-last ones of the same function, so that they
    also run on a CPU; one that cannot be turned is used as it is where there is a GPU.

    Args:
      path: a .h5 or .keras file, or a SavedModel folder, written by Keras' `model.save`.
      image_size: H = W, pixels.
      trust: load also what holds code, see `networks.model_files`.

    Returns:
      RGB images [B, H, W, 3], normalized as (x - 127.5) / 127.5, -> features [B, V].

    Raises:
      InputError: as `load_keras_model`; another input or output; channels first without a way to
        turn it or a GPU.
    """
    path = Path(path)
    model = load_keras_model(path, trust)
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


def _square_input(model: tf.keras.Model, path: Path, image_size: int) -> tf.keras.Model:
    """Returns the model for images [B, H, W, 3], its input and output checked."""
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
        fixed = {side for side in sides if side is not None}
        cure = f"Set --image_size={min(fixed)}." if len(fixed) == 1 else "Pictures are square here."
        raise InputError(
            f"{path} takes images of {sides[0] or 'any'} x {sides[1] or 'any'} pixels. {cure}"
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
