"""Any model that tells valence and arousal of a face: ONNX, SavedModel, or Keras' .h5 and .keras.

model = load_affect_model("va.onnx", spec)      # or a run folder of `affect train`, no spec
model.predict(images)                           # uint8 RGB [B, H, W, 3] -> float32 [B, 2]
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.affect.model_files import LoadedModel, load_model_file
from ldl_fer.affect.model_interface import (
    image_size_of,
    layout_of,
    squares,
    valence_arousal_of,
)
from ldl_fer.affect.model_spec import ModelSpec, make_spec, read_spec
from ldl_fer.checksums import check_checksums, sha256
from ldl_fer.errors import InputError
from ldl_fer.networks.saved_model import EXTRA

SPEC_FILE = "affect.json"  # in a SavedModel's assets.extra
_TOLD = 300  # characters of what a runtime says


class AffectModel:
    """Valence and arousal of face crops.

    Attributes:
      image_size: H = W that the network takes, pixels; other pictures are resized to it.
      source: file name and the start of its SHA-256, for the column valence_arousal_source.
    """

    def __init__(self, network: LoadedModel, spec: ModelSpec, path: Path) -> None:
        """Settles what the spec leaves to the file.

        Raises:
          InputError: file and spec contradict each other, or neither tells what is needed.
        """
        self._network, self._spec, self._path = network, spec, path
        self._layout = layout_of(network, spec, path)
        self.image_size = image_size_of(network, spec, self._layout, path)
        if network.dtype != np.uint8 and not spec.scaling_known:
            raise InputError(
                f"{path}: how are its pixels scaled? Give --scale, --offset, --mean or --std, or a "
                "--spec; --scale=1 if it takes 0 to 255."
            )
        name = (
            path.name if path.name != "saved_model" else f"{path.resolve().parent.name}/{path.name}"
        )
        self.source = f"{name} sha256:{sha256(path)[:12]}"

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """What the model says of faces, which may lie outside of [-1, 1].

        Args:
          images: uint8 RGB [B, H, W, 3], face crops.

        Returns:
          [B, 2] float32, valence and arousal.

        Raises:
          InputError: the network does not take such images, or its outputs are not as the spec
            says, or not finite.
        """
        if not len(images):
            return np.zeros([0, 2], np.float32)
        batch = squares(images, self.image_size)
        if self._network.dtype == np.uint8:
            batch = batch[..., ::-1] if self._spec.channels == "BGR" else batch
        else:
            batch = self._spec.normalized(batch).astype(self._network.dtype)
        if self._layout == "NCHW":
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        size = (self._network.shape or (None,))[0] or len(batch)
        parts = [
            self._run(batch[start : start + size], size) for start in range(0, len(batch), size)
        ]
        made = np.concatenate(parts)
        if not np.isfinite(made).all():
            raise InputError(
                f"{self._path} answers with values that are not finite: is the scaling right?"
            )
        return made

    def predict(self, images: np.ndarray) -> np.ndarray:
        """`outputs`, clipped to [-1, 1]."""
        return self.outputs(images).clip(-1.0, 1.0)

    def _run(self, batch: np.ndarray, size: int) -> np.ndarray:
        """At most `size` images, filled up to it where the network takes no fewer: [B, 2]."""
        missing = size - len(batch)
        if missing:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        try:
            found = self._network.run(batch)
        except Exception as error:  # each runtime has classes of its own
            reason = textwrap.shorten(str(error) or type(error).__name__, _TOLD)
            raise InputError(
                f"{self._path} cannot take {batch.dtype} images of shape {batch.shape}, "
                f"{self._layout} and {self._spec.channels}. Are --layout, --channels and "
                f"--image_size right? It says: {reason}"
            ) from error
        chosen = valence_arousal_of(found, self._spec, self._path, len(batch))
        values = chosen[: len(chosen) - missing].astype(np.float32) * np.float32(
            self._spec.output_scale
        )
        return np.tanh(values) if self._spec.tanh else values


def load_affect_model(
    path: str | Path, spec: ModelSpec | None = None, trust: bool = False
) -> AffectModel:
    """A model from a file or folder.

    Args:
      path: .onnx (needs the optional package onnxruntime), .h5 or .keras with nothing but Keras'
        own layers, a SavedModel folder, or the run folder of `affect train`.
      spec: how to feed and read it; None: as affect.json in the SavedModel says, or, beside a file
        x.onnx, x.json.
      trust: load also what holds code, see `networks.model_files`.

    Raises:
      InputError: no such file, one that cannot be loaded or was changed since it was
        written, a classifier of this package, or as `AffectModel`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    _refuse_classifier(path)
    if (path / "saved_model" / "saved_model.pb").exists():
        path = path / "saved_model"
    if path.is_dir():
        check_checksums(path)
    if spec is None:
        spec_file = spec_file_of(path)
        spec = read_spec(spec_file) if spec_file else ModelSpec()
    return AffectModel(load_model_file(path, trust), spec, path)


def load_named_model(
    path: str, spec_file: str | None, settings: Mapping[str, Any], trust: bool = False
) -> AffectModel:
    """A model by a spec file, else the one beside the model; settings override it.

    Args:
      path, trust: as `load_affect_model` takes them.
      spec_file: None: the one beside the model, if there is one.
      settings: as `make_spec` takes them; None is left out.

    Raises:
      InputError: as `read_spec`, `make_spec` and `load_affect_model`.
    """
    spec_file = spec_file or spec_file_of(path)
    spec = read_spec(spec_file, settings) if spec_file else make_spec(settings, "flags")
    return load_affect_model(path, spec, trust)


def spec_file_of(path: str | Path) -> Path | None:
    """Where the spec of a model lies without being named; None if it has none."""
    path = Path(path)
    folders = (path / "saved_model" / EXTRA, path / EXTRA) if path.is_dir() else ()
    places = [folder / SPEC_FILE for folder in folders] or [path.with_suffix(".json")]
    return next((place for place in places if place.is_file()), None)


def _refuse_classifier(path: Path) -> None:
    """Raises InputError for what `ldl-fer train` or `ldl-fer export` left."""
    if spec_file_of(path):
        return
    best = path / "best.json"
    exports = (path / EXTRA, path / "saved_model" / EXTRA)
    if (path / "config.json").exists() and (path / "best.weights.h5").exists():
        if best.exists() and "validation_ccc" in best.read_text():
            return
        kind = "a run of ldl-fer train"
    elif any((folder / "labels.txt").exists() for folder in exports):
        kind = "an exported classifier"
        path = path if (path / EXTRA).exists() else path / "saved_model"
    else:
        return
    raise InputError(
        f"{path} is {kind}, which tells classes, not valence and arousal; use "
        f"`ldl-fer affect prototypes --classifier={path}`."
    )
