"""A training's memory, open files and threads, epoch by epoch."""

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.errors import InputError
from ldl_fer.files import write_whole

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
