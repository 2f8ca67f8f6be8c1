"""Weights that are written quickly are those that Keras writes, and Keras reads them."""

import gc
import weakref

import h5py
import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import network_of

from ldl_fer.networks.weight_files import load_weights, save_weights


def contents(path):
    """Name -> values, of all variables in the file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, one: found.update({name: one[()]} if isinstance(one, h5py.Dataset) else {})
        )
    return found


def nested():
    """A layer beside a network with a bidirectional layer, whose variables are in sublayers."""
    inner = tf.keras.Sequential(
        [tf.keras.layers.Bidirectional(tf.keras.layers.GRU(3)), tf.keras.layers.Dense(4)]
    )
    images = tf.keras.Input([5, 2])
    return tf.keras.Model(images, tf.keras.layers.BatchNormalization()(inner(images)))


def make_like(network):
    copy = tf.keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


@pytest.mark.parametrize(
    "make",
    [
        nested,
        lambda: network_of("small_cnn", dropout=0.5),
        pytest.param(lambda: network_of("mobilefacenet"), marks=pytest.mark.slow),
        pytest.param(lambda: network_of("resnet18"), marks=pytest.mark.slow),
    ],
    ids=["nested", "small_cnn", "mobilefacenet", "resnet18"],
)
def test_the_second_file_is_as_keras_writes_it(make, tmp_path):
    network = make()
    save_weights(network, tmp_path / "first.weights.h5")
    for variable in network.weights:
        variable.assign_add(tf.ones_like(variable))
    save_weights(network, tmp_path / "second.weights.h5")
    network.save_weights(tmp_path / "keras.weights.h5")
    save_weights(make_like(network), tmp_path / "again.weights.h5")
    second, again = (tmp_path / f"{name}.weights.h5" for name in ("second", "again"))
    assert second.read_bytes() == again.read_bytes()  # another network's first file
    second, by_keras = (contents(tmp_path / f"{n}.weights.h5") for n in ("second", "keras"))
    assert list(second) == list(by_keras) and len(second) == len(network.weights)
    for name, values in by_keras.items():
        np.testing.assert_array_equal(second[name], values)

    expected = network.get_weights()
    for load in (network.load_weights, lambda path: load_weights(network, path)):
        network.set_weights([np.zeros_like(values) for values in expected])
        load(tmp_path / "second.weights.h5")
        for one, other in zip(network.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_frozen_backbone_is_taken_from_the_file_before(tmp_path, monkeypatch):
    inner = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.BatchNormalization()])
    inner._name, inner.trainable = "backbone", False
    images = tf.keras.Input([3])
    network = tf.keras.Model(images, tf.keras.layers.Dense(2, name="head")(inner(images)))
    first, second, anew = (tmp_path / f"{n}.weights.h5" for n in ("first", "second", "anew"))
    save_weights(network, first)
    head = network.get_layer("head")
    head.set_weights([np.full([4, 2], 3.0), np.full([2], 4.0)])
    save_weights(network, anew)
    asked = []
    monkeypatch.setattr(
        tf.keras.layers.Layer,
        "save_own_variables",
        lambda layer, store: (
            asked.append(layer.name),
            store.update({str(i): v.numpy() for i, v in enumerate(layer.variables)}),
        ),
    )
    save_weights(network, second, first)
    assert asked == ["head"] and second.read_bytes() == anew.read_bytes()


def test_a_network_is_not_kept(tmp_path):
    network = network_of("small_cnn")
    save_weights(network, tmp_path / "a.weights.h5")
    held = weakref.ref(network)
    del network
    tf.keras.backend.clear_session()
    gc.collect()
    assert held() is None
