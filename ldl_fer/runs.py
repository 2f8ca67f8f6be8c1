"""The run folder: what a training leaves, and how it is found again.

config.json            every setting
environment.json       versions, git commit, command, devices, time
log.csv                a row per epoch
tensorboard/           curves, histograms, pictures
state/                 training checkpoints, see `ldl_fer.checkpoints`; .lock: a training is at work
best.weights.h5        the network at the best epoch; last.weights.h5 at the last
best.json              which epoch that was, and its validation accuracy
samples.csv            per training sample: lambda and the target distribution, at the end
result.json            what evaluate.py found
saved_model/           what `python -m ldl_fer.export` wrote
"""

import dataclasses
import json
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.backbones import build_network
from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.files import whole_file, write_whole
from ldl_fer.told_paths import told


class Run:
    """A run folder's paths and small files."""

    def __init__(self, folder: str | Path) -> None:
        """Names the folder; nothing is read or made."""
        self.folder = Path(folder)
        self.config_file = self.folder / "config.json"
        self.log = self.folder / "log.csv"
        self.tensorboard = self.folder / "tensorboard"
        self.state = self.folder / "state"
        self.lock = self.folder / ".lock"
        self.best_file = self.folder / "best.json"
        self.samples = self.folder / "samples.csv"
        self.saved_model = self.folder / "saved_model"

    def weights(self, which: str) -> Path:
        """File of the network's weights, `which` being "best" or "last"."""
        return self.folder / f"{which}.weights.h5"

    def save_weights(self, network: tf.keras.Model, which: str) -> None:
        """Writes the network's weights, whole or not at all.

        Raises:
          InputError: they cannot be written.
        """
        with whole_file(self.weights(which)) as partial:
            try:
                network.save_weights(partial)
            except RuntimeError as error:  # HDF5's word for a full disk
                raise OSError(str(error)) from error

    def keep_log(self, epochs: int) -> None:
        """Takes rows off log.csv that are not of the first `epochs` epochs, half ones too."""
        if self.log.exists():
            lines = self.log.read_bytes().splitlines(keepends=True)[: epochs + 1]
            with whole_file(self.log) as partial:
                partial.write_bytes(b"".join(lines) if epochs else b"")

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.config_file.exists()

    def begin(self, config: Config) -> None:
        """Makes the folder and writes config.json and environment.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.config_file, config.to_json())
        write_whole(self.folder / "environment.json", json.dumps(_environment(), indent=2) + "\n")

    def config(self) -> Config:
        """The run's settings.

        Raises:
          InputError: there is no run here, or its config.json cannot be read.
        """
        if not self.exists():
            raise InputError(
                f"{self.folder} holds no run: {self.config_file.name} is missing. "
                "Give the folder that train.py wrote."
            )
        if "validation_ccc" in self.best():
            raise InputError(
                f"{self.folder} was left by `python -m ldl_fer.affect train`: it tells valence and "
                "arousal, not classes. Give a run of train.py."
            )
        try:
            return Config.from_json(self.config_file.read_text())
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"{self.config_file} is damaged or of another version: {error}"
            ) from error

    def best(self) -> dict:
        """Epoch and validation accuracy of best.weights.h5; empty before the first epoch."""
        return json.loads(self.best_file.read_text()) if self.best_file.exists() else {}


def load_network(
    run_dir: str | Path,
    which: str = "best",
    network: tf.keras.Model | None = None,
    trust_model: bool = False,
) -> tuple[tf.keras.Model, Config]:
    """The trained network of a run, and the run's settings.

    Args:
      run_dir: the run folder.
      which: "best" by validation accuracy, or "last".
      network: takes the weights, one that this function built for the same settings; None: a new
        one.
      trust_model: see `NetworkConfig`; a run's own settings do not tell.

    Raises:
      InputError: there is no run, it has no such weights yet, or they are damaged.
    """
    run = Run(run_dir)
    config = run.config()
    if not run.weights(which).exists():
        raise InputError(f"{run.weights(which)} is missing: the run has not finished an epoch.")
    exact = dataclasses.replace(config.network, precision="float32", trust_model=trust_model)
    if network is None:
        classes = len(config.data.class_names)
        network = build_network(exact, config.data.image_size, classes, load=False)
    try:
        network.load_weights(run.weights(which))
    except Exception as error:  # h5py has OSError, RuntimeError, KeyError and more for damage
        raise InputError(
            f"{run.weights(which)} is damaged or does not fit {run.config_file}: {error}"
        ) from error
    broken = [v.name for v in network.weights if not np.isfinite(v.numpy()).all()]
    if broken:
        raise InputError(
            f"{run.weights(which)}: {broken[0]} holds numbers that are not finite. Train anew with "
            "a lower --learning_rate."
        )
    return network, config


def _environment() -> dict:
    import cv2
    import numpy
    import pandas
    import sklearn

    modules = (tf, numpy, pandas, sklearn, cv2)
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *map(told, sys.argv[1:])],
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": {module.__name__: module.__version__ for module in modules},
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _git_commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
