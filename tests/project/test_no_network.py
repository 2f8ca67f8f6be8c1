"""Nothing is downloaded unasked; asked for without a network, it ends in words."""

import subprocess
import sys

import pytest
from helpers.made_up_set import make_set

# Every connection fails, as on a machine without a network, and is counted.
OFFLINE = """
import sys
tried = []
def offline(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        tried.append(event)
        raise OSError("this machine has no network")
sys.addaudithook(offline)
"""
UNASKED = (
    OFFLINE
    + """
import importlib, pkgutil
import ldl_fer
for module in pkgutil.walk_packages(ldl_fer.__path__, "ldl_fer."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from ldl_fer.networks.network import BACKBONES, build_network
from ldl_fer.config import Config
from ldl_fer.config.settings import NetworkConfig
from ldl_fer.training.train import train
for name in BACKBONES:
    build_network(NetworkConfig(backbone=name), 32, 3)
config = Config().replace(
    backbone="small_cnn", image_size=32, class_names=("Calm", "Glad", "Sad"), num_neighbors=2,
    train_data_path="set.csv", train_image_dir="images", batch_size=8, epochs=1, pictures=False,
    validation_fraction=0.3,
)
train(config)
assert not tried, tried
"""
)
ASKED = (
    OFFLINE
    + """
from ldl_fer.networks.network import build_network
from ldl_fer.errors import InputError
from ldl_fer.config.settings import NetworkConfig
try:
    build_network(NetworkConfig(backbone="resnet50", weights="imagenet"), 32, 3)
except InputError as error:
    print(error)
assert tried
"""
)


def run(script, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))  # without what was downloaded before
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_no_connection_is_tried_unasked(tmp_path, monkeypatch):
    make_set(tmp_path / "x", 18, size=32).write(tmp_path / "set.csv")
    (tmp_path / "x" / "images").rename(tmp_path / "images")
    run(UNASKED, tmp_path, monkeypatch)


@pytest.mark.slow
def test_weights_asked_for_without_a_network_end_in_words(tmp_path, monkeypatch):
    text = run(ASKED, tmp_path, monkeypatch)
    assert "could not be downloaded" in text and "--weights=none" in text
