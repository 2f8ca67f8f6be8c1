"""Writes and reads a network's weights as Keras does (`.weights.h5`), in a fifth of its time.

Keras looks through every attribute of every layer each time, which takes longer than an epoch of a
frozen backbone's head. Here it does so once for each network, at the first writing.
"""

import weakref
from pathlib import Path

import h5py
import tensorflow as tf

_groups: "weakref.WeakKeyDictionary[tf.keras.Model, list[tuple[str, tf.keras.layers.Layer]]]"
_groups = weakref.WeakKeyDictionary()  # (group of the file, layer), as Keras wrote them first


def save_weights(network: tf.keras.Model, path: Path) -> None:
    """Writes all variables of a functional network to a `.weights.h5` file.

    Raises:
      RuntimeError, OSError: HDF5 cannot write.
    """
    if network not in _groups:
        _groups[network] = _save_by_keras(network, path)
    # The first time too: a training that went on must leave the same bytes as one that ran through.
    with h5py.File(path, "w") as file:
        file.create_group("vars")  # the network's own: none, but Keras asks for them
        for name, layer in _groups[network]:
            layer.save_own_variables(file.require_group(name))


def load_weights(network: tf.keras.Model, path: Path) -> None:
    """Reads all variables of a network from a file of `save_weights`.

    Raises:
      Exception: of many kinds, of Keras and of h5py: the file is damaged or of another network.
    """
    if network not in _groups:
        network.load_weights(path)
        return
    with h5py.File(path) as file:
        for name, layer in _groups[network]:
            layer.load_own_variables(file[name])


def _save_by_keras(network, path):
    """Saves, and returns where each layer with variables of its own went."""
    groups = []

    def noting(layer):
        def save(store):
            type(layer).save_own_variables(layer, store)
            if len(store):
                groups.append((store.name, layer))

        return save

    layers = [module for module in network.submodules if isinstance(module, tf.keras.layers.Layer)]
    for layer in layers:
        layer.save_own_variables = noting(layer)
    try:
        network.save_weights(path)
    finally:
        for layer in layers:
            del layer.save_own_variables
    return groups
