"""Keras 2 whatever the version of TensorFlow, and the progress bar."""

import importlib.util
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.addons import ProgressBar, TQDMProgressBar


def python(code):
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("bar", sorted({ProgressBar, TQDMProgressBar}, key=str))
def test_progress_shows_epochs_steps_metrics_and_the_time_left(bar, capsys):
    network = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="zeros")])
    network.compile("sgd", "mse")
    images, labels = np.zeros([6, 2]), np.zeros([6, 1])  # the loss is 0 and stays 0
    network.fit(images, labels, batch_size=2, epochs=2, callbacks=[bar()], verbose=0)
    out, err = capsys.readouterr()
    assert out.split("\n") == ["Epoch 1/2", "Epoch 2/2", ""]
    assert "Training: 100%" in err
    assert "2/2 ETA: 00:00s" in err
    assert re.search(r"3/3.* ETA: 00:00s - loss: 0.0000", err)


@pytest.mark.parametrize("first", ["tensorflow", "ldl_fer"])
def test_keras_is_2_whichever_is_imported_first(first):
    done = python(f"import {first}, ldl_fer, tensorflow as tf; tf.keras.optimizers.legacy.SGD(0.1)")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    not importlib.util.find_spec("tf_keras"), reason="TensorFlow's own Keras is Keras 2 here"
)
def test_keras_3_in_use_is_told_with_its_cure():
    done = python("import tensorflow as tf; tf.keras.layers; import ldl_fer")
    assert "ImportError: ldl_fer needs Keras 2" in done.stderr
    assert "TF_USE_LEGACY_KERAS=1" in done.stderr
