"""A run gets the strategy of its devices and machines, and each replica its part of the data."""

import json

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.training import devices


def test_one_replica_unless_there_is_more(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert devices.choose_strategy("auto") is tf.distribute.get_strategy()
    assert devices.choose_strategy("none") is tf.distribute.get_strategy()
    mirrored = devices.choose_strategy("mirrored")
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    assert devices.choose_strategy("mirrored") is mirrored  # runs that follow each other
    assert devices.is_chief(mirrored) and mirrored.cluster_resolver is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}),
        json.dumps({"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}),
        json.dumps(
            {"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}
        ),
    ],
)
def test_a_bad_tf_config_is_said(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG is .*must look like"):
        devices.choose_strategy("auto")
    assert devices.choose_strategy("none") is tf.distribute.get_strategy()


def test_a_cluster_of_one_is_no_cluster(monkeypatch):
    task = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert devices.choose_strategy("auto") is tf.distribute.get_strategy()


def test_the_bank_goes_where_there_is_room(monkeypatch):
    assert devices.gpu_memories() == [] and devices.fits_on_device(10**15, 0.25)
    monkeypatch.setattr(devices, "gpu_memories", lambda: [4000, 1000])
    # a quarter of the smaller one is 250
    assert devices.fits_on_device(250, 0.25) and not devices.fits_on_device(251, 0.25)


def test_one_replica_gets_the_dataset_itself():
    made = devices.distribute(
        tf.distribute.get_strategy(),
        lambda replicas, own: tf.data.Dataset.from_tensors([replicas, own.start, own.stop]),
    )
    np.testing.assert_array_equal(next(iter(made)), [1, 0, 1])
