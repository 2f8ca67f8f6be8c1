"""Checkpoints are whole or not there, and damage never goes unnoticed."""

import contextlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.memory import PROCESS, peak_memory
from ldl_fer.errors import InputError
from ldl_fer.training import state
from ldl_fer.training.state import KEPT, Checkpoints, TrainingState


def made(folder, value=0.0):
    """Checkpoints of one variable [4]."""
    variable = tf.Variable([value] * 4)
    return Checkpoints(folder / "state", tf.train.Checkpoint(weights=variable)), variable


def saved(folder, steps=(1, 2, 3)):
    checkpoints, variable = made(folder)
    for step in steps:
        variable.assign([float(step)] * 4)
        checkpoints.save(step)
    return checkpoints, variable


def names(folder):
    return sorted(path.name for path in (folder / "state").iterdir())


def test_the_newest_are_kept_and_the_newest_of_all_is_restored(tmp_path):
    saved(tmp_path)
    assert KEPT == 2 and names(tmp_path) == ["step-000000002", "step-000000003"]
    checkpoints, variable = made(tmp_path)
    assert checkpoints.restore().name == "step-000000003"
    assert variable.numpy().tolist() == [3.0] * 4


def test_a_second_one_of_a_step_replaces_none(tmp_path, monkeypatch):
    """Within the epoch's validation, and after it."""
    checkpoints, variable = saved(tmp_path)
    variable.assign([4.0] * 4)
    checkpoints.save(3)
    assert names(tmp_path) == ["step-000000003", "step-000000003-again"]
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # killed, or not allowed to
    checkpoints.save(4)
    restored, variable = made(tmp_path)
    for expected, value in (("4", 4.0), ("3-again", 4.0), ("3", 3.0)):
        assert restored.restore().name == f"step-00000000{expected}"
        assert variable.numpy()[0] == value
        monkeypatch.undo()
        newest = tmp_path / "state" / f"step-00000000{expected}"
        (newest / "SHA256SUMS").unlink()


@pytest.mark.parametrize("steps", [5, 10, 3])
def test_epochs_of_another_batch_size_count_as_epochs(tmp_path, steps):
    """Methods that change with the epoch know it by the optimizer's steps."""

    def training(steps, batch_size):
        optimizer = tf.keras.optimizers.SGD()
        model = SimpleNamespace(metrics=[], optimizer=optimizer, parts=lambda: {"sgd": optimizer})
        return TrainingState(model, steps, batch_size, tmp_path), optimizer.iterations

    begun, iterations = training(5, 20)
    begun.epochs_done = 4
    iterations.assign(20)
    begun.save()
    resumed, iterations = training(steps, 100 // steps)
    resumed.restore(tmp_path)
    assert resumed.epochs_done == 4 and iterations.numpy() == resumed.step == 4 * steps


def test_nothing_saved_nothing_restored(tmp_path):
    checkpoints, variable = made(tmp_path, 7.0)
    assert checkpoints.restore() is None and variable.numpy()[0] == 7.0


def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path, capsys):
    saved(tmp_path)
    newest = tmp_path / "state/step-000000003"
    tried = 0
    for path in sorted(newest.iterdir()):
        content = path.read_bytes()
        cuts = [content[:n] for n in (0, 1, len(content) // 2, len(content) - 2)]
        for place in range(0, len(content), max(1, len(content) // 40)):
            flipped = bytearray(content)
            flipped[place] ^= 0x10
            cuts.append(bytes(flipped))
        for damaged in cuts:
            path.write_bytes(damaged)
            checkpoints, variable = made(tmp_path)
            elsewhere = Checkpoints(tmp_path / "other", checkpoints.objects)  # removes nothing
            assert elsewhere.restore(tmp_path / "state").name == "step-000000002"
            assert variable.numpy().tolist() == [2.0] * 4
            assert f"warning: a checkpoint is damaged, {newest}/" in capsys.readouterr().err
            tried += 1
        path.write_bytes(content)
    assert tried > 100
    assert made(tmp_path)[0].restore() == newest


def test_a_missing_file_is_noticed_and_the_damaged_one_is_removed(tmp_path, capsys):
    saved(tmp_path)
    (tmp_path / "state/step-000000003/variables.index").unlink()
    assert made(tmp_path)[0].restore().name == "step-000000002"
    assert "variables.index is missing" in capsys.readouterr().err
    assert names(tmp_path) == ["step-000000002"]


def test_without_a_whole_one_the_run_is_refused(tmp_path):
    saved(tmp_path)
    for path in (tmp_path / "state").glob("*/SHA256SUMS"):
        path.write_text("")
    with pytest.raises(InputError, match="no checkpoint in .* is whole"):
        made(tmp_path)[0].restore()


def test_an_earlier_version_is_named(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/checkpoint").write_text("")
    with pytest.raises(InputError, match="earlier version"):
        made(tmp_path)[0].restore()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_kept(tmp_path, value):
    checkpoints, variable = saved(tmp_path)
    variable.assign([1.0, value, 1.0, 1.0])
    with pytest.raises(FloatingPointError, match="weights"):
        checkpoints.save(4)
    assert names(tmp_path) == ["step-000000002", "step-000000003"]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("looked_at", [1, 7, 2**20])
def test_every_number_of_every_kind_of_variable_is_looked_at(
    tmp_path, monkeypatch, mirrored, looked_at
):
    monkeypatch.setattr(state, "_LOOKED_AT", looked_at)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"]) if mirrored else None
    with strategy.scope() if mirrored else contextlib.nullcontext():
        cast = tf.keras.layers.Dense(3, dtype="mixed_float16")
        on_read = tf.keras.layers.BatchNormalization()
        cast.build([2, 4])
        on_read.build([2, 3])
        scalar, empty = tf.Variable(1.0), tf.Variable(tf.zeros([0, 3]))
    parts = {"cast": cast, "on_read": on_read, "scalar": scalar, "empty": empty}
    checkpoints = Checkpoints(tmp_path, tf.train.Checkpoint(**parts))
    checkpoints.save(0)
    variables = {"cast/kernel": cast.kernel, "on_read/moving_mean": on_read.moving_mean}
    for name, variable in (variables | {"scalar": scalar}).items():
        former = variable.numpy()
        for place in np.ndindex(former.shape):
            value = np.array(former)
            value[place] = np.nan
            variable.assign(value)
            with pytest.raises(FloatingPointError, match=f"^{name}$"):
                checkpoints.save(1)
        variable.assign(former)
    checkpoints.save(1)


def test_a_bank_of_which_rows_were_written_is_not_copied(tmp_path):
    """TensorFlow reads such a variable as a copy: 134 MB here."""
    if not (PROCESS / "clear_refs").exists():
        pytest.skip("needs Linux' /proc, to measure a peak of memory from a moment on")
    bank = tf.Variable(tf.ones([2**16, 2**10], tf.float16))
    bank.scatter_update(tf.IndexedSlices(tf.zeros([1, 2**10], tf.float16), [3]))
    checkpoints = Checkpoints(tmp_path, tf.train.Checkpoint(bank=bank))
    (PROCESS / "clear_refs").write_text("5")  # VmHWM begins anew
    before = peak_memory()
    checkpoints.save(0)
    assert peak_memory() - before < 2**27 / 2


def test_other_objects_are_refused(tmp_path):
    saved(tmp_path)
    for other in (
        tf.train.Checkpoint(weights=tf.Variable([0.0] * 5)),
        tf.train.Checkpoint(weights=tf.Variable([0.0] * 4), more=tf.Variable(0.0)),
    ):
        with pytest.raises(InputError, match="does not fit these settings"):
            Checkpoints(tmp_path / "state", other).restore()


@pytest.mark.parametrize(
    "place", ["os.fsync", "pathlib.Path.rename", "pathlib.Path.write_text", "pathlib.Path.mkdir"]
)
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, place):
    checkpoints, _ = saved(tmp_path)

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, fails)
        with pytest.raises(InputError, match="No space left on device.*--resume"):
            checkpoints.save(4)
    assert names(tmp_path) == ["step-000000002", "step-000000003"]
    checkpoints.save(4)
    assert names(tmp_path) == ["step-000000003", "step-000000004"]


def test_what_a_killed_process_left_is_cleared(tmp_path):
    checkpoints, _ = saved(tmp_path)
    shutil.copytree(tmp_path / "state/step-000000003", tmp_path / "state/.partial-1")
    assert checkpoints.restore().name == "step-000000003"
    checkpoints.save(4)
    assert names(tmp_path) == ["step-000000003", "step-000000004"]


def test_saving_the_same_step_again_replaces_it(tmp_path):
    checkpoints, variable = saved(tmp_path)
    variable.assign([9.0] * 4)
    checkpoints.save(3)
    again, variable = made(tmp_path)
    again.restore()
    assert variable.numpy()[0] == 9.0 and len(names(tmp_path)) == 2
