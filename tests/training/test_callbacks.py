"""The progress bar, that of tensorflow-addons or our own; the curves' numbers."""

import importlib.util
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.config.progress import shown_as
from ldl_fer.training import train
from ldl_fer.training.callbacks import (
    NumberSummary,
    PlainProgressBar,
    TQDMProgressBar,
    progress_bars,
)
from ldl_fer.training.run import Run


def test_progress_bar_is_of_tensorflow_addons_where_there_is_one():
    made_here = issubclass(TQDMProgressBar, PlainProgressBar)
    assert made_here == (importlib.util.find_spec("tensorflow_addons") is None)


def fit(callbacks):
    """Two epochs of three steps."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    features = np.zeros([6, 1], "float32")
    model.fit(features, np.ones(6), batch_size=2, epochs=2, verbose=0, callbacks=callbacks)


@pytest.mark.parametrize("bar", [PlainProgressBar, TQDMProgressBar])
def test_in_a_log_each_epoch_is_a_line(bar, capsys):
    fit([bar()])  # standard error is no terminal here
    out, err = capsys.readouterr()
    assert out.split("\n") == ["Epoch 1/2", "Epoch 2/2", ""]
    first, second, last, end = err.split("\n")
    for line in (first, second):
        assert re.fullmatch(r"loss: 0\.\d{4}: 3 of 3 (it|steps) \(100%\), 00:\d\d", line), line
    assert re.fullmatch(r"Training: 2 of 2 epochs \(100%\), 00:\d\d", last) and not end
    with shown_as("none"):
        assert progress_bars() == []


@pytest.mark.parametrize("bar", [PlainProgressBar, TQDMProgressBar])
def test_progress_bar_shows_epochs_steps_metrics_and_the_time_left(bar, capsys):
    with shown_as("bar"):
        fit([bar()])
    out, err = capsys.readouterr()
    assert out.split("\n") == ["Epoch 1/2", "Epoch 2/2", ""]
    # Zeros give 0; the bias climbs: (1 - b)^2 is below 1 in the last step.
    steps = re.findall(r"3/3.* ETA: 00:00s - loss: (0\.\d{4})", err)
    assert len(steps) == 2 and steps[0] > steps[1]
    assert re.search(r"Training: 100%.* 2/2 ETA: 00:00s, ", err)


def test_no_callback_has_keras_wait_for_the_numbers_of_each_step(tmp_path):
    config = PRESETS["small"].replace(pictures=False)
    made = train._callbacks(config, Run(tmp_path), None, True, None)
    assert any(isinstance(callback, TQDMProgressBar) for callback in made)
    assert tf.keras.callbacks.CallbackList(made)._batch_hooks_support_tf_logs


def test_curves_get_no_python_floats_which_tensorflow_would_keep(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(tf.summary, "scalar", lambda name, value: given.update({name: value}))
    callback = NumberSummary(tf.summary.create_file_writer(str(tmp_path)))
    values = tf.range(5, dtype=tf.float32)
    callback.model = SimpleNamespace(histograms=lambda: {"uncertainty": values})
    callback.on_epoch_end(0, {"loss": 0.5, "val_accuracy": 0.25})
    expected = {"training/loss": 0.5, "validation/accuracy": 0.25, "uncertainty/mean": 2.0}
    expected["uncertainty/quantile_0.25"] = 1.0
    assert {name: given[name] for name in expected} == pytest.approx(expected, abs=1e-7)
    assert {type(value) for value in given.values()} == {np.float32}
