"""A loss that is no finite number is found with its step, though not each is looked at."""

import os
import signal
from types import SimpleNamespace

import pytest
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.pipeline import sample_ids_of_step
from ldl_fer.errors import InputError, Stopped
from ldl_fer.training.callbacks import PlainProgressBar, TQDMProgressBar
from ldl_fer.training.interruption import LOOK_EVERY, SaveState, StopSignals

STEPS, COUNT, BATCH = 2 * LOOK_EVERY, 500, 4


class State:
    """Counts as `TrainingState`; nothing is saved."""

    epochs_done, steps_done, steps_per_epoch, saves = 1, 0, STEPS, 0

    @property
    def step(self):
        return self.epochs_done * self.steps_per_epoch + self.steps_done

    def note_metrics(self):
        pass

    def save(self):
        self.saves += 1


class Faces:
    def __len__(self):
        return COUNT

    def annotations(self):
        return SimpleNamespace(paths=[f"{i}.png" for i in range(COUNT)])


def saving(every_steps=0, **settings):
    config = Config().replace(batch_size=BATCH, **settings)
    signals = SimpleNamespace(noted=None)
    return SaveState(State(), (every_steps, 0.0), signals, Faces(), config)


def feed(callback, losses):
    for number, loss in enumerate(losses):
        callback.on_train_batch_end(number, {"loss": tf.constant(loss)})


@pytest.mark.parametrize("bad", [1, 7, LOOK_EVERY])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_first_bad_step_is_named_with_its_pictures(bad, value):
    callback = saving()
    losses = [1.0] * (bad - 1) + [value] * (LOOK_EVERY - bad + 1)
    feed(callback, losses[:-1])  # not looked at yet
    with pytest.raises(InputError) as error:
        feed(callback, losses[-1:])
    step = STEPS + bad
    ids = sample_ids_of_step(tf.constant(step - 1, tf.int64), STEPS, COUNT, BATCH, 0).numpy()
    assert f"at step {step:,} (epoch 2)" in str(error.value)
    assert ", ".join(f"{i} ({i}.png)" for i in ids) in str(error.value)


def test_a_save_looks_first():
    callback = saving(every_steps=10)
    feed(callback, [1.0] * 10)
    assert callback.state.saves == 1
    with pytest.raises(InputError, match=f"at step {STEPS + 15:,}"):
        feed(callback, [1.0] * 4 + [float("nan")] * 6)
    assert callback.state.saves == 1


def test_the_end_of_an_epoch_looks():
    callback = saving()
    feed(callback, [1.0] * (STEPS - 1))
    with pytest.raises(InputError, match=f"at step {2 * STEPS:,} "):
        feed(callback, [float("nan")])


def test_several_steps_an_execution_are_counted_and_named():
    callback = saving(every_steps=5, steps_per_execution=3)
    callback.state.steps_per_epoch = 8
    callback.saved_at = callback.state.step, callback.saved_at[1]
    counted = []
    for loss in [1.0] * 3:  # of 3, 3 and the last 2 steps
        feed(callback, [loss])
        counted.append((callback.state.steps_done, callback.state.saves))
    assert counted == [(3, 0), (6, 1), (8, 1)]
    callback.state.epochs_done, callback.state.steps_done = 2, 0
    feed(callback, [1.0])
    feed(callback, [float("nan")])  # not looked at yet
    with pytest.raises(InputError) as error:
        feed(callback, [float("nan")])
    assert "in steps 20 to 22 (epoch 3)" in str(error.value)
    for step in (20, 22):
        for i in sample_ids_of_step(tf.constant(step - 1, tf.int64), 8, COUNT, BATCH, 0).numpy():
            assert f"{i} ({i}.png)" in str(error.value)


@pytest.mark.parametrize("bar", [PlainProgressBar, TQDMProgressBar])
def test_keras_leaves_the_losses_on_the_device(bar):
    called = tf.keras.callbacks.CallbackList([bar(), saving()])
    assert called._batch_hooks_support_tf_logs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_and_saves(number):
    former = signal.getsignal(number)
    with StopSignals() as signals:
        os.kill(os.getpid(), number)
        assert signals.noted == number
        callback = saving()
        callback.signals = signals
        with pytest.raises(Stopped, match="all of it is saved") as stop:
            feed(callback, [1.0])
    assert stop.value.exit_code == 128 + number and callback.state.saves == 1
    assert signal.getsignal(number) == former


def test_a_signal_that_nohup_ignores_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.noted is None
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_closed_terminal_does_not_keep_a_signal_from_saving(monkeypatch):
    monkeypatch.setattr("sys.stderr", open("/dev/full", "w", buffering=1))  # noqa: SIM115
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
    assert signals.noted == signal.SIGHUP
