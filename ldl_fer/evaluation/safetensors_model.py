"""Rebuilds the network of an export as safetensors: by config.json; the weights are data."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ldl_fer.config import Config
from ldl_fer.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

WEIGHTS, SETTINGS = "model.safetensors", "config.json"


def load_safetensors(folder: str | Path) -> "tuple[tf.keras.Model, Config]":
    """Rebuilds the network, in float32.

    Args:
      folder: that `ldl-fer export --format=safetensors` wrote.

    Returns:
      images [B, S, S, 3], 0 to 255 -> (features [B, V], logits [B, C]); and the settings that it
      was built by, the others at their defaults.

    Raises:
      InputError: a file is missing, damaged or of another network.
    """
    from ldl_fer.methods import network_of_method
    from ldl_fer.networks.network import BACKBONES
    from ldl_fer.networks.torch_files import read_tensors

    folder = Path(folder)
    file = folder / SETTINGS
    try:
        held = json.loads(file.read_text(encoding="utf-8"))["settings"]
        config = Config.from_json(json.dumps(held))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged or was not written by ldl-fer export: {error}. Export the run "
            "again."
        ) from error
    if config.network.backbone not in BACKBONES:
        raise InputError(
            f"{file} names the backbone {config.network.backbone!r}, which is none of "
            f"{', '.join(BACKBONES)}."
        )
    network, tensors = network_of_method(config, load=False), read_tensors(folder / WEIGHTS)
    for variable in network.weights:
        name = tensor_name(variable)
        found = tensors.pop(name, None)
        if found is None or found.shape != tuple(variable.shape):
            shape = "is missing" if found is None else f"has the shape {list(found.shape)}"
            raise InputError(
                f"{folder / WEIGHTS} does not fit {file}: {name} {shape}, and "
                f"{list(variable.shape)} is needed. Export the run again."
            )
        variable.assign(found)
    if tensors:
        raise InputError(
            f"{folder / WEIGHTS} does not fit {file}: the network has no {min(tensors)}. Export "
            "the run again."
        )
    return network, config


def tensor_name(variable: "tf.Variable") -> str:
    """Returns the name that a variable has in the file: layer/part."""
    return variable.name.removesuffix(":0")
