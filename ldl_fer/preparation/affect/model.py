"""Loads models of a face's valence and arousal: ONNX, SavedModel, or Keras' .h5 and .keras.

model = load_affect_model("va.onnx", spec)      # or a run folder of `affect train`, no spec
model.predict(images)                           # uint8 RGB [B, H, W, 3] -> float32 [B, 2]
"""

import dataclasses
import shlex
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.data.pictures import resized
from ldl_fer.errors import InputError
from ldl_fer.files import check_checksums, sha256
from ldl_fer.networks.model_files import load_keras_model, load_saved_model, onnx_session, read_onnx
from ldl_fer.networks.saved_model import EXTRA
from ldl_fer.preparation.affect.model_spec import LAYOUTS, ModelSpec, make_spec, read_spec

SPEC_FILE = "affect.json"  # in a SavedModel's assets.extra
_SHOWN = 300  # characters of what a runtime says


@dataclasses.dataclass(frozen=True)
class _Network:
    """The network in a file.

    Attributes:
      run: an array of that shape and type -> arrays by the names of the outputs.
      shape: of its only input, None where any size will do; () where the file does not say.
      dtype: of its only input.
    """

    run: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    shape: tuple[int | None, ...]
    dtype: np.dtype


class AffectModel:
    """A model of the valence and arousal of face crops.

    Attributes:
      image_size: H = W that the network takes, pixels; other pictures are resized to it.
      source: file name and the start of its SHA-256, for the column valence_arousal_source.
    """

    def __init__(self, network: _Network, spec: ModelSpec, path: Path) -> None:
        """Settles what the spec leaves to the file.

        Raises:
          InputError: file and spec contradict each other, or neither says what is needed.
        """
        self._network, self._spec, self._path = network, spec, path
        self._layout = _layout_of(network, spec, path)
        self.image_size = _image_size_of(network, spec, self._layout, path)
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
        """Returns valence and arousal of faces as the model gives them, also outside of [-1, 1].

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
        """Returns `outputs`, clipped to [-1, 1]."""
        return self.outputs(images).clip(-1.0, 1.0)

    def _run(self, batch: np.ndarray, size: int) -> np.ndarray:
        """Returns [B, 2] for B <= size images, filled up to `size` where the batch is fixed."""
        missing = size - len(batch)
        if missing:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        try:
            found = self._network.run(batch)
        except Exception as error:  # each runtime has classes of its own
            reason = textwrap.shorten(str(error) or type(error).__name__, _SHOWN)
            raise InputError(
                f"{self._path} cannot take {batch.dtype} images of shape {batch.shape}, "
                f"{self._layout} and {self._spec.channels}. Are --layout, --channels and "
                f"--image_size right? It says: {reason}"
            ) from error
        chosen = _valence_arousal_of(found, self._spec, self._path, len(batch))
        values = chosen[: len(chosen) - missing].astype(np.float32) * np.float32(
            self._spec.output_scale
        )
        return np.tanh(values) if self._spec.tanh else values


def load_affect_model(
    path: str | Path, spec: ModelSpec | None = None, trust: bool = False
) -> AffectModel:
    """Loads a model from a file or folder.

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
    return AffectModel(_load_file(path, trust), spec, path)


def load_named_model(
    path: str, spec_file: str | None, settings: Mapping[str, Any], trust: bool = False
) -> AffectModel:
    """Loads a model by a spec file, else by the one beside the model; settings override it.

    Args:
      path, trust: as `load_affect_model` takes them.
      spec_file: a name in `model_spec.NAMED_SPECS` or a file; None: the one beside the model, if
        there is one.
      settings: as `make_spec` takes them; None is left out.

    Raises:
      InputError: as `read_spec`, `make_spec` and `load_affect_model`.
    """
    spec_file = spec_file or spec_file_of(path)
    spec = read_spec(spec_file, settings) if spec_file else make_spec(settings, "flags")
    return load_affect_model(path, spec, trust)


def spec_file_of(path: str | Path) -> Path | None:
    """Finds the spec in a model's folder, or beside its file; None if there is none."""
    path = Path(path)
    folders = (path / "saved_model" / EXTRA, path / EXTRA) if path.is_dir() else ()
    places = [folder / SPEC_FILE for folder in folders] or [path.with_suffix(".json")]
    return next((place for place in places if place.is_file()), None)


def squares(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes images [B, H, W, 3] to [B, size, size, 3], as `data.pictures.resized` does."""
    if images.shape[1:3] == (size, size):
        return images
    return np.stack([resized(image, size) for image in images])


def _refuse_classifier(path: Path) -> None:
    """Raises InputError for a classifier of `ldl-fer train` or `ldl-fer export`."""
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
        f"`ldl-fer affect prototypes {shlex.quote(f'--classifier={path}')}`."
    )


def _load_file(path: Path, trust: bool = False) -> _Network:
    """Loads a network from .onnx, .h5, .keras or a SavedModel folder.

    Args:
      path: the file or folder.
      trust: load also what holds code, see `networks.model_files`.

    Raises:
      InputError: none of these, or one that cannot be loaded, has several inputs, or holds code.
    """
    if path.suffix == ".onnx":
        return _onnx(path)
    if (path / "saved_model.pb").exists():
        return _saved_model(path, trust)
    if path.suffix in (".h5", ".hdf5", ".keras"):
        return _keras(path, trust)
    raise InputError(
        f"{path} is neither .onnx, .h5, .keras, a SavedModel folder nor a run of "
        "`ldl-fer affect train`."
    )


def _onnx(path: Path) -> _Network:
    session = onnx_session(read_onnx(path), path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(f"{path} has {len(inputs)} inputs, not one that takes images.")
    name, names = inputs[0].name, [output.name for output in session.get_outputs()]
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    if inputs[0].type not in kinds:
        raise InputError(f"{path} takes {inputs[0].type}, not float, float16 or uint8 images.")
    shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
    return _Network(
        lambda batch: dict(zip(names, session.run(names, {name: batch}), strict=True)),
        shape,
        np.dtype(kinds[inputs[0].type]),
    )


def _saved_model(path: Path, trust: bool) -> _Network:
    import tensorflow as tf

    loaded = load_saved_model(path, trust)
    if "serving_default" not in getattr(loaded, "signatures", ()):
        raise InputError(f"{path} has no signature serving_default. Save it with one.")
    signature = loaded.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise InputError(f"{path} has {len(inputs)} inputs, not one that takes images.")
    ((name, spec),) = inputs.items()

    def run(batch, keep=loaded):  # the signature alone would let go of the variables
        answer = signature(**{name: tf.constant(batch)})
        return {key: value.numpy() for key, value in answer.items()}

    return _Network(run, tuple(spec.shape), np.dtype(spec.dtype.as_numpy_dtype))


def _keras(path: Path, trust: bool) -> _Network:
    import tensorflow as tf

    model = load_keras_model(path, trust)
    if len(model.inputs) != 1:
        raise InputError(f"{path} has {len(model.inputs)} inputs, not one that takes images.")
    step = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def run(batch):
        values = tf.nest.flatten(step(tf.constant(batch)))
        return {n: value.numpy() for n, value in zip(model.output_names, values, strict=True)}

    return _Network(run, tuple(model.inputs[0].shape), np.dtype(model.inputs[0].dtype.name))


def _layout_of(network: _Network, spec: ModelSpec, path: Path) -> str:
    """Returns the order of the input's axes, one of LAYOUTS.

    Raises:
      InputError: it takes no images, the spec says another order, or neither says one.
    """
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


def _image_size_of(network: _Network, spec: ModelSpec, layout: str, path: Path) -> int:
    """Returns the input's height and width, pixels.

    Raises:
      InputError: it takes images that are not square, or of another size than the spec says; or
        neither says one.
    """
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


def _by_name(found: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Returns the outputs called valence and arousal, or whose names alone contain these words."""
    names = []
    for axis in ("valence", "arousal"):
        holding = [name for name in found if axis in name.lower()]
        names.append(holding[0] if len(holding) == 1 else axis)
    return tuple(names)


def _valence_arousal_of(
    found: Mapping[str, np.ndarray], spec: ModelSpec, path: Path, count: int
) -> np.ndarray:
    """Picks valence and arousal, [B, 2], out of the outputs.

    Raises:
      InputError: the outputs are not as the spec says, or it does not say which they are.
    """
    shapes = ", ".join(f"{name} {value.shape}" for name, value in found.items())
    names = spec.outputs or (tuple(found) if len(found) == 1 else _by_name(found))
    missing = [name for name in names if name not in found]
    if missing:
        wanted = "outputs" if spec.outputs else "outputs called valence and arousal; say --outputs"
        raise InputError(f"{path} has no {wanted} {', '.join(missing)}: there are {shapes}.")
    # Of a single image every number is its own, whatever the axes.
    if count > 1 and any(np.shape(found[name])[:1] != (count,) for name in names):
        raise InputError(
            f"{path} answers {shapes} of {count} images: the first axis is not that of the images. "
            "Save it with outputs [batch, ...], or for a batch of 1; if --layout was given, is it "
            "right?"
        )
    tables = [np.asarray(found[name]).reshape(count, -1) for name in names]
    usual = (0, 1) if len(names) == 1 else (0, 0)
    widths = [table.shape[1] for table in tables]
    if not spec.columns and widths != ([2] if len(names) == 1 else [1, 1]):
        raise InputError(
            f"{path}: which columns are valence and arousal? There are {shapes}; say --columns, "
            "such as --columns=0,1, or -2,-1 for the last two."
        )
    if min(widths) < spec.min_columns:
        raise InputError(
            f"{path} has {min(widths)} columns ({shapes}), of a model with valence and arousal "
            f"{spec.min_columns} at least are expected: it gives classes alone. The files with "
            "_mtl in their names have both; or say --columns and --scale yourself, without --spec."
        )
    columns = spec.columns or usual
    picked = []
    for column, table in zip(columns, (tables[0], tables[-1]), strict=True):
        if not -table.shape[1] <= column < table.shape[1]:
            raise InputError(f"{path} has no column {column}: there are {shapes}.")
        picked.append(table[:, column])
    return np.stack(picked, axis=1)
