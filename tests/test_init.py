"""The names at the top, which cost nothing until they are used; the choice of Keras 2."""

import importlib.util
import subprocess
import sys

import pytest

import ldl_fer


def test_every_name_is_there_and_importing_the_package_loads_nothing_heavy():
    assert set(ldl_fer.__all__) == {*ldl_fer._LAZY, "equations"} <= set(dir(ldl_fer))
    for name in ldl_fer._LAZY:
        assert getattr(ldl_fer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        ldl_fer.trian  # noqa: B018
    code = (
        "import sys, ldl_fer; from ldl_fer import Config; Config.preset('small');"
        "heavy = {'tensorflow', 'pandas', 'cv2', 'matplotlib', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
