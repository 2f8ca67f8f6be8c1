"""A run tells what it was made with, and nothing of whose machine it was."""

import json
import os
import sys

import tensorflow as tf

from ldl_fer.environment import environment


def test_versions_devices_and_a_command_without_the_home_folder(monkeypatch):
    home = os.path.expanduser("~")
    monkeypatch.setattr(
        sys, "argv", [f"{home}/x/train.py", f"--run_dir={home}/runs/a", "--epochs=2"]
    )
    told = environment()
    assert told["command"] == ["train.py", "--run_dir=~/runs/a", "--epochs=2"]
    assert told["versions"]["tensorflow"] == tf.__version__
    assert told["python"].startswith("3.") and told["started"].endswith("+00:00")
    assert any("CPU" in device for device in told["devices"])
    assert home not in json.dumps(told)
