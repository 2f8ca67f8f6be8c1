"""Model files from elsewhere: looked at as data first, and loaded only if they hold no code.

keras_layers       what a .h5, .keras or Keras SavedModel says of its layers
weight_stores      the arrays beside them: bombs, links to other files, pickles
hdf5_trial         whether HDF5 comes back from reading the file at all
bytecode           the Python code of a Lambda layer, if it is to be run
graph_operations   what a SavedModel's graph does beside arithmetic
onnx_network       an ONNX file: external data, foreign operators

`trust` is the user's word (--trust_model) that the file may do what its maker liked.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldl_fer.errors import InputError
from ldl_fer.model_file.bytecode import check_lambdas
from ldl_fer.model_file.graph_operations import refuse_operations
from ldl_fer.model_file.hdf5_trial import try_reading
from ldl_fer.model_file.keras_layers import layer_descriptions, refuse_code
from ldl_fer.model_file.weight_stores import check_archive, check_weights

if TYPE_CHECKING:
    import tensorflow as tf


def load_keras_model(path: str | Path, trust: bool = False) -> "tf.keras.Model":
    """A Keras model, not compiled.

    Args:
      path: a .keras file, a SavedModel folder made by `model.save`, or, by any other name, .h5.
      trust: load also what holds Python code: Lambda layers, other functions.

    Raises:
      InputError: a missing or damaged file; or, without `trust`, one with code or with a class
        that is not Keras' own; or a Lambda layer of another Python.
    """
    path = Path(path)
    if path.suffix == ".keras" and not path.is_dir():
        check_archive(path)
    try_reading(path)
    descriptions = list(layer_descriptions(path))
    if path.is_dir():
        _check_graph(path, trust)
    elif path.suffix != ".keras":
        check_weights(path)
    if not trust:
        for description in descriptions:
            refuse_code(description, path)
    check_lambdas(descriptions, path)
    import tensorflow as tf

    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:  # Keras raises about anything for a damaged file
        raise InputError(f"{path} cannot be loaded as a Keras model: {error}") from error


def load_saved_model(folder: str | Path, trust: bool = False) -> Any:
    """What `tf.saved_model.load` makes of a folder.

    Raises:
      InputError: no SavedModel, a damaged one, or, without `trust`, one whose graph does more than
        compute: reads or writes files, calls Python.
    """
    folder = Path(folder)
    _check_graph(folder, trust)
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # of many kinds, as the damage
        raise InputError(f"{folder} is damaged and cannot be loaded: {error}") from error


def _check_graph(folder: Path, trust: bool) -> None:
    file = folder / "saved_model.pb"
    if not os.access(file, os.R_OK):
        raise InputError(f"{folder} is a folder without saved_model.pb, so it is not a SavedModel.")
    if not trust:
        refuse_operations(file)
