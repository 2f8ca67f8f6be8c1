"""The SavedModel answers as the network does, in a process with neither this package nor Keras."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.probabilities import live_probabilities

from ldl_fer.data.pictures import decoded_image
from ldl_fer.errors import InputError
from ldl_fer.inference import export

SIZE = 12
NAMES = ("Calm", "Glad", "Sad", "Überrascht")

LOADER = """
import sys
sys.modules["ldl_fer"] = sys.modules["keras"] = None  # importing either would raise
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2], allow_pickle=True)
answers = {}
for name in ("serving_images", "serving_default"):
    answers[name] = loaded.signatures[name](images=tf.constant(given["images"]))
answers["large"] = loaded.signatures["serving_images"](images=tf.constant(given["large"]))
answers["serving_bytes"] = loaded.signatures["serving_bytes"](
    image_bytes=tf.constant(list(given["encoded"]))
)
none = loaded.signatures["serving_bytes"](image_bytes=tf.constant([], tf.string))
np.savez(
    sys.argv[3],
    class_names=[name.decode() for name in loaded.class_names().numpy()],
    image_size=loaded.image_size().numpy(),
    none=none["probabilities"].numpy(),
    **{name: answer["probabilities"].numpy() for name, answer in answers.items()},
)
loaded_here = [m for m in sys.modules if sys.modules[m] and m.split(".")[0] in ("ldl_fer", "keras")]
sys.exit(f"loaded {loaded_here}" if loaded_here else 0)
"""


def _network(noise=0.0, bias=0.0):
    tf.keras.utils.set_random_seed(5)
    images = tf.keras.Input([SIZE, SIZE, 3])
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    hidden = tf.keras.layers.Conv2D(6, 3, strides=2)(pixels)
    hidden = tf.keras.layers.BatchNormalization(
        moving_mean_initializer="random_normal",
        moving_variance_initializer=tf.keras.initializers.RandomUniform(0.02, 0.05),
    )(hidden)
    features = tf.keras.layers.Flatten()(tf.keras.layers.ReLU()(hidden))
    logits = tf.keras.layers.Dense(len(NAMES))(tf.keras.layers.Dropout(0.5)(features))
    logits = tf.keras.layers.Lambda(lambda x: x + bias)(logits)
    if noise:
        logits = tf.keras.layers.Lambda(lambda x: x + tf.random.normal(tf.shape(x)) * noise)(logits)
    return tf.keras.Model(images, (features, logits))


def _triangle_weights(old, new):
    """[new, old]: bilinear resampling with antialiasing, written from its definition.

    w_ij ~ max(0, 1 - |(i + 1/2) old / new - (j + 1/2)| / max(1, old / new)), rows sum to 1
    """
    scale = old / new
    distance = (np.arange(new)[:, None] + 0.5) * scale - (np.arange(old) + 0.5)
    weights = np.maximum(0.0, 1.0 - np.abs(distance) / max(1.0, scale))
    return weights / weights.sum(axis=1, keepdims=True)


def _resized(image, size=SIZE):
    rows, columns = (_triangle_weights(old, size) for old in image.shape[:2])
    return np.einsum("ih,jw,hwc->ijc", rows, columns, image.astype(np.float64))


def _encoded_images(random):
    """Encoded images of many kinds, and for each the pixels [SIZE, SIZE, 3] it stands for."""

    def draw(*shape):
        return random.integers(0, 256, shape, dtype=np.uint8)

    def png(image):
        return cv2.imencode(".png", image)[1].tobytes()

    def read(content):
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)

    rgb, gray, rgba = draw(SIZE, SIZE, 3), draw(SIZE, SIZE), draw(SIZE, SIZE, 4)
    small, large = draw(7, 9, 3), draw(40, 31, 3)
    transparent = png(rgba[..., [2, 1, 0, 3]])
    jpeg = tf.io.encode_jpeg(cv2.GaussianBlur(rgb, (5, 5), 2)).numpy()
    gray_jpeg = tf.io.encode_jpeg(gray[..., np.newaxis], format="grayscale").numpy()
    return {
        "png": (png(rgb[..., ::-1]), rgb),
        "gray png": (png(gray), np.repeat(gray[..., np.newaxis], 3, axis=-1)),
        "png with alpha": (transparent, decoded_image(transparent)),
        "png of 16 bits": (png(gray.astype(np.uint16) * 257), np.dstack([gray] * 3)),
        "jpeg": (jpeg, read(jpeg)),
        "gray jpeg": (gray_jpeg, read(gray_jpeg)),
        "smaller png": (png(small[..., ::-1]), _resized(small)),
        "larger png": (png(large[..., ::-1]), _resized(large)),
    }


@pytest.fixture(scope="module")
def network():
    return _network()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "saved_model"
    info = {"run_dir": folder.parent, "validation_accuracy": 0.5}
    assert export.export_saved_model(network, folder, NAMES, SIZE, info) == folder
    return folder


@pytest.mark.slow
def test_answers_alone_as_the_network_does(network, folder, tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, [5, SIZE, SIZE, 3], dtype=np.uint8)
    large = random.integers(0, 256, [2, 30, 25, 3], dtype=np.uint8)
    kinds = _encoded_images(random)
    encoded = np.array([content for content, _ in kinds.values()], dtype=object)
    np.savez(tmp_path / "given.npz", images=images, large=large, encoded=encoded)
    moved = tmp_path / "moved"  # it does not know where it was written
    os.symlink(folder, moved)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADER, str(moved), "given.npz", "found.npz"],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_ENABLE_ONEDNN_OPTS": "0",  # whose convolutions fail on no image on some processors
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    expected = live_probabilities(network, images)
    assert np.ptp(expected, axis=0).min() > 0.01  # the images are distinguished
    np.testing.assert_allclose(found["serving_images"], expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["serving_default"], expected, rtol=0, atol=1e-5)
    resized = [_resized(image) for image in large]
    np.testing.assert_allclose(
        found["large"], live_probabilities(network, resized), rtol=0, atol=1e-5
    )
    for kind, row, (_, pixels) in zip(kinds, found["serving_bytes"], kinds.values(), strict=True):
        np.testing.assert_allclose(
            row, live_probabilities(network, [pixels])[0], rtol=0, atol=1e-5, err_msg=kind
        )
    assert found["none"].shape == (0, len(NAMES))
    assert tuple(found["class_names"]) == NAMES
    assert found["image_size"] == SIZE


def test_folder_holds_names_and_settings(folder):
    extra = folder / "assets.extra"
    assert (extra / "labels.txt").read_text(encoding="utf-8").splitlines() == list(NAMES)
    info = json.loads((extra / "info.json").read_text())
    assert info == {
        "run_dir": str(folder.parent),
        "validation_accuracy": 0.5,
        "class_names": list(NAMES),
        "image_size": SIZE,
    }
    assert b"_tf_keras" not in (folder / "saved_model.pb").read_bytes()  # no Keras object inside
    assert [p.name for p in folder.parent.iterdir()] == ["saved_model"]  # nothing temporary is left


def test_damaged_bytes_are_an_error(folder):
    signature = tf.saved_model.load(str(folder)).signatures["serving_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        signature(image_bytes=tf.constant([b"this is no image"]))


@pytest.mark.slow
def test_replaces_an_export_but_nothing_else(tmp_path):
    folder = tmp_path / "saved_model"
    images = np.random.default_rng(0).integers(0, 256, [2, SIZE, SIZE, 3], dtype=np.uint8)

    def answer():
        signatures = tf.saved_model.load(str(folder)).signatures
        return signatures["serving_images"](images=tf.constant(images))["probabilities"].numpy()

    export.export_saved_model(_network(), folder, NAMES, SIZE)
    before, other = answer(), _network(bias=np.arange(4.0))
    with pytest.raises(RuntimeError, match="differs from the network by"):
        export.export_saved_model(_network(noise=0.1), folder, NAMES, SIZE)
    np.testing.assert_array_equal(answer(), before)  # the good one stays
    export.export_saved_model(other, folder, NAMES, SIZE)
    np.testing.assert_allclose(answer(), live_probabilities(other, images), rtol=0, atol=1e-5)
    assert np.abs(answer() - before).max() > 0.05
    assert [p.name for p in tmp_path.iterdir()] == ["saved_model"]

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="notes holds something"):
        export.export_saved_model(other, tmp_path / "notes", NAMES, SIZE)
    assert (tmp_path / "notes" / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ValueError, match="3 class names for a network of 4 classes"):
        export.export_saved_model(other, tmp_path / "x", NAMES[:3], SIZE)
