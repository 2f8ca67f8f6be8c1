"""A run folder says how it was made, not on whose machine, and notices damage."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.audited_run import make_run

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.files import sha256
from ldl_fer.networks.network import build_network
from ldl_fer.training.run import Run, environment, load_network

CONFIG = Config().replace(backbone="small_cnn", image_size=32)
EPOCH = {"epoch": 3, "validation_accuracy": 0.5}


def test_versions_devices_and_a_command_without_the_home_folder(monkeypatch):
    home = os.path.expanduser("~")
    monkeypatch.setattr(
        sys, "argv", [f"{home}/x/train.py", f"--run_dir={home}/runs/a", "--epochs=2"]
    )
    found = environment()
    assert found["command"] == ["train.py", "--run_dir=~/runs/a", "--epochs=2"]
    assert found["versions"]["tensorflow"] == tf.__version__
    assert found["python"].startswith("3.") and found["started"].endswith("+00:00")
    assert any("CPU" in device for device in found["devices"])
    assert home not in json.dumps(found)


@pytest.fixture(scope="module")
def network():
    return build_network(CONFIG.network, 32, len(CONFIG.data.class_names), seed=1)


@pytest.fixture
def run(network, tmp_path):
    run = Run(tmp_path / "run")
    run.begin(CONFIG)
    run.save_weights(network, "best", EPOCH)
    return run


def test_weights_come_back_with_their_epoch(run, network):
    loaded, config = load_network(run.folder)
    assert config == Run(run.folder).config()
    for one, other in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert run.epoch("best") == EPOCH | {"sha256": sha256(run.weights("best"))}
    assert run.epoch("last") == {}
    with pytest.raises(InputError, match="last.weights.h5 is missing"):
        load_network(run.folder, "last")


def test_every_change_of_the_weights_is_noticed(run, network):
    whole = run.weights("best").read_bytes()
    random = np.random.default_rng(0)
    changed = [whole[:-1], b"", whole + b"\0"]
    for place in random.integers(len(whole), size=200):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << random.integers(8)
        changed.append(bytes(flipped))
    for content in changed:
        run.weights("best").write_bytes(content)
        with pytest.raises(InputError, match="best.weights.h5 is not what best.json tells of"):
            load_network(run.folder, network=network)


def test_a_run_stopped_between_weights_and_json_says_how_to_go_on(run, network):
    before = run.epoch_file("best").read_bytes()
    moved = build_network(CONFIG.network, 32, len(CONFIG.data.class_names), seed=2)
    run.save_weights(moved, "best", EPOCH | {"epoch": 4})
    run.epoch_file("best").write_bytes(before)
    with pytest.raises(InputError, match="stopped between writing the two, go on with --resume"):
        load_network(run.folder, network=network)


def test_a_run_of_an_early_version_has_no_checksum(run, network):
    run.epoch_file("best").write_text(json.dumps(EPOCH))
    load_network(run.folder, network=network)
    run.epoch_file("best").unlink()
    load_network(run.folder, network=network)


@pytest.mark.parametrize("content", [b"", b"{", b"3", b"\xff", b'["a"]'])
def test_a_damaged_json_is_named(run, content):
    run.epoch_file("best").write_bytes(content)
    with pytest.raises(InputError, match="best.json is damaged: .*Copy the run folder anew"):
        load_network(run.folder)


def test_tables_and_curves(tmp_path):
    run = make_run(tmp_path / "made")
    assert len(run.samples) == 24 and run.samples["expression"].between(0, 6).all()
    with pytest.raises(InputError, match="log.csv is missing: the run has not finished an epoch"):
        run.figure()
    rows = "epoch,accuracy,loss,lr,val_accuracy\n0,0.2,2.0,0.001,0.1\n1,0.5,1.5,0.001,0.4\n"
    run.log_file.write_text(rows)
    run.epoch_file("best").write_text('{"epoch": 2, "validation_accuracy": 0.4}')
    losses, accuracies = run.figure().axes
    (line,) = losses.lines
    assert (line.get_label(), *line.get_xdata()) == ("loss", 1, 2)
    labels = [line.get_label() for line in accuracies.lines]
    assert labels == ["accuracy", "validation accuracy", "best network"]
    assert repr(run) == f"Run('{run.folder}'), best at epoch 2: 0.4000"
    assert Run(run).folder == run.folder  # whatever takes a path takes a run
    run.log_file.write_text("")
    with pytest.raises(InputError, match="log.csv is damaged"):
        _ = run.log
