"""Writes and reads a network's weights as Keras does (`.weights.h5`), in a fifth of its time.

Keras looks through every attribute of every layer each time, which takes longer than an epoch of a
frozen backbone's head. Here it does so once for each network, at the first writing.
"""

import shutil
import weakref
from pathlib import Path
from typing import NamedTuple

import h5py
import tensorflow as tf


class _Group(NamedTuple):
    """Where Keras writes a layer's own variables, and whether these change in training."""

    name: str
    layer: tf.keras.layers.Layer
    frozen: bool


_groups: "weakref.WeakKeyDictionary[tf.keras.Model, list[_Group]]" = weakref.WeakKeyDictionary()


def save_weights(network: tf.keras.Model, path: Path, former: Path | None = None) -> None:
    """Writes all variables of a functional network to a `.weights.h5` file.

    Args:
      network: its variables are written.
      path: of the file.
      former: a file of this function; if this process has written it, variables of a frozen
        backbone are taken from there, as they do not change.

    Raises:
      RuntimeError, OSError: HDF5 cannot write.
    """
    first = network not in _groups
    if first:
        _groups[network] = _save_by_keras(network, path)
    groups = _groups[network]
    partly = False
    if not first and former is not None and former.exists() and any(g.frozen for g in groups):
        shutil.copyfile(former, path)
        partly = True
    # Anew the first time too: a training that went on must leave the same bytes as one that ran
    # through.
    with h5py.File(path, "r+" if partly else "w") as file:
        file.require_group("vars")  # the network's own: none, but Keras asks for them
        for name, layer, frozen in groups:
            if not partly:
                layer.save_own_variables(file.require_group(name))
            elif not frozen:
                stored = {}
                layer.save_own_variables(stored)
                for key, values in stored.items():
                    file[name][key][...] = values


def load_weights(network: tf.keras.Model, path: Path) -> None:
    """Reads all variables of a network from a file of `save_weights`.

    Raises:
      Exception: of many kinds, of Keras and of h5py: the file is damaged or of another network.
    """
    if network not in _groups:
        network.load_weights(path)
        return
    with h5py.File(path) as file:
        for name, layer, _ in _groups[network]:
            layer.load_own_variables(file[name])


def _frozen_layers(network):
    backbone = next((layer for layer in network.layers if layer.name == "backbone"), None)
    return set() if backbone is None or backbone.trainable else set(backbone.submodules)


def _save_by_keras(network, path):
    """Saves, and returns where each layer with variables of its own went."""
    groups, frozen = [], _frozen_layers(network)

    def noting(layer):
        def save(store):
            type(layer).save_own_variables(layer, store)
            if len(store):
                groups.append(_Group(store.name, layer, layer in frozen))

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
