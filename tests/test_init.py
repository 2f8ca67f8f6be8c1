"""The choice of Keras 2."""

import importlib.util
import subprocess
import sys

import pytest


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
