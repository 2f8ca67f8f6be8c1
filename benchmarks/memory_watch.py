"""Watches memory, open files and threads over a training, by Linux' /proc."""

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from benchmarks.memory import PROCESS, memory_in_use, own_memory
from ldl_fer.files import write_whole


class MemoryWatch(tf.keras.callbacks.Callback):
    """Notes memory (bytes), open files and threads after each epoch; ends after some minutes."""

    def __init__(self, minutes: float, output: str | Path) -> None:
        """Prepares the watch.

        Args:
          minutes: after which the training ends.
          output: CSV that is written anew after each epoch: columns minutes, steps, memory and
            in_use (bytes), files, threads.
        """
        super().__init__()
        self._supports_tf_logs = True  # else Keras waits for the numbers of every step
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
            "memory": own_memory(),
            "in_use": memory_in_use(),
            "files": len(os.listdir(PROCESS / "fd")),
            "threads": len(os.listdir(PROCESS / "task")),
        }
        self.rows.append(row)
        write_whole(self.output, pd.DataFrame(self.rows).to_csv(index=False))
        self.bar.update(min(minutes, self.minutes) - self.bar.n)
        self.model.stop_training = minutes >= self.minutes

    def on_train_end(self, logs: Any = None) -> None:
        self.bar.close()
