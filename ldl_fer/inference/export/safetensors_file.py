"""Writes weights as safetensors and settings as config.json, with a card as Hugging Face reads it.

Nothing in the folder is run when it is loaded: `load_model` builds the network anew and fills in
the numbers.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.evaluation.safetensors_model import (
    SETTINGS,
    WEIGHTS,
    load_safetensors,
    tensor_name,
)
from ldl_fer.inference.export.formats import (
    HUB_CARD,
    Format,
    Tolerance,
    Trained,
    in_batches,
    public_name,
)
from ldl_fer.networks.network import BACKBONES
from ldl_fer.networks.saved_model import TOLERANCE, probabilities
from ldl_fer.networks.torch_files import write_safetensors


def _write(trained: Trained, folder: Path) -> None:
    config = trained.config
    if config is None or config.network.backbone not in BACKBONES:
        raise InputError(
            f"safetensors holds weights alone, and the network is rebuilt from its settings: of "
            f"the backbones {', '.join(BACKBONES)}. Export this one as --format=saved_model."
        )
    weights = {tensor_name(variable): variable.numpy() for variable in trained.network.weights}
    assert len(weights) == len(trained.network.weights)  # no two have the same name
    write_safetensors(folder / WEIGHTS, weights)
    content = json.dumps(_settings(config, trained), indent=2, ensure_ascii=False) + "\n"
    (folder / SETTINGS).write_text(content, encoding="utf-8")


def _settings(config: Config, trained: Trained) -> dict[str, Any]:
    """Returns the content of config.json: what Hugging Face's tools look for, and our settings."""
    network = dataclasses.asdict(config.network)
    del network["trust_model"]
    network |= {"precision": "float32", "pretrained": public_name(config.network.pretrained)}
    names = list(trained.class_names)
    return {
        "model_type": "ldl_fer",
        "architectures": [config.network.backbone],
        "image_size": trained.image_size,
        "num_channels": 3,
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
        "settings": {
            "method": config.method,
            "data": {"image_size": trained.image_size, "class_names": names},
            "network": network,
        },
    }


def _answers(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    network, _ = load_safetensors(folder)
    parts = [probabilities(network, part).numpy() for part in in_batches(images)]
    return {WEIGHTS: np.concatenate(parts)}


SAFETENSORS = Format(
    name="safetensors",
    title="safetensors model",
    mark=WEIGHTS,
    beside="",
    write=_write,
    answers=_answers,
    tolerance=Tolerance(largest=TOLERANCE),
    interface=(
        "`model.safetensors` has the weights by the names of layers, kernels as TensorFlow has "
        "them (height, width, inputs, outputs); `config.json` the settings by which `ldl_fer` "
        "rebuilds the network. It takes RGB images of {size} x {size} pixels, 0 to 255, and gives "
        "features and logits, whose softmax the probabilities are."
    ),
    example="""\
from ldl_fer import Predictor

predictor = Predictor("{folder}", faces="whole")  # pictures are crops of faces
print(predictor.predict("face.jpg"))""",
    card=HUB_CARD,
)
