"""Any model that tells valence and arousal of a face: ONNX, SavedModel, or Keras' .h5 and .keras.

model = load_affect_model("va.onnx", spec)      # or a run folder of `affect train`, no spec
model.predict(images)                           # uint8 RGB [B, H, W, 3] -> float32 [B, 2]
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ldl_fer.affect.model_files import LoadedModel, load_model_file
from ldl_fer.affect.model_spec import LAYOUTS, ModelSpec, read_spec
from ldl_fer.checksums import check_checksums, sha256
from ldl_fer.errors import InputError
from ldl_fer.images import resized

SPEC_FILE = "affect.json"  # in a SavedModel's assets.extra
_EXTRA = "assets.extra"


class AffectModel:
    """Valence and arousal of face crops.

    Attributes:
      image_size: H = W that the network takes, pixels; other pictures are resized to it.
      source: file name and the start of its SHA-256, for the column valence_arousal_source.
    """

    def __init__(self, network: LoadedModel, spec: ModelSpec, path: Path):
        """Settles what the spec leaves to the file.

        Raises:
          InputError: file and spec contradict each other, or neither tells what is needed.
        """
        self._network, self._spec, self._path = network, spec, path
        self._layout = _layout(network, spec, path)
        self.image_size = _image_size(network, spec, self._layout, path)
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
          InputError: the outputs are not as the spec says, or not finite.
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
        chosen = _chosen(self._network.run(batch), self._spec, self._path, len(batch))
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
      trust: load also what holds code, see `ldl_fer.model_file`.

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


def spec_file_of(path: str | Path) -> Path | None:
    """Where the spec of a model lies without being named; None if it has none."""
    path = Path(path)
    folders = (path / "saved_model" / _EXTRA, path / _EXTRA) if path.is_dir() else ()
    places = [folder / SPEC_FILE for folder in folders] or [path.with_suffix(".json")]
    return next((place for place in places if place.is_file()), None)


def _refuse_classifier(path: Path) -> None:
    """Raises InputError for what train.py or `python -m ldl_fer.export` left."""
    if spec_file_of(path):
        return
    best = path / "best.json"
    exports = (path / _EXTRA, path / "saved_model" / _EXTRA)
    if (path / "config.json").exists() and (path / "best.weights.h5").exists():
        if best.exists() and "validation_ccc" in best.read_text():
            return
        kind = "a run of train.py"
    elif any((folder / "labels.txt").exists() for folder in exports):
        kind = "an exported classifier"
        path = path if (path / _EXTRA).exists() else path / "saved_model"
    else:
        return
    raise InputError(
        f"{path} is {kind}, which tells classes, not valence and arousal; use "
        f"`python -m ldl_fer.affect prototypes --classifier={path}`."
    )


def squares(images: np.ndarray, size: int) -> np.ndarray:
    """Images [B, H, W, 3] -> [B, size, size, 3], each as `images.resized` makes it."""
    if images.shape[1:3] == (size, size):
        return images
    return np.stack([resized(image, size) for image in images])


def _layout(network: LoadedModel, spec: ModelSpec, path: Path) -> str:
    if network.shape and len(network.shape) != 4:
        raise InputError(f"{path} takes an input of shape {network.shape}, not images.")
    found = [
        layout for layout in LAYOUTS if network.shape and network.shape[layout.index("C")] == 3
    ]
    if spec.layout:
        if network.shape and network.shape[spec.layout.index("C")] not in (3, None):
            raise InputError(f"{path} takes {network.shape}, which is not {spec.layout}.")
        return spec.layout
    if len(found) != 1:
        raise InputError(f"{path} takes {network.shape}: say --layout=NCHW or --layout=NHWC.")
    return found[0]


def _image_size(network: LoadedModel, spec: ModelSpec, layout: str, path: Path) -> int:
    sides = {network.shape[layout.index(axis)] for axis in "HW"} if network.shape else {None}
    fixed = sides - {None}
    if len(fixed) > 1:
        raise InputError(f"{path} takes images that are not square: {network.shape}.")
    size = fixed.pop() if fixed else spec.image_size
    if not size:
        raise InputError(f"{path} takes images of any size: say the one it knows, --image_size.")
    if spec.image_size not in (None, size):
        raise InputError(f"{path} takes images of {size} pixels, not {spec.image_size}.")
    return size


def _chosen(found: Mapping[str, np.ndarray], spec: ModelSpec, path: Path, count: int) -> np.ndarray:
    """Valence and arousal [B, 2] out of the outputs."""
    shapes = ", ".join(f"{name} {value.shape}" for name, value in found.items())
    names = spec.outputs or (tuple(found) if len(found) == 1 else ("valence", "arousal"))
    missing = [name for name in names if name not in found]
    if missing:
        wanted = "outputs" if spec.outputs else "outputs called valence and arousal; say --outputs"
        raise InputError(f"{path} has no {wanted} {', '.join(missing)}: there are {shapes}.")
    tables = [np.asarray(found[name]).reshape(count, -1) for name in names]
    usual = (0, 1) if len(names) == 1 else (0, 0)
    widths = [table.shape[1] for table in tables]
    if not spec.columns and widths != ([2] if len(names) == 1 else [1, 1]):
        raise InputError(
            f"{path}: which columns are valence and arousal? There are {shapes}; say --columns, "
            "such as --columns=0,1, or -2,-1 for the last two."
        )
    columns = spec.columns or usual
    picked = []
    for column, table in zip(columns, (tables[0], tables[-1]), strict=True):
        if not -table.shape[1] <= column < table.shape[1]:
            raise InputError(f"{path} has no column {column}: there are {shapes}.")
        picked.append(table[:, column])
    return np.stack(picked, axis=1)
