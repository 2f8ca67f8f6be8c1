"""A trained regressor as a SavedModel that needs neither this package nor Keras to be loaded.

Signatures as in `networks.saved_model`, all answering {"valence_arousal": [batch, 2] float32},
values in [-1, 1].
The folder's assets.extra/ holds affect.json, by which `load_affect_model` reads it, and info.json;
SHA256SUMS is compared when it does.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.affect.foreign_model import SPEC_FILE, load_affect_model
from ldl_fer.affect.model_spec import ModelSpec
from ldl_fer.checksums import write_checksums
from ldl_fer.errors import InputError
from ldl_fer.networks.saved_model import EXTRA, TOLERANCE, save_serving
from ldl_fer.told_paths import told_values

OUTPUT = "valence_arousal"


def valence_arousal(network: tf.keras.Model, images: tf.Tensor) -> tf.Tensor:
    """tanh of a network's two logits: images [B, S, S, 3] -> float32 [B, 2]."""
    return tf.tanh(tf.cast(network(images, training=False)[1], tf.float32))


def save_regressor(
    network: tf.keras.Model, folder: str | Path, info: Mapping[str, Any] | None = None
) -> Path:
    """Writes the SavedModel, loads it and compares it with the network; only then names it.

    Args:
      network: of `build_network`, of two classes.
      folder: must not exist yet.
      info: what info.json says.

    Raises:
      InputError: the folder exists.
      RuntimeError: what was written does not answer as the network does.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already. Name another folder.")
    size = network.input_shape[1]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        written = Path(temporary) / "new"

        def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {OUTPUT: valence_arousal(network, images)}

        save_serving(network, written, size, answer, {"image_size": size})
        extra = written / EXTRA
        extra.mkdir()
        spec = ModelSpec(image_size=size, outputs=(OUTPUT,), columns=(0, 1))
        (extra / SPEC_FILE).write_text(spec.to_json())
        told = told_values(dict(info or {}))
        (extra / "info.json").write_text(json.dumps(told, indent=2, default=str) + "\n")
        write_checksums(written)
        _compare(network, written, size)
        written.rename(folder)
    return folder


def _compare(network: tf.keras.Model, folder: Path, size: int) -> None:
    """Raises RuntimeError unless the folder, loaded, answers as the network, within TOLERANCE."""
    images = np.random.default_rng(0).integers(0, 256, [3, size, size, 3], np.uint8)
    live = valence_arousal(network, tf.constant(images, tf.float32)).numpy()
    difference = np.abs(load_affect_model(folder).outputs(images) - live).max()
    if not difference < TOLERANCE:  # a NaN is a difference too
        raise RuntimeError(
            f"the saved regressor differs from the network by {difference:.3g}, more than "
            f"{TOLERANCE}; nothing was kept"
        )
