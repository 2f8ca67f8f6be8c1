"""The run folder: where a training leaves its files, and how they are read again.

config.json            every setting
environment.json       versions, git commit, command, devices, time
log.csv                a row per epoch
tensorboard/           curves, histograms, pictures
state/                 checkpoints, see `ldl_fer.training.state`; .lock: a training is at work
best.weights.h5        the network at the best epoch; last.weights.h5 at the last
best.method.npz        LDLVA's g, lambda and centers at the best epoch
best.json, last.json   which epoch that was, its validation accuracy, the SHA-256 of the weights
samples.csv            per training sample: lambda and the target distribution, at the best epoch
result.json            measures on the test set, by `ldl-fer evaluate`
temperature.json       the temperature, by `ldl-fer temperature`
saved_model/           the network, by `ldl-fer export`
"""

import errno
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.files import made_folder, sha256, whole_file, without_home, write_whole

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

    from ldl_fer.plots import Figure


class Run:
    """A run folder: its paths, its tables and its small files.

    Whatever takes the path of a run folder takes a `Run`, too.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        """Names the folder; nothing is read or made."""
        self.folder = Path(folder)
        self.config_file = self.folder / "config.json"
        self.log_file = self.folder / "log.csv"
        self.tensorboard = self.folder / "tensorboard"
        self.state = self.folder / "state"
        self.lock = self.folder / ".lock"
        self.samples_file = self.folder / "samples.csv"
        self.method = self.folder / "best.method.npz"
        self.saved_model = self.folder / "saved_model"

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        best = self.epoch("best")
        if not best:
            return f"Run({str(self.folder)!r})"
        accuracy = best.get("validation_accuracy", np.nan)
        return f"Run({str(self.folder)!r}), best at epoch {best['epoch']}: {accuracy:.4f}"

    @property
    def log(self) -> "pd.DataFrame":
        """A row per epoch: `epoch` from 0 on, losses, `accuracy`; `val_*` on the validation set.

        Raises InputError where no epoch is finished, or the file is damaged.
        """
        return self._table(self.log_file, "the run has not finished an epoch")

    @property
    def samples(self) -> "pd.DataFrame":
        """A row per training sample, at the best epoch, as `data.samples` reads it.

        The annotation's columns and `probability_*`; of LDLVA also `uncertainty` (lambda),
        `aggregated_*` (Eq. 5) and `target_*` (Eq. 6), and of the K neighbors, joined by ";",
        `neighbors`, `calibration` (Eq. 3), `contribution` (Eq. 4).

        Raises InputError where the run is not finished, or the file is damaged.
        """
        self.check_samples()
        return self._table(self.samples_file, "the run is not finished")

    def figure(self) -> "Figure":
        """Draws losses and accuracies by epoch.

        Raises:
          InputError: as `log`.
        """
        from ldl_fer.training.curves import draw_curves

        return draw_curves(self.log, self.epoch("best").get("epoch"))

    def _table(self, file: Path, missing: str) -> "pd.DataFrame":
        from ldl_fer.data.samples import read_samples

        try:
            return read_samples(file)
        except FileNotFoundError as error:
            raise InputError(f"{file} is missing: {missing}.") from error
        except (OSError, ValueError) as error:
            raise InputError(f"{file} is damaged: {error}. Copy the run folder anew.") from error

    def weights(self, which: str) -> Path:
        """Returns the file of the network's weights, `which` being "best" or "last"."""
        return self.folder / f"{which}.weights.h5"

    def epoch_file(self, which: str) -> Path:
        """Returns the file that `epoch` reads."""
        return self.folder / f"{which}.json"

    def save_weights(self, network: "tf.keras.Model", which: str, epoch: dict) -> None:
        """Writes the network's weights, and then their epoch with their SHA-256.

        Each of both files is there whole or not at all.

        Args:
          network: its weights are saved.
          which: "best" or "last".
          epoch: see `epoch`.

        Raises:
          InputError: they cannot be written.
        """
        from ldl_fer.networks.weight_files import save_weights

        with whole_file(self.weights(which)) as partial:
            size = sum(
                weight.dtype.size * weight.shape.num_elements() for weight in network.weights
            )
            if shutil.disk_usage(self.folder).free < size:  # HDF5 would complain until its end
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            try:
                save_weights(network, partial, self.weights(which))
            except RuntimeError as error:
                raise OSError(str(error)) from error
            written = epoch | {"sha256": sha256(partial)}
        write_whole(self.epoch_file(which), json.dumps(written) + "\n")

    def copy_weights(self, which: str, to: str) -> None:
        """Copies weights and their epoch, as `save_weights` wrote them last.

        Args:
          which: "best" or "last".
          to: the other.

        Raises:
          InputError: they cannot be written.
        """
        for file in (self.weights, self.epoch_file):
            with whole_file(file(to)) as partial:
                shutil.copyfile(file(which), partial)

    def save_method(self, layers: "Mapping[str, tf.keras.layers.Layer]") -> None:
        """Writes the variables of a method's layers: `Classifier.kept_with_best`, if it has any.

        Raises:
          InputError: they cannot be written.
        """
        if layers:
            with whole_file(self.method) as partial, partial.open("wb") as file:
                np.savez(file, **{name: v.numpy() for name, v in _variables(layers).items()})

    def load_method(self, layers: "Mapping[str, tf.keras.layers.Layer]") -> None:
        """Gives layers the values of `save_method`.

        Raises:
          InputError: the file is missing, damaged, or of other layers.
        """
        if not layers:
            return
        try:
            with np.load(self.method) as kept:
                for name, variable in _variables(layers).items():
                    variable.assign(kept[name])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self.method} is missing, damaged or does not fit {self.config_file}: {error}. "
                "Copy the run folder anew, or train anew."
            ) from error

    def keep_log(self, epochs: int) -> None:
        """Takes rows off log.csv that are not of the first `epochs` epochs, half ones too."""
        if self.log_file.exists():
            lines = self.log_file.read_bytes().splitlines(keepends=True)[: epochs + 1]
            with whole_file(self.log_file) as partial:
                partial.write_bytes(b"".join(lines) if epochs else b"")

    def exists(self) -> bool:
        """Returns whether a run was begun here."""
        return self.config_file.exists()

    def check_new(self, resume: bool) -> None:
        """Raises InputError where a run would be overwritten."""
        if self.exists() and not resume:
            raise InputError(
                f"{self.folder} already holds a run. Add --resume to go on with it, or choose "
                "another --run_dir."
            )

    def begin(self, config: Config) -> None:
        """Makes the folder and writes config.json and environment.json."""
        made_folder(self.folder)
        write_whole(self.config_file, config.to_json())
        write_whole(self.folder / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def config(self) -> Config:
        """Reads the run's settings.

        Raises:
          InputError: there is no run here, or its config.json or best.json cannot be read.
        """
        if not self.exists():
            raise InputError(
                f"{self.folder} holds no run: {self.config_file.name} is missing. "
                "Give the folder that ldl-fer train wrote."
            )
        if "validation_ccc" in self.epoch("best"):
            raise InputError(
                f"{self.folder} was left by `ldl-fer affect train`: it tells valence and "
                "arousal, not classes. Give a run of ldl-fer train."
            )
        try:
            return Config.from_json(self.config_file.read_text())
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"{self.config_file} is damaged or of another version: {error}"
            ) from error

    def check_weights(self, which: str) -> None:
        """Raises InputError where there is no run, or it has no such weights yet."""
        self.config()
        if not self.weights(which).exists():
            raise InputError(
                f"{self.weights(which)} is missing: the run has not finished an epoch."
            )

    def check_samples(self) -> None:
        """Raises InputError where there is no run, or it is not finished."""
        self.config()
        if not self.samples_file.exists():
            raise InputError(
                f"{self.samples_file} is missing: the run is not finished. Go on with it by "
                f"ldl-fer train {shlex.quote(f'--run_dir={self.folder}')} --resume."
            )

    def epoch(self, which: str) -> dict:
        """Reads epoch, validation accuracy and SHA-256 of the "best" or "last" weights.

        Returns:
          A dict, empty before there are any.

        Raises:
          InputError: the file is damaged.
        """
        file = self.epoch_file(which)
        try:
            return dict(json.loads(file.read_text())) if file.exists() else {}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{file} is damaged: {error}. Copy the run folder anew.") from error


def _variables(layers: "Mapping[str, tf.keras.layers.Layer]") -> "dict[str, tf.Variable]":
    """Layer/place -> variable."""
    return {
        f"{name}/{place}": variable
        for name, layer in layers.items()
        for place, variable in enumerate(layer.variables)
    }


def load_network(
    run_dir: str | os.PathLike,
    which: str = "best",
    network: "tf.keras.Model | None" = None,
    trust_model: bool = False,
) -> "tuple[tf.keras.Model, Config]":
    """Loads the trained network of a run, and the run's settings.

    Args:
      run_dir: the run folder.
      which: "best" by validation accuracy, or "last".
      network: takes the weights, one of the same settings, on one device and in full precision;
        None: a new one.
      trust_model: see `NetworkConfig`; it is not among a run's own settings.

    Raises:
      InputError: there is no run, it has no such weights yet, or they are not what was written.
    """
    run = Run(run_dir)
    run.check_weights(which)
    config = run.config()
    written = run.epoch(which).get("sha256")  # runs of early versions have none
    if written is not None and sha256(run.weights(which)) != written:
        raise InputError(
            f"{run.weights(which)} is not what {run.epoch_file(which).name} tells of: its SHA-256 "
            "is another. If the training was stopped between writing the two, go on with --resume; "
            "else copy the run folder anew."
        )
    from ldl_fer.networks.weight_files import load_weights

    if network is None:
        from ldl_fer.methods import network_of_method

        exact = config.replace(precision="float32", trust_model=trust_model)
        network = network_of_method(exact, load=False)
    try:
        load_weights(network, run.weights(which))
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


def environment() -> dict:
    """Returns time, command, git commit, versions of Python and packages, devices, machine."""
    import cv2
    import numpy
    import pandas
    import sklearn
    import tensorflow as tf

    modules = (tf, numpy, pandas, sklearn, cv2)
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *map(without_home, sys.argv[1:])],
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": {module.__name__: module.__version__ for module in modules},
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _git_commit() -> str | None:
    """Returns the commit of the package; -dirty: files of the package, not of results, differ."""

    def git(*arguments: str) -> str:
        command, here = ["git", *arguments], Path(__file__).parents[1]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = commit and git("status", "--porcelain", "--", ".")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return f"{commit}-dirty" if changed else commit or None
