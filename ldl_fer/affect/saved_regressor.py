"""A trained regressor as a SavedModel that needs neither this package nor Keras to be loaded.

Signatures, all answering {"valence_arousal": [batch, 2] float32 in [-1, 1]}:
  serving_images   images [batch, H, W, 3] uint8: RGB, of any size; also called serving_default
  serving_bytes    image_bytes [batch] strings: encoded JPEG or PNG images, each of any size
The folder's assets.extra/ holds affect.json, by which `load_affect_model` reads it, and info.json.
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
from ldl_fer.errors import InputError

OUTPUT = "valence_arousal"
TOLERANCE = 1e-5


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
        module = _module(network, size)
        of_images = module.of_images.get_concrete_function()
        signatures = {
            "serving_default": of_images,
            "serving_images": of_images,
            "serving_bytes": module.of_bytes.get_concrete_function(),
        }
        tf.saved_model.save(module, str(written), signatures=signatures)
        extra = written / "assets.extra"
        extra.mkdir()
        spec = ModelSpec(image_size=size, outputs=(OUTPUT,), columns=(0, 1))
        (extra / SPEC_FILE).write_text(spec.to_json())
        (extra / "info.json").write_text(json.dumps(dict(info or {}), indent=2, default=str) + "\n")
        _compare(network, written, size)
        written.rename(folder)
    return folder


def _module(network: tf.keras.Model, size: int) -> tf.Module:
    """What is saved: functions, and the variables they use, but no Keras object."""

    def resized(images):
        images = tf.cast(images, tf.float32)
        images = tf.cond(
            tf.reduce_all(tf.shape(images)[1:3] == [size, size]),
            lambda: images,
            lambda: tf.image.resize(images, [size, size], "bilinear", antialias=True),
        )
        return tf.ensure_shape(images, [None, size, size, 3])

    def decoded(content):
        return resized(tf.io.decode_image(content, 3, expand_animations=False)[tf.newaxis])[0]

    def answer(images):
        return {OUTPUT: valence_arousal(network, images)}

    module = tf.Module(name="valence_arousal")
    module.network_variables = list(network.variables)
    module.of_images = tf.function(
        lambda images: answer(resized(images)),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")],
    )
    each = tf.TensorSpec([size, size, 3])
    module.of_bytes = tf.function(
        lambda image_bytes: answer(tf.map_fn(decoded, image_bytes, fn_output_signature=each)),
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
    )
    return module


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
