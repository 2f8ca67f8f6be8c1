"""Trains for minutes on end and watches whether memory or open files grow.

  python -m benchmarks.soak --minutes=20
  python -m benchmarks.soak --minutes=600 --data=train.csv --image_dir=images

A whole training as `ldl-fer train` does it, with a validation, pictures for TensorBoard and a
checkpoint after each epoch, and checkpoints within it. After every epoch it notes the process' own
resident memory (without pages of program files, which come and go), its open files and its threads,
of Linux' /proc, in --output. At the end it tells how much memory grew per 1,000 steps over the last
two thirds. Exit code 1: it grew by more than --tolerance, or files or threads became
more.
"""

import contextlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf
from absl import flags
from tqdm import tqdm

from ldl_fer.config import command_line
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole


def peak_memory() -> int:
    """The largest resident memory of this process since it began, bytes.

    Linux starts a new process's `ru_maxrss` at that of the one it came from; its VmHWM is its own.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


PROCESS = Path("/proc/self")  # Linux


class MemoryWatch(tf.keras.callbacks.Callback):
    """Notes memory (bytes), open files and threads after each epoch; ends after some minutes."""

    def __init__(self, minutes: float, output: str | Path) -> None:
        """Takes how long to train, and the CSV that is written anew after each epoch."""
        super().__init__()
        self.minutes, self.output = minutes, output
        self.rows: list[dict[str, float]] = []
        self.steps = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.started = time.monotonic()
        self.bar = tqdm(
            total=self.minutes, unit="min", bar_format="{l_bar}{bar}| {n:.1f}/{total} min"
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        minutes = (time.monotonic() - self.started) / 60
        row = {
            "minutes": round(minutes, 3),
            "steps": self.steps,
            "memory": _anonymous_bytes(),
            "files": len(os.listdir(PROCESS / "fd")),
            "threads": len(os.listdir(PROCESS / "task")),
        }
        self.rows.append(row)
        write_whole(self.output, pd.DataFrame(self.rows).to_csv(index=False))
        self.bar.update(min(minutes, self.minutes) - self.bar.n)
        self.model.stop_training = minutes >= self.minutes

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()


def _anonymous_bytes() -> int:
    """Resident memory that is the process' own: without the pages of program files, which come
    and go as the system likes."""
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise InputError("/proc/self/status has no RssAnon. Run the soak on Linux 4.5 or newer.")


ROWS = 12_271  # of RAF-DB's training set


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def main() -> int:
    from benchmarks.made_up_set import make_up_set

    pass  # MOVED
    from ldl_fer.config.presets import PRESETS
    from ldl_fer.training.train import train

    given = flags.FLAGS
    if not Path("/proc/self").exists():
        raise InputError("the soak reads /proc, which this system does not have. Run it on Linux.")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldl_fer-")))
        paths = given.data, given.image_dir
        config = PRESETS["small"]
        if not given.data:
            paths = make_up_set(folder / "set", given.rows, config.data.image_size)
        watch = MemoryWatch(given.minutes, given.output)
        config = config.replace(
            train_data_path=str(paths[0]),
            train_image_dir=str(paths[1]),
            records_dir=str(folder / "records"),
            run_dir=str(folder / "run"),
            epochs=10**6,
            checkpoint_every="100",
        )
        train(config, watch=watch)
    table = pd.read_csv(given.output)
    report, flat = report_of(table, given.tolerance)
    print(report)
    return 0 if flat else 1


def report_of(table: pd.DataFrame, tolerance: float) -> tuple[str, bool]:
    """What a soak found, for a terminal, and whether all stayed flat.

    Args:
      table: columns minutes, steps, memory (bytes), files, threads; a row per epoch.
      tolerance: MB of growth per 1,000 steps that still count as flat.
    """
    late = table.iloc[len(table) // 3 :]
    steps = late["steps"] - late["steps"].mean()
    # Least squares: slope = sum (s - mean s) m / sum (s - mean s)^2
    slope = 1000 * (steps * late["memory"]).sum() / max((steps**2).sum(), 1) / 1e6
    first, last = late.iloc[0], late.iloc[-1]
    more = {n: int(last[n] - first[n]) for n in ("files", "threads")}
    lines = [
        f"{len(table):,} epochs, {int(last['steps']):,} steps in {last['minutes']:.1f} minutes",
        f"memory: {first['memory'] / 1e6:,.0f} MB after a third, {last['memory'] / 1e6:,.0f} MB at "
        f"the end, most {table['memory'].max() / 1e6:,.0f} MB; {slope:+.2f} MB per 1,000 steps",
        f"open files: {int(first['files'])}, then {int(last['files'])}; threads: "
        f"{int(first['threads'])}, then {int(last['threads'])}",
    ]
    return "\n".join(lines), slope <= tolerance and max(more.values()) <= 0


def _define_flags() -> None:
    flags.DEFINE_float("minutes", 20.0, "How long to train.", 0.0)
    flags.DEFINE_float("tolerance", 5.0, "MB of growth per 1,000 steps that count as flat.")
    flags.DEFINE_string("output", "checkpoints/soak.csv", "Where the table goes.")
    flags.DEFINE_integer("rows", ROWS, "Made-up pictures; fewer are shorter epochs.", 20)
    flags.DEFINE_string("data", "", "Annotation CSV, instead of made-up pictures.")
    flags.DEFINE_string("image_dir", "", "Folder that the paths in --data start from.")


if __name__ == "__main__":
    run()
