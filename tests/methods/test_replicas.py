"""Two replicas against one, over several steps: network, lambda, centers, bank."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.ports import free_ports

from ldl_fer.config.methods import METHOD_SETTINGS

STEPS = Path(__file__).parents[1] / "helpers/replica_steps.py"
OF_METHODS = STEPS.with_name("replica_methods.py")
PAPER, RELEASED = "--preset=paper", "--preset=released_affectnet_resnet18"
BANK, FORWARD, SYNC = "--neighbors=bank", "--neighbors=forward", "--sync_batch_norm"


def start(*settings, **environment):
    # In processes of their own, since devices must be made before TensorFlow starts.
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    return subprocess.Popen(
        [sys.executable, str(STEPS), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited | environment,
    )


def finish(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and output.endswith("variables equal\n"), errors[-3000:]


@pytest.mark.slow
def test_two_devices_equal_one():
    finish(start(RELEASED, BANK))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        (PAPER, FORWARD),
        (PAPER, BANK),
        (RELEASED, FORWARD),
        (RELEASED, BANK, "--bank_on_host"),
        (RELEASED, FORWARD, SYNC),
        (RELEASED, BANK, "--micro_batch_size=2"),
    ],
    ids=" ".join,
)
def test_two_devices_equal_one_in_other_ways(settings):
    finish(start(*settings))


@pytest.mark.slow
def test_two_devices_equal_one_of_every_method():
    done = subprocess.run([sys.executable, str(OF_METHODS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    equal = [f"{method}: equal" for method in METHOD_SETTINGS if method != "ldlva"]
    assert done.stdout.splitlines() == equal


@pytest.mark.slow
@pytest.mark.parametrize("settings", [(BANK,), (FORWARD, SYNC)], ids=" ".join)
def test_two_machines_equal_one(settings):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [
        start(
            RELEASED,
            *settings,
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index in range(2)
    ]
    for process in processes:
        finish(process)
