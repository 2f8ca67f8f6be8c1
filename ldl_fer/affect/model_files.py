"""Model files as functions of arrays: ONNX, SavedModel, Keras' .h5 and .keras."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ldl_fer.errors import InputError


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A file's network.

    Attributes:
      run: an array of that shape and type -> arrays by the names of the outputs.
      shape: of its only input, None where any size will do; () where the file does not tell.
      dtype: of its only input.
    """

    run: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    shape: tuple[int | None, ...]
    dtype: np.dtype


def load_model_file(path: Path) -> LoadedModel:
    """Loads by what lies there: .onnx, .h5, .keras or a SavedModel folder.

    Raises:
      InputError: none of these, or one that cannot be loaded, has several inputs, or, of Keras'
        own formats, holds anything but Keras' own layers.
    """
    if path.suffix == ".onnx":
        return _onnx(path)
    if (path / "saved_model.pb").exists():
        return _saved_model(path)
    if path.suffix in (".h5", ".hdf5", ".keras"):
        return _keras(path)
    raise InputError(
        f"{path} is neither .onnx, .h5, .keras, a SavedModel folder nor a run of "
        "`python -m ldl_fer.affect train`."
    )


def sha256(path: Path) -> str:
    """Of a file, or of the graph and variables in a SavedModel folder."""
    digest = hashlib.sha256()
    files = [path]
    if path.is_dir():
        files = [path / "saved_model.pb", *sorted((path / "variables").glob("*"))]
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _onnx(path: Path) -> LoadedModel:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{path} needs the package onnxruntime: pip install -r requirements.txt "
            "-r requirements-extras.txt, in one call."
        ) from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each of its codes
        raise InputError(f"{path} cannot be loaded: {error}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(f"{path} has {len(inputs)} inputs, not one that takes images.")
    name, names = inputs[0].name, [output.name for output in session.get_outputs()]
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    if inputs[0].type not in kinds:
        raise InputError(f"{path} takes {inputs[0].type}, not float, float16 or uint8 images.")
    shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
    return LoadedModel(
        lambda batch: dict(zip(names, session.run(names, {name: batch}), strict=True)),
        shape,
        np.dtype(kinds[inputs[0].type]),
    )


def _saved_model(path: Path) -> LoadedModel:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{path} cannot be loaded, or lacks serving_default: {error}") from error
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise InputError(f"{path} has {len(inputs)} inputs, not one that takes images.")
    ((name, spec),) = inputs.items()

    def run(batch, keep=loaded):  # the signature alone would let go of the variables
        answer = signature(**{name: tf.constant(batch)})
        return {key: value.numpy() for key, value in answer.items()}

    return LoadedModel(run, tuple(spec.shape), np.dtype(spec.dtype.as_numpy_dtype))


def _keras(path: Path) -> LoadedModel:
    import tensorflow as tf

    from ldl_fer.backbones import local

    for description in local.layer_descriptions(path):
        local.refuse_code(description, path)
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises about anything for a damaged file
        raise InputError(f"{path} cannot be loaded as a Keras model: {error}") from error
    if len(model.inputs) != 1:
        raise InputError(f"{path} has {len(model.inputs)} inputs, not one that takes images.")
    step = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def run(batch):
        values = tf.nest.flatten(step(tf.constant(batch)))
        return {n: value.numpy() for n, value in zip(model.output_names, values, strict=True)}

    return LoadedModel(run, tuple(model.inputs[0].shape), np.dtype(model.inputs[0].dtype.name))
