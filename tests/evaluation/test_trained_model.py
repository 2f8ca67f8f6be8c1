"""A run and its export are the same function; the export needs no Keras and no network code."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers.color_model import CLASS_NAMES, SIZE, color_model

from ldl_fer.errors import InputError
from ldl_fer.evaluation.trained_model import TrainedModel, load_model

WITHOUT_KERAS = """
import sys
blocked = ("keras", "ldl_fer.networks.network", "ldl_fer.training.run", "ldl_fer.model")
sys.modules.update(dict.fromkeys(blocked))  # importing any would raise
import numpy as np
from ldl_fer import Predictor
images = np.load(sys.argv[2])
np.save(sys.argv[3], Predictor(sys.argv[1], faces="whole").probabilities(images))
assert not [m for m in sys.modules if m.split(".")[0] == "keras" and sys.modules[m]]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from ldl_fer.config import Config
    from ldl_fer.inference.export import export_saved_model
    from ldl_fer.networks.network import build_network
    from ldl_fer.training.run import Run

    run = Run(tmp_path_factory.mktemp("model") / "run")
    config = Config().replace(backbone="small_cnn", image_size=32, class_names=CLASS_NAMES)
    run.begin(config)
    network = build_network(config.network, 32, len(CLASS_NAMES), seed=2)
    network.save_weights(run.weights("best"))
    (run.folder / "temperature.json").write_text('{"temperature": 2.0, "best": {}}')
    export_saved_model(network, run.saved_model, CLASS_NAMES, 32, {"temperature": 2.0})
    return run


@pytest.mark.slow
def test_run_and_export_agree(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [5, 32, 32, 3], dtype=np.uint8)
    of_run, of_export = load_model(run.folder), load_model(run.saved_model)
    for model in (of_run, of_export):
        assert (model.class_names, model.image_size) == (CLASS_NAMES, 32)
        assert (model.temperature, model.notes) == (2.0, ())
    expected = of_run.probabilities(images, 4)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the images are distinguished
    np.testing.assert_allclose(of_export.probabilities(images, 4), expected, atol=1e-5)

    np.save(tmp_path / "images.npy", images)
    files = [str(tmp_path / name) for name in ("images.npy", "found.npy")]
    command = [sys.executable, "-c", WITHOUT_KERAS, str(run.saved_model), *files]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    # Temperature 2: sqrt(p) / sum sqrt(p).
    roots = np.sqrt(expected) / np.sqrt(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(files[1]), roots, atol=1e-5)


WITHOUT_TENSORFLOW = """
import sys
import numpy as np
from ldl_fer import Predictor
predictor = Predictor(sys.argv[1], faces="whole")
assert predictor.temperature == 2.0
np.save(sys.argv[3], predictor._model.probabilities(np.load(sys.argv[2]), 4))
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
def test_onnx_agrees_and_needs_no_tensorflow(run, tmp_path):
    pytest.importorskip("tf2onnx")
    from ldl_fer.inference.export import export_formats

    export_formats(run, {"onnx": tmp_path / "onnx"})
    images = np.random.default_rng(0).integers(0, 256, [5, 32, 32, 3], dtype=np.uint8)
    expected = load_model(run.folder)
    assert load_model(tmp_path / "onnx").class_names == expected.class_names
    np.save(tmp_path / "images.npy", images)
    files = [str(tmp_path / name) for name in ("images.npy", "found.npy")]
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path / "onnx"), *files]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(files[1]), expected.probabilities(images, 4), atol=1e-5)
    (tmp_path / "onnx/labels.txt").write_text("x")
    with pytest.raises(InputError, match="labels.txt is not what was written"):
        load_model(tmp_path / "onnx")


def test_batches_have_few_sizes():
    model = color_model()
    images = np.random.default_rng(1).integers(0, 256, [21, SIZE, SIZE, 3], dtype=np.uint8)
    found = model.probabilities(images, 8)
    assert model.network.batches == [8, 8, 8]  # 21 = 8 + 8 + 5, the 5 filled up
    np.testing.assert_array_equal(found, model.network(images))
    model.network.batches.clear()
    for count in (1, 2, 3, 5, 6):
        model.probabilities(images[:count], 6)
    assert model.network.batches == [1, 2, 4, 6, 6]
    assert model.probabilities(images[:0], 8).shape == (0, 3)


def test_a_diverged_network_is_named():
    model = TrainedModel(lambda x: np.full([len(x), 3], np.nan), CLASS_NAMES, SIZE)
    with pytest.raises(InputError, match="diverged"):
        model.probabilities(np.zeros([1, SIZE, SIZE, 3], np.uint8), 1)


def test_a_folder_that_is_no_model_is_named(run, tmp_path):
    with pytest.raises(InputError, match="is no model"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="saved_model.pb is damaged"):
        load_model(tmp_path)
    info = json.loads((run.saved_model / "assets.extra" / "info.json").read_text())
    assert info["temperature"] == 2.0


def test_a_changed_export_is_named_and_not_loaded(run, tmp_path):
    folder = tmp_path / "saved_model"
    shutil.copytree(run.saved_model, folder)
    assert load_model(folder).image_size == 32
    for name in ("assets.extra/labels.txt", "assets.extra/info.json", "saved_model.pb"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole + b"\n")
        with pytest.raises(InputError, match=f"{name} is not what was written"):
            load_model(folder)
        (folder / name).write_bytes(whole)
