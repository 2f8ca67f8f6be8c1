"""Model files as functions of arrays: ONNX, SavedModel, Keras' .h5 and .keras."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import (
    load_keras_model,
    load_saved_model,
    onnx_session,
    read_onnx,
)


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


def load_model_file(path: Path, trust: bool = False) -> LoadedModel:
    """Loads by what lies there: .onnx, .h5, .keras or a SavedModel folder.

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


def _onnx(path: Path) -> LoadedModel:
    session = onnx_session(read_onnx(path), path)
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


def _saved_model(path: Path, trust: bool) -> LoadedModel:
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

    return LoadedModel(run, tuple(spec.shape), np.dtype(spec.dtype.as_numpy_dtype))


def _keras(path: Path, trust: bool) -> LoadedModel:
    import tensorflow as tf

    model = load_keras_model(path, trust)
    if len(model.inputs) != 1:
        raise InputError(f"{path} has {len(model.inputs)} inputs, not one that takes images.")
    step = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def run(batch):
        values = tf.nest.flatten(step(tf.constant(batch)))
        return {n: value.numpy() for n, value in zip(model.output_names, values, strict=True)}

    return LoadedModel(run, tuple(model.inputs[0].shape), np.dtype(model.inputs[0].dtype.name))
