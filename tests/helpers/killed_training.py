"""A training in a process of its own that gets killed, and what it leaves.

As a program, it kills trainings at random moments, many times:
  python tests/helpers/killed_training.py --trials=100
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS, replaced
from ldl_fer.errors import InputError
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.training.run import Run

COUNT, STEPS = 70, 4
KILLED = -signal.SIGKILL
PLACES = [  # functions at whose beginning a process may die; each call is an event
    (os, "replace"),
    (os, "rename"),
    (os, "fsync"),
    (os, "mkdir"),
    (shutil, "rmtree"),
    (Path, "write_text"),
    (tf.train.Checkpoint, "write"),
    (tf.keras.Model, "save_weights"),
]

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["ldl_fer.training.train"])


def drawn(folder: Path) -> Path:
    """The data of all trainings here."""
    draw_faces(folder / "drawn", train=COUNT, test=20, size=32, progress=False)
    return folder


def config_of(folder: Path, name: str, **settings) -> Config:
    """Three epochs of `STEPS` steps; saved after every second step; as flags, settings win."""
    usual = dict(
        train_data_path=str(folder / "drawn/train.csv"),
        train_image_dir=str(folder / "drawn/images"),
        records_dir=str(folder / "records"),
        run_dir=str(folder / name),
        validation_fraction=0.2,
        image_size=32,
        num_neighbors=3,
        batch_size=16,
        epochs=3,
        pad=2,
        checkpoint_every="2",
        pictures=False,
    )
    return replaced(PRESETS["small"], usual | settings)


def run_process(config: Config, event: int = 0, number: int = signal.SIGKILL) -> tuple[int, int]:
    """Trains (or goes on) in another process; at its `event`-th event it gets a signal.

    Args:
      config: of the run.
      event: 1 for the first; 0: never.
      number: the signal.

    Returns:
      Exit code, and how many events there were (0 of a process that was killed).
    """
    queue = context.SimpleQueue()
    process = context.Process(target=train_and_tell, args=(config.to_json(), event, number, queue))
    process.start()
    process.join()
    return process.exitcode, queue.get() if process.exitcode == 0 else 0


def train_and_tell(text, event, number, queue):
    """In the other process: puts the number of events into the queue, or the error's words."""
    from ldl_fer.training.train import train

    events = 0

    def happened():
        nonlocal events
        events += 1
        if events == event:
            os.kill(os.getpid(), number)

    for owner, name in PLACES:
        setattr(owner, name, _noted(getattr(owner, name), happened))

    class Steps(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            happened()

        def on_test_batch_end(self, batch, logs=None):
            happened()

    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        train(Config.from_json(text), resume=True, watch=Steps())
    except KeyboardInterrupt as stop:
        sys.exit(getattr(stop, "exit_code", 1))
    except InputError as error:
        queue.put(str(error))
        sys.exit(2)
    queue.put(events)


def _noted(function, happened):
    def wrapped(*args, **kwargs):
        happened()
        return function(*args, **kwargs)

    return wrapped


def place(run_dir: Path) -> list[int]:
    """Finished epochs, and steps after them, of a run's newest checkpoint."""
    [place] = [v for name, v in _tensors(run_dir / "state").items() if name.startswith("place/")]
    return place[:2].tolist()


def differences(first: Path, second: Path) -> list[str]:
    """In what two finished run folders differ, to the bit; places of files aside."""
    found = []
    first, second = Run(first), Run(second)
    for one, other in (
        (first.log_file, second.log_file),
        (first.samples_file, second.samples_file),
    ):
        if one.read_bytes() != other.read_bytes():
            found.append(one.name)
    if first.epoch("best") != second.epoch("best"):
        found.append("best.json")
    for which in ("best", "last"):
        if not _same_weights(first.weights(which), second.weights(which)):
            found.append(f"{which} weights")
    states = [_tensors(run.state) for run in (first, second)]
    if states[0].keys() != states[1].keys():
        found.append("names in the state")
    found += [n for n, v in states[0].items() if not np.array_equal(v, states[1].get(n))]
    if any(path.name.startswith(".partial") for path in second.state.iterdir()):
        found.append("half a checkpoint is left")
    return found


def _same_weights(first, second):
    import h5py

    values = []
    for path in (first, second):
        with h5py.File(path) as file:
            found = {}
            file.visititems(
                lambda name, node, found=found: (
                    found.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None
                )
            )
            values.append(found)
    one, other = values
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


def _tensors(state):
    newest = max(state.glob("step-*"))
    reader = tf.train.load_checkpoint(str(newest / "variables"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if n != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def main(trials: int) -> int:
    """Kills trainings at random moments; the number of runs that end differently."""
    wrong = kills = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = drawn(Path(temporary))
        run_process(config_of(folder, "whole"))
        started = time.monotonic()
        run_process(config_of(folder, "again"))
        usual = time.monotonic() - started
        for trial in range(trials):
            config = config_of(folder, f"run-{trial}")
            draw = random.Random(trial)
            process = None
            for _ in range(draw.randint(1, 4)):
                queue = context.SimpleQueue()
                process = context.Process(
                    target=train_and_tell, args=(config.to_json(), 0, 0, queue)
                )
                process.start()
                process.join(draw.uniform(0.1, 1.0) * usual)
                if process.exitcode is None:
                    process.kill()
                    process.join()
                    kills += 1
            code, _ = run_process(config)
            found = differences(folder / "whole", folder / f"run-{trial}") if code == 0 else [code]
            wrong += bool(found)
            rows = pd.read_csv(folder / f"run-{trial}/log.csv") if code == 0 else []
            print(f"trial {trial + 1}, {kills} kills, {len(rows)} epochs: {found or 'equal'}")
            shutil.rmtree(folder / f"run-{trial}")
    print(f"{trials} runs, killed {kills} times, {wrong} ended differently")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    sys.exit(main(parser.parse_args().trials) > 0)
