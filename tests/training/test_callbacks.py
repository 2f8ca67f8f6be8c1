"""The progress bar, whoever made it, and the choice of Keras 2."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.training.callbacks import PlainProgressBar, TQDMProgressBar


def test_progress_bar_is_of_tensorflow_addons_where_there_is_one():
    made_here = TQDMProgressBar is PlainProgressBar
    assert made_here == (importlib.util.find_spec("tensorflow_addons") is None)


@pytest.mark.parametrize("bar", [PlainProgressBar, TQDMProgressBar])
def test_progress_bar_tells_epochs_steps_metrics_and_the_time_left(bar, capsys):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    features = np.zeros([6, 1], "float32")
    model.fit(features, np.ones(6), batch_size=2, epochs=2, verbose=0, callbacks=[bar()])
    out, err = capsys.readouterr()
    assert out.split("\n") == ["Epoch 1/2", "Epoch 2/2", ""]
    # Zeros give 0; the bias climbs: (1 - b)^2 is below 1 in the last step.
    steps = re.findall(r"3/3.* ETA: 00:00s - loss: (0\.\d{4})", err)
    assert len(steps) == 2 and steps[0] > steps[1]
    assert re.search(r"Training: 100%.* 2/2 ETA: 00:00s, ", err)


@pytest.mark.skipif(
    importlib.util.find_spec("tf_keras") is None, reason="TensorFlow's own Keras is Keras 2 here"
)
@pytest.mark.parametrize(
    ("code", "refused"),
    [
        (
            "import tensorflow as tf; import ldl_fer; assert 'tf_k' in repr(tf.keras.Model)",
            False,
        ),
        ("import tensorflow as tf; tf.keras.layers; import ldl_fer", True),
    ],
)
def test_keras_3_that_is_loaded_already_is_refused(code, refused, monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode != 0) == refused, done.stderr
    assert ("Import ldl_fer before tensorflow" in done.stderr) == refused
