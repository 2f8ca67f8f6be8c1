"""Saves a training within epochs and at signals; stops it at numbers that are not finite."""

import contextlib
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.pipeline import order_of_samples
from ldl_fer.data.sets import AnyRecords
from ldl_fer.errors import InputError, Stopped
from ldl_fer.training.state import TrainingState

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NAMED_SAMPLES = 64
LOOK_EVERY = 50  # steps; looking at a loss waits for the device


class StopSignals:
    """Notes the first SIGTERM, SIGHUP or ^C within `with`; a second one ends the work at once.

    One that the process ignores, as under nohup, stays ignored. Python gives signals to its main
    thread: elsewhere, nothing is noted and nothing is changed.

    Attributes:
      noted: number of the signal that came; None before.
    """

    def __init__(self, wanted: bool = True) -> None:
        """Takes whether to note signals; if not, they do what they do without this class."""
        self.noted: int | None = None
        self._wanted = wanted and threading.current_thread() is threading.main_thread()
        self._former: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if self._wanted:
            heard = [n for n in _SIGNALS if signal.getsignal(n) != signal.SIG_IGN]
            self._former = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.noted is not None:
            raise Stopped(number, " a second time; what was done since the last save is lost")
        self.noted = number
        with contextlib.suppress(OSError):  # its terminal is closed
            print(
                "\nStopping after this step and saving; a second signal stops at once.",
                file=sys.stderr,
            )


class SaveState(tf.keras.callbacks.Callback):
    """Counts steps; saves after every epoch, within it, and where a signal asks to stop.

    The losses are looked at every `LOOK_EVERY` steps, and before a save and an epoch's end: what is
    no finite number is found with its step, though some more have been done.

    With --steps_per_execution it is called after so many steps, or what is left of an epoch; a bad
    loss is then found within those.

    Must come last. `fit` may be given what is left of an epoch: its own numbers are not used.
    """

    def __init__(
        self,
        state: TrainingState,
        interval: tuple[int, float],
        signals: StopSignals,
        records: AnyRecords,
        config: Config,
    ) -> None:
        """Makes the callback.

        Args:
          state: counted on and saved.
          interval: save after so many steps, and after so many minutes; 0: never for that reason.
          signals: asks to stop.
          records: the training set, for the names of pictures.
          config: batch size, seed and steps per execution are read from it.
        """
        super().__init__()
        self.state = state
        self.every_steps, self.every_minutes = interval
        self.signals = signals
        self.records = records
        self.config = config
        self.saved_at = state.step, time.monotonic()
        self.recalls = state.steps_done > 0
        self._losses: list[tuple[range, Any]] = []  # steps and their loss, since the last look
        self._supports_tf_logs = True  # Keras then leaves losses on the device.

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.recalls:  # Keras has just set the metrics to zero.
            self.state.recall_metrics()
        self.recalls = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before, left = self.state.step, self.state.steps_per_epoch - self.state.steps_done
        self.state.steps_done += min(self.config.run.steps_per_execution, left)
        self._losses.append((range(before + 1, self.state.step + 1), logs["loss"]))
        epoch_is_over = self.state.steps_done == self.state.steps_per_epoch
        saves = bool(self.signals.noted) or (not epoch_is_over and self._is_due())
        if saves or epoch_is_over or self.state.step - self._losses[0][0][0] >= LOOK_EVERY - 1:
            self._look()
        if saves or epoch_is_over:
            self.state.note_metrics()
        if saves:
            self._save()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.signals.noted:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.state.epochs_done, self.state.steps_done = epoch + 1, 0
        self._save()

    def _look(self):
        steps, losses = zip(*self._losses, strict=True)
        losses, self._losses = tf.stack(losses).numpy(), []
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            raise self._gone_wrong(f"the loss is {losses[bad[0]]}", steps[bad[0]])

    def _is_due(self):
        step, seconds = self.saved_at
        waited = time.monotonic() - seconds
        return 0 < self.every_steps <= self.state.step - step or (
            0 < 60 * self.every_minutes <= waited
        )

    def _save(self) -> None:
        try:
            self.state.save()
        except FloatingPointError as error:
            words = f"{error} has become NaN or infinite"
            raise self._gone_wrong(words, range(self.state.step, self.state.step + 1)) from error
        self.saved_at = self.state.step, time.monotonic()
        if self.signals.noted:
            step = self.state.step
            raise Stopped(
                self.signals.noted,
                f" after step {step:,} (epoch {self._epoch(step)}); all of it is saved. Go on with "
                "--resume.",
            )

    def _epoch(self, step):
        """Returns the epoch of a step, both counted from 1."""
        return (step - 1) // self.state.steps_per_epoch + 1

    def _gone_wrong(self, what, steps):
        """Returns an InputError with the samples of a step, or of several, counted from 1."""
        order = order_of_samples(self.records, self.config, self.state.steps_per_epoch)
        batches = [order(tf.constant(step - 1, tf.int64)).numpy() for step in steps]
        ids, last = np.concatenate(batches), steps[-1]
        place = f"at step {last:,}" if len(steps) == 1 else f"in steps {steps[0]:,} to {last:,}"
        paths = self.records.annotations().paths
        named = ", ".join(f"{i} ({paths[i]})" for i in ids[:_NAMED_SAMPLES])
        more = f" and {len(ids) - _NAMED_SAMPLES} more" if len(ids) > _NAMED_SAMPLES else ""
        return InputError(
            f"{what} {place} (epoch {self._epoch(last)}), and the training is stopped. "
            f"The batch's sample_ids and pictures: {named}{more}. The last checkpoint is from step "
            f"{self.saved_at[0]:,}: look at these pictures, then go on from there with --resume "
            "and a lower --learning_rate."
        )
