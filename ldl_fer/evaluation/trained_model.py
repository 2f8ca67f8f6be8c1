"""Loads a trained network as a function: of a run folder, or an export that `load_model` knows.

A SavedModel is loaded by TensorFlow alone: neither Keras nor the code that trained it takes part.
An ONNX file is loaded without TensorFlow, in a tenth of the time.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.evaluation.safetensors_model import SETTINGS, WEIGHTS, load_safetensors
from ldl_fer.evaluation.temperature import TEMPERATURE_FILE, is_stale, read_temperature
from ldl_fer.files import check_checksums, check_utf8
from ldl_fer.networks.model_files import load_saved_model, onnx_session, read_onnx
from ldl_fer.networks.saved_model import EXTRA, probabilities

if TYPE_CHECKING:
    import tensorflow as tf

    from ldl_fer.config import Config

ONNX = "model.onnx"


@dataclass(frozen=True)
class TrainedModel:
    """A trained network, with all that prediction needs of it.

    Attributes:
      network: uint8 [B, image_size, image_size, 3], RGB -> float32 [B, C] whose rows sum to 1,
        uncalibrated.
      class_names: C names.
      image_size: pixels.
      temperature: fitted for it, see `ldl_fer.evaluation.temperature`; None: none was.
      notes: sentences that its user should read.
      process: that it was loaded in; TensorFlow hangs in one that was forked from it.
    """

    network: Callable[[np.ndarray], np.ndarray]
    class_names: tuple[str, ...]
    image_size: int
    temperature: float | None = None
    notes: tuple[str, ...] = ()
    process: int = field(default_factory=os.getpid)

    def check_process(self) -> None:
        """Raises InputError in another process than the one that the model was loaded in."""
        if os.getpid() != self.process:
            raise InputError(
                "this model was loaded before the process was forked, and would hang: load it in "
                'the process that uses it, or start that by multiprocessing.get_context("spawn").'
            )

    def probabilities(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """Runs the network on any number of images, uncalibrated.

        Batches are of batch_size images. The last is filled up by zeros to a power of two, so that
        devices, which prepare themselves for each size anew, see few sizes.

        Args:
          images: uint8 [N, image_size, image_size, 3], RGB.
          batch_size: images that are passed at a time, at least 1.

        Returns:
          [N, C] float32, rows sum to 1; N may be 0.

        Raises:
          InputError: the output is not finite, or as `check_process`.
        """
        self.check_process()
        rows = [np.zeros([0, len(self.class_names)], np.float32)]
        for batch in _batches(images, batch_size):
            rows.append(self.network(_filled(batch, batch_size))[: len(batch)])
        found = np.concatenate(rows)
        if not np.isfinite(found).all():
            raise InputError(
                "The model's output is not finite: its training diverged. Train again."
            )
        return found


def load_model(folder: str | Path) -> TrainedModel:
    """Loads the best network of a run folder, or an exported one.

    Args:
      folder: that `ldl-fer train` or `ldl-fer export` wrote.

    Raises:
      InputError: it is neither, was changed since it was written, is damaged, or is an export
        whose graph does more than compute.
    """
    folder = Path(folder)
    check_utf8(folder)
    if (folder / "saved_model.pb").exists():
        return _load_export(folder)
    if (folder / WEIGHTS).exists():
        return _load_safetensors(folder)
    if (folder / ONNX).exists():
        return _load_onnx(folder)
    if is_run(folder):
        return _load_run(folder)
    raise InputError(
        f"{folder} is no model: give a run folder that ldl-fer train wrote (config.json in it), or "
        f"an exported SavedModel (saved_model.pb in it), safetensors ({WEIGHTS} in it) or ONNX "
        f"({ONNX} in it)."
    )


def is_run(folder: str | Path) -> bool:
    """Returns whether a folder is one that `ldl-fer train` wrote."""
    folder = Path(folder)
    return (folder / SETTINGS).exists() and not (folder / WEIGHTS).exists()


def _load_export(folder: Path) -> TrainedModel:
    import tensorflow as tf

    check_checksums(folder)
    extra = folder / EXTRA
    loaded = load_saved_model(folder)
    names, image_size = _facts(folder, extra)
    try:
        signature = loaded.signatures["serving_images"]
    except (KeyError, AttributeError) as error:
        raise _damaged(folder, error) from error

    # A signature alone does not keep its model's variables alive: hence the default.
    def network(images: np.ndarray, loaded: Any = loaded) -> np.ndarray:
        return signature(images=tf.constant(images))["probabilities"].numpy()

    return TrainedModel(network, names, image_size, read_temperature(extra / "info.json"))


def _load_onnx(folder: Path) -> TrainedModel:
    check_checksums(folder)
    names, image_size = _facts(folder, folder)
    session = onnx_session(read_onnx(folder / ONNX), folder / ONNX)

    def network(images: np.ndarray) -> np.ndarray:
        return session.run(["probabilities"], {"images": images})[0]

    return TrainedModel(network, names, image_size, read_temperature(folder / "info.json"))


def _facts(folder: Path, extra: Path) -> tuple[tuple[str, ...], int]:
    """Reads class names and image size of an export, from the files in `extra`."""
    try:
        names = (extra / "labels.txt").read_text(encoding="utf-8").splitlines()
        info = json.loads((extra / "info.json").read_text(encoding="utf-8"))
        return tuple(names), int(info["image_size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged or was not written by ldl-fer export: {error}. Export the run again."
    )


def _load_run(folder: Path) -> TrainedModel:
    from ldl_fer.training.run import Run, load_network

    Run(folder).check_weights("best")
    trained, config = load_network(folder)
    temperature, notes = read_temperature(folder / TEMPERATURE_FILE), ()
    if is_stale(folder):
        notes = (
            f"{folder / TEMPERATURE_FILE} was fitted for another epoch than that of the weights: "
            f"fit it again by ldl-fer temperature {shlex.quote(f'--run_dir={folder}')}",
        )
    return _of_network(trained, config, temperature, notes)


def _load_safetensors(folder: Path) -> TrainedModel:
    check_checksums(folder)
    return _of_network(*load_safetensors(folder), read_temperature(folder / "info.json"))


def _of_network(
    trained: "tf.keras.Model",
    config: "Config",
    temperature: float | None,
    notes: tuple[str, ...] = (),
) -> TrainedModel:
    import tensorflow as tf

    names, size = tuple(config.data.class_names), config.data.image_size

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)])
    def softmax(images):
        return probabilities(trained, images)

    def network(images: np.ndarray) -> np.ndarray:
        return softmax(tf.constant(images)).numpy()

    return TrainedModel(network, names, size, temperature, notes)


def _batches(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (images[start : start + size] for start in range(0, len(images), size))


def _filled(batch: np.ndarray, batch_size: int) -> np.ndarray:
    wanted = min(1 << (len(batch) - 1).bit_length(), batch_size)
    missing = [(0, wanted - len(batch))] + [(0, 0)] * (batch.ndim - 1)
    return np.pad(batch, missing) if wanted > len(batch) else batch
