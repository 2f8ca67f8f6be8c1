"""A training that is stopped anywhere, by anything, ends as if it had not been: to the bit."""

import os
import resource
import shutil
import signal

import pytest
import tensorflow as tf
from helpers.killed_training import (
    KILLED,
    STEPS,
    config_of,
    context,
    differences,
    place,
    run_process,
    train_and_tell,
)

from ldl_fer.errors import InputError, Stopped
from ldl_fer.files import claimed
from ldl_fer.training.run import Run
from ldl_fer.training.train import train


class StopAt(tf.keras.callbacks.Callback):
    """Sends this process a signal at the `count`-th end of a training or test batch."""

    def __init__(self, count, number=signal.SIGTERM, validation=False):
        super().__init__()
        self.count, self.number, self.validation = count, number, validation

    def on_train_batch_end(self, batch, logs=None):
        self._count(not self.validation)

    def on_test_batch_end(self, batch, logs=None):
        self._count(self.validation)

    def _count(self, counts):
        self.count -= counts
        if counts and self.count == 0:
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def events(folder, whole):
    """How many events a run has, once the data is prepared; it equals the first run."""
    code, events = run_process(config_of(folder, "again"))
    assert code == 0 and differences(whole, folder / "again") == []
    return events


@pytest.mark.slow
def test_killed_at_any_event(folder, whole, events, request):
    """At steps, before and after each file of a checkpoint, between log, weights and state."""
    count = request.config.getoption("--kills")
    assert events > 60
    tried = range(1, events + 1) if count >= events else range(2, events, events // count)
    for event in tried:
        config = config_of(folder, f"killed {event}")
        assert run_process(config, event)[0] == KILLED
        assert run_process(config)[0] == 0
        assert differences(whole, Run(config.run.run_dir).folder) == [], event
        shutil.rmtree(config.run.run_dir)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
@pytest.mark.parametrize(
    ("count", "validation", "expected"),
    [
        (1, False, [0, 1]),
        (STEPS + 3, False, [1, 3]),
        (2 * STEPS, False, [1, STEPS]),  # the epoch's last step; its validation is left
        (2, True, [1, STEPS]),  # within the validation
    ],
    ids=["first step", "middle", "last step", "validation"],
)
def test_a_signal_loses_no_step(folder, whole, tmp_path, number, code, count, validation, expected):
    config = config_of(folder, "unused", run_dir=str(tmp_path / "run"), checkpoint_every="0")
    former = signal.getsignal(number)
    with pytest.raises(Stopped, match="--resume") as stop:
        train(config, watch=StopAt(count, number, validation))
    assert stop.value.exit_code == code and signal.getsignal(number) == former
    assert place(tmp_path / "run") == expected
    assert run_process(config)[0] == 0
    assert differences(whole, tmp_path / "run") == []


@pytest.mark.slow
def test_several_steps_an_execution_are_the_same_steps(folder, whole):
    """4 steps an epoch are 3 and 1; a signal saves after an execution, and the run goes on."""
    config = config_of(folder, "executions", steps_per_execution=3)
    code, events = run_process(config)
    assert code == 0 and differences(whole, folder / "executions") == []
    config = config_of(folder, "cut executions", steps_per_execution=3)
    assert run_process(config, events // 3, signal.SIGTERM)[0] == 143
    assert run_process(config)[0] == 0
    assert differences(whole, folder / "cut executions") == []


@pytest.mark.slow
def test_a_damaged_checkpoint_falls_back_to_the_one_before(folder, whole, tmp_path, capfd):
    config = config_of(folder, "unused", run_dir=str(tmp_path / "run"))
    with pytest.raises(Stopped):
        train(config, watch=StopAt(STEPS + 3))
    older, newest = sorted((tmp_path / "run/state").glob("step-*"))
    [data] = newest.glob("variables.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    train(config, resume=True, watch=tf.keras.callbacks.Callback())
    assert f"warning: a checkpoint is damaged, {newest}/" in capfd.readouterr().err
    assert differences(whole, tmp_path / "run") == []


def _with_little_room(text, queue):
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))  # bytes; a checkpoint has more
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    train_and_tell(text, 0, 0, queue)


@pytest.mark.slow
def test_a_full_disk_ends_in_words_and_the_run_goes_on_with_room(folder, whole, tmp_path):
    config = config_of(folder, "unused", run_dir=str(tmp_path / "run"))
    with pytest.raises(Stopped):
        train(config, watch=StopAt(STEPS + 1))
    before = place(tmp_path / "run")
    queue = context.SimpleQueue()
    process = context.Process(target=_with_little_room, args=(config.to_json(), queue))
    process.start()
    process.join()
    words = queue.get()
    assert process.exitcode == 2 and "make room" in words and "File too large" in words
    assert place(tmp_path / "run") == before
    assert run_process(config)[0] == 0
    assert differences(whole, tmp_path / "run") == []


@pytest.fixture(scope="module")
def stopped(folder):
    """A run that was stopped after the second step of its second epoch."""
    config = config_of(folder, "stopped", checkpoint_every="0")
    with pytest.raises(Stopped):
        train(config, watch=StopAt(STEPS + 2))
    return config


@pytest.mark.slow
def test_a_second_training_in_the_folder_is_refused(stopped):
    with (
        claimed(Run(stopped.run.run_dir).lock) as mine,
        pytest.raises(InputError, match="another training"),
    ):
        assert mine
        train(stopped, resume=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(batch_size=8), "--batch_size"),  # other batches in the middle of an epoch
        (dict(method="cross_entropy"), "does not fit these settings"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_and_changes_nothing(stopped, settings, words):
    before = Run(stopped.run.run_dir).config_file.read_text()
    with pytest.raises(InputError, match=words):
        train(stopped.replace(**settings), resume=True)
    assert Run(stopped.run.run_dir).config_file.read_text() == before


@pytest.mark.slow
def test_fewer_epochs_than_are_done_are_refused(stopped):
    words = "has done 1 epochs and 2 steps of the next, more than --epochs=1. Give --epochs=2 or"
    with pytest.raises(InputError, match=words):
        train(stopped.replace(epochs=1), resume=True)


def test_half_a_row_of_the_log_is_dropped(tmp_path):
    run = Run(tmp_path)
    run.log_file.write_bytes(b"epoch,loss\r\n0,1.5\r\n1,1.25\r\n2,1.")
    for epochs, expected in (
        (2, b"epoch,loss\r\n0,1.5\r\n1,1.25\r\n"),
        (1, b"epoch,loss\r\n0,1.5\r\n"),
        (0, b""),
    ):
        run.keep_log(epochs)
        assert run.log_file.read_bytes() == expected


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_and_names_the_batch(folder, tmp_path):
    config = config_of(folder, "unused", run_dir=str(tmp_path / "run"), checkpoint_every="1")
    config = config.replace(learning_rate=1e30, method="cross_entropy")
    with pytest.raises(InputError, match="--learning_rate") as error:
        train(config, watch=tf.keras.callbacks.Callback())
    words = str(error.value)
    step = int(words.split("at step ")[1].split(" ")[0])
    assert 1 <= step <= STEPS
    assert words.count(".png)") == 16  # the batch's pictures
    saved = sorted((tmp_path / "run/state").glob("step-*"))
    assert [int(path.name[5:]) for path in saved] == list(range(1, step))[-2:]
