"""A face gets the same probabilities wherever it passes through: JPEG is decoded in one way.

Within 1e-5 of the network's own, which is what an export is held to.
"""

import dataclasses
import importlib.metadata
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.made_up_set import CLASS_NAMES, make_set

from ldl_fer import Predictor
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.pictures import decoded_image
from ldl_fer.data.pipeline import ordered_dataset
from ldl_fer.data.sets import open_records
from ldl_fer.evaluation.evaluate import predict
from ldl_fer.evaluation.trained_model import TrainedModel
from ldl_fer.inference.export.formats import Trained, write_export
from ldl_fer.inference.export.onnx_file import ONNX
from ldl_fer.inference.export.saved_model import SAVED_MODEL
from ldl_fer.inference.export.tflite import TFLITE
from ldl_fer.networks.saved_model import probabilities

SIZE, COUNT = 16, 20
# A program of someone who has Keras 3, and nothing of ours.
KERAS_3 = """
import sys, keras, numpy as np
model = keras.layers.TFSMLayer(sys.argv[1], call_endpoint="serving_default")
images = keras.Input([None, None, 3], dtype="uint8")
whole = keras.Model(images, model(images))
np.save(sys.argv[3], whole.predict(np.load(sys.argv[2]), verbose=0)["probabilities"])
assert keras.__version__ >= "3" and "ldl_fer" not in sys.modules
"""
CONFIG = PRESETS["small"].replace(image_size=SIZE, class_names=CLASS_NAMES, batch_size=8)
ALIKE = dict(rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def network():
    """Tells gray levels apart: one of them moves a probability by about a percent."""
    tf.keras.utils.set_random_seed(5)
    images = tf.keras.Input([SIZE, SIZE, 3])
    hidden = tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu")(images / 127.5 - 1.0)
    features = tf.keras.layers.Flatten()(hidden)
    return tf.keras.Model(images, (features, tf.keras.layers.Dense(3)(features) * 3.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """JPEG files as cameras write them, of the network's size."""
    folder, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    table = make_set(folder, COUNT).table
    table["subDirectory_filePath"] = [f"{row}.jpg" for row in range(COUNT)]
    for name in table["subDirectory_filePath"]:
        colors = random.integers(0, 256, [4, 4, 3], np.uint8)
        picture = cv2.resize(colors, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / "images" / name), picture)
    table.to_csv(folder / "faces.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def paths(folder):
    return [folder / "images" / f"{row}.jpg" for row in range(COUNT)]


@pytest.fixture(scope="module")
def evaluated(folder, network):
    data = dataclasses.replace(CONFIG.data, records_dir=str(folder / "records"))
    records = open_records(data, str(folder / "faces.csv"), str(folder / "images"), 0)
    found = predict(network, ordered_dataset(records, CONFIG), progress=False)["probabilities"]
    assert np.ptp(found, axis=0).min() > 0.3  # the pictures are distinguished
    return found


@pytest.fixture(scope="module")
def pixels(paths):
    return np.stack([decoded_image(path.read_bytes()) for path in paths])


@pytest.fixture(scope="module")
def onnx_file(network, tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="needs the optional package tf2onnx")
    return export(ONNX, network, tmp_path_factory.mktemp("exports")) / "model.onnx"


def export(kind, network, folder):
    write_export(kind, Trained(network, CLASS_NAMES, SIZE), folder / kind.name)
    return folder / kind.name


def test_predict(paths, network, evaluated):
    model = TrainedModel(
        tf.function(lambda images: probabilities(network, images)), CLASS_NAMES, SIZE, 1.0
    )
    predictor = Predictor(model, faces="whole")
    found = [list(predictor(path)[0].distribution.values()) for path in paths]
    np.testing.assert_allclose(found, evaluated, **ALIKE)


@pytest.mark.slow
def test_saved_model(paths, network, evaluated, tmp_path):
    loaded = tf.saved_model.load(str(export(SAVED_MODEL, network, tmp_path)))
    given = tf.constant([path.read_bytes() for path in paths])
    found = loaded.signatures["serving_bytes"](image_bytes=given)["probabilities"]
    np.testing.assert_allclose(found, evaluated, **ALIKE)


@pytest.mark.skipif(
    importlib.metadata.version("keras") < "3", reason="Keras 3 comes with the newest packages"
)
def test_keras_3(pixels, network, evaluated, tmp_path):
    np.save(tmp_path / "images.npy", pixels)
    folder = export(SAVED_MODEL, network, tmp_path)
    command = [sys.executable, "-c", KERAS_3, folder, tmp_path / "images.npy", tmp_path / "p.npy"]
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        command, env=environment | {"KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), evaluated, **ALIKE)


def test_tflite(pixels, network, evaluated, tmp_path):
    file = export(TFLITE, network, tmp_path) / "model.tflite"
    run = tf.lite.Interpreter(str(file)).get_signature_runner()
    found = [run(images=image[np.newaxis])["probabilities"][0] for image in pixels]
    np.testing.assert_allclose(found, evaluated, **ALIKE)


def test_litert(pixels, network, evaluated, tmp_path):
    """TensorFlow Lite's successor, by itself."""
    litert = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="ai-edge-litert comes with the newest packages"
    )
    file = export(TFLITE, network, tmp_path) / "model.tflite"
    run = litert.Interpreter(str(file)).get_signature_runner()
    found = [run(images=image[np.newaxis])["probabilities"][0] for image in pixels]
    np.testing.assert_allclose(found, evaluated, **ALIKE)


def test_onnx_runtime(pixels, onnx_file, evaluated):
    runtime = pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    session = runtime.InferenceSession(str(onnx_file))
    np.testing.assert_allclose(session.run(None, {"images": pixels})[0], evaluated, **ALIKE)


def test_onnx_in_opencv(pixels, onnx_file, evaluated):
    network = cv2.dnn.readNetFromONNX(str(onnx_file))
    network.setInput(pixels.astype(np.float32))  # [batch, S, S, 3] as they are, not a blob
    np.testing.assert_allclose(network.forward().reshape(evaluated.shape), evaluated, **ALIKE)
