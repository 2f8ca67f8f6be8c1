"""TensorFlow Lite and ONNX files answer as the network does, or are not kept."""

import dataclasses
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers.full_disk import files_of_at_most
from helpers.onnx_files import random_network
from helpers.probabilities import live_probabilities
from helpers.tfjs_files import faceres_graph

from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.files import damage
from ldl_fer.inference.export.formats import (
    Comparison,
    Tolerance,
    Trained,
    checked,
    compare,
    warnings,
    write_export,
)
from ldl_fer.inference.export.onnx_file import ONNX
from ldl_fer.inference.export.saved_model import SAVED_MODEL
from ldl_fer.inference.export.tflite import TFLITE, TFLITE_INT8, quantizable
from ldl_fer.methods import network_of_method
from ldl_fer.methods.scn import SCN
from ldl_fer.networks.head import frozen_part, standardize

SIZE = 12
NAMES = ("Calm", "Glad", "Überrascht")


def _network(seed=5):
    tf.keras.utils.set_random_seed(seed)
    images = tf.keras.Input([SIZE, SIZE, 3])
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    hidden = tf.keras.layers.Conv2D(8, 3, strides=2, activation="relu")(pixels)
    features = tf.keras.layers.GlobalAveragePooling2D()(hidden)
    logits = tf.keras.layers.Dense(3, kernel_initializer="random_normal")(features)
    logits = tf.keras.layers.Lambda(lambda x: x * 100.0)(logits)
    return tf.keras.Model(images, (features, logits))


def _pictures(count, seed=0):
    """Plain colors under a little noise: the network distinguishes them, as it would faces."""
    random = np.random.default_rng(seed)
    colors = random.integers(0, 256, [count, 1, 1, 3])
    noise = random.integers(-20, 21, [count, SIZE, SIZE, 3])
    return np.clip(colors + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    return Trained(_network(), NAMES, SIZE, {"temperature": 1.5}, _pictures(40))


def _tflite_answers(folder, images, alike=1e-6):
    interpreter = tf.lite.Interpreter(str(folder / "model.tflite"))
    by_name = tf.lite.Interpreter(str(folder / "model.tflite")).get_signature_runner()
    single = [by_name(images=image[np.newaxis])["probabilities"][0] for image in images]
    place = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(place["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place["index"], images)
    interpreter.invoke()
    batch = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(batch, single, rtol=0, atol=alike)
    return batch, place


def test_tflite_in_float(trained, tmp_path):
    checks = write_export(TFLITE, trained, tmp_path / "tflite")
    images = _pictures(7, seed=1)
    found, place = _tflite_answers(tmp_path / "tflite", images)
    expected = live_probabilities(trained.network, images)
    assert np.ptp(expected, axis=0).min() > 0.3  # the pictures are distinguished
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert place["dtype"] == np.uint8
    assert checks["real pictures"].images == 40
    assert checks["real pictures"].largest < 1e-5
    labels = (tmp_path / "tflite" / "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == list(NAMES)


def test_tflite_in_8_bits(trained, tmp_path):
    checks = write_export(TFLITE_INT8, trained, tmp_path / "int8")
    images = _pictures(60, seed=1)  # not those that it was calibrated on
    found, place = _tflite_answers(tmp_path / "int8", images, alike=0.05)
    assert (place["dtype"], place["quantization"]) == (np.uint8, (1.0, 0))  # pixels as they are
    difference = np.abs(found - live_probabilities(trained.network, images))
    assert difference.mean() < 0.02
    assert difference.max() > 1e-4  # it is not the float network under another name
    assert checks["real pictures"].mean < 0.02
    interpreter = tf.lite.Interpreter(str(tmp_path / "int8" / "model.tflite"))
    interpreter.allocate_tensors()
    wide = [d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
    assert len(wide) == 1  # the probabilities: weights and activations are integers


def test_8_bits_need_pictures(trained, tmp_path):
    without = dataclasses.replace(trained, pictures=None)
    with pytest.raises(InputError, match="--representative=FOLDER"):
        write_export(TFLITE_INT8, without, tmp_path / "int8")
    few = dataclasses.replace(trained, pictures=_pictures(9))
    with pytest.raises(InputError, match="10 or more, and 9 different ones are at hand"):
        write_export(TFLITE_INT8, few, tmp_path / "int8")
    TFLITE_INT8.check_pictures(_pictures(10))
    TFLITE.check_pictures(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [TFLITE, TFLITE_INT8], ids=lambda kind: kind.name)
@pytest.mark.parametrize("room", [0, 1000, 4000])
def test_a_full_disk_leaves_nothing(trained, tmp_path, kind, room):
    text = f"cannot write {tmp_path}/x: File too large. Nothing of it was kept"
    with files_of_at_most(room), pytest.raises(InputError, match=text):
        write_export(kind, trained, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "warned"), [(10, True), (49, True), (50, False)])
def test_8_bits_that_few_pictures_vouch_for_are_warned_of(count, warned):
    fine = {"real pictures": Comparison(count, 0.01, 0.001, 1.0)}
    texts = warnings(fine, TFLITE_INT8.tolerance)
    assert len(texts) == warned
    assert all(f"checked on {count} different pictures alone" in text for text in texts)
    assert warnings(fine, TFLITE.tolerance) == []


def test_onnx_holds_names_and_settings(trained, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the optional package tf2onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    write_export(ONNX, trained, tmp_path / "onnx")
    session = runtime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    images = _pictures(7, seed=1)
    (found,) = session.run(["probabilities"], {"images": images})
    np.testing.assert_allclose(
        found, live_probabilities(trained.network, images), rtol=0, atol=1e-5
    )
    (place,) = session.get_inputs()
    assert (place.type, place.shape) == ("tensor(uint8)", ["batch", SIZE, SIZE, 3])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == list(NAMES)
    assert (metadata["image_size"], metadata["temperature"]) == ("12", "1.5")


def test_a_folder_with_the_name_of_the_exports_file_is_no_export(trained, tmp_path):
    (tmp_path / "tflite" / "model.tflite").mkdir(parents=True)
    with pytest.raises(InputError, match="tflite holds something"):
        write_export(TFLITE, trained, tmp_path / "tflite")


def test_an_export_of_another_network_is_not_kept(trained, tmp_path):
    write_export(TFLITE, trained, tmp_path / "tflite")
    before = (tmp_path / "tflite" / "model.tflite").read_bytes()
    other = dataclasses.replace(trained, network=_network(seed=6))
    wrong = dataclasses.replace(TFLITE, write=lambda _, folder: TFLITE.write(other, folder))
    with pytest.raises(RuntimeError, match="model.tflite differs from the network by"):
        write_export(wrong, trained, tmp_path / "tflite")
    wrong = dataclasses.replace(wrong, tolerance=TFLITE_INT8.tolerance)
    with pytest.raises(RuntimeError, match="too unlike the network on real pictures"):
        write_export(wrong, trained, tmp_path / "tflite")
    assert (tmp_path / "tflite" / "model.tflite").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["tflite"]
    with pytest.raises(InputError, match="tflite holds something"):
        write_export(ONNX, trained, tmp_path / "tflite")


@pytest.mark.parametrize("earlier", [False, True])
def test_two_exports_at_once_leave_a_whole_one(trained, tmp_path, earlier, monkeypatch):
    folder, rename = tmp_path / "tflite", Path.rename
    if earlier:
        write_export(TFLITE, trained, folder)

    def late(path, target):
        """Between the look at the folder and its renaming, another export takes the place."""
        if path.name == "new":
            monkeypatch.setattr(Path, "rename", rename)
            write_export(TFLITE, trained, folder)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(InputError, match="tflite cannot be replaced.*another export wrote it"):
        write_export(TFLITE, trained, folder)
    assert damage(folder, needed=["model.tflite"]) is None
    assert [path.name for path in tmp_path.iterdir()] == ["tflite"]


def test_exports_of_many_threads_are_whole(trained, tmp_path):
    write_export(TFLITE, trained, tmp_path / "tflite")
    file = (tmp_path / "tflite" / "model.tflite").read_bytes()
    copied = dataclasses.replace(
        TFLITE, write=lambda _, folder: (folder / "model.tflite").write_bytes(file)
    )

    def export(_):
        try:
            write_export(copied, trained, tmp_path / "tflite")
        except InputError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(export, range(6)))
    assert "" in found and all("cannot be replaced" in text for text in found if text)
    assert damage(tmp_path / "tflite", needed=["model.tflite"]) is None
    assert [path.name for path in tmp_path.iterdir()] == ["tflite"]


def test_comparison_and_warning():
    expected = np.array([[0.6, 0.4], [0.1, 0.9]])
    found = np.array([[0.4, 0.6], [0.1, 0.9]])
    comparison = compare(expected, found)
    assert comparison.largest == pytest.approx(0.2)  # |0.6 - 0.4|
    assert comparison.mean == pytest.approx(0.1)  # (0.2 + 0.2 + 0 + 0) / 4
    assert comparison.agreement == 0.5  # of two images the second has the same class
    assert compare(expected, np.full([2, 2], np.nan)).largest == np.inf
    with pytest.raises(RuntimeError, match="answers"):
        compare(expected, found[:, :1])
    strict = Tolerance(mean=0.2, agreement=0.4, good_mean=0.2, good_agreement=0.6)
    (warning,) = warnings({"real pictures": comparison}, strict)
    assert "50.0% of 2 real pictures" in warning and "--representative" in warning
    assert warnings({"real pictures": comparison}, Tolerance()) == []
    known = {"random images": (np.zeros([2, 1]), expected)}
    answers = {"good": expected, "bad": found}
    kept = checked(known, lambda images: answers, Tolerance(largest=0.3))
    assert kept["random images"].largest == pytest.approx(0.2)  # the worse of the two ways


@pytest.mark.parametrize(
    "kind",
    [TFLITE, TFLITE_INT8, pytest.param(SAVED_MODEL, marks=pytest.mark.slow)],
    ids=lambda kind: kind.name,
)
def test_scn_answers_by_its_own_output(trained, tmp_path, kind):
    network, pictures = SCN.complete(trained.network, seed=0), trained.pictures
    network.get_layer("importance").bias.assign([-2.0])  # alpha about 0.1
    checks = write_export(kind, dataclasses.replace(trained, network=network), tmp_path / kind.name)
    expected, plain = (live_probabilities(n, pictures) for n in (network, trained.network))
    assert np.abs(expected - plain).mean() > 0.1 and np.ptp(expected, axis=0).min() > 0.3
    found = next(iter(kind.answers(tmp_path / kind.name, pictures).values()))
    assert np.abs(found - expected).max() < (0.1 if kind is TFLITE_INT8 else 1e-5)
    assert checks["real pictures"].images == 40


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TFLITE, SAVED_MODEL, ONNX], ids=lambda kind: kind.name)
def test_ran_answers_with_its_crops(tmp_path, kind):
    if kind is ONNX:
        pytest.importorskip("tf2onnx", reason="needs the optional package tf2onnx")
    config = PRESETS["small"].replace(method="ran", image_size=32, class_names=NAMES)
    network = network_of_method(config)
    network.get_layer("logits").kernel.assign(50.0 * network.get_layer("logits").kernel)
    pictures = np.random.default_rng(0).integers(0, 256, [12, 32, 32, 3]).astype(np.uint8)
    ran = Trained(network, NAMES, 32, {}, pictures)
    write_export(kind, ran, tmp_path / kind.name)
    expected = live_probabilities(network, pictures)
    found = next(iter(kind.answers(tmp_path / kind.name, pictures).values()))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def _frozen_network(**settings):
    config = PRESETS["frozen"].replace(pretrained="not_read.onnx", head_units=8, image_size=32)
    network = network_of_method(config.replace(**settings), load=False)
    size = network.get_layer("head").input_shape[-1]
    random = np.random.default_rng(0)
    network.get_layer("head").get_layer("standardization").set_weights(
        [random.normal(0, 1, size), random.uniform(0.01, 4, size)]
    )
    return network


@pytest.mark.parametrize(
    "settings",
    [
        dict(method="ldlva"),
        pytest.param(dict(method="scn"), marks=pytest.mark.slow),
        pytest.param(dict(backbone="mobilefacenet,resnet18"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_frozen_network_rearranged_computes_the_same(settings):
    network, random = _frozen_network(**settings), np.random.default_rng(0)
    images = random.integers(0, 256, [4, 32, 32, 3]).astype(np.float32)
    rearranged = quantizable(network)
    assert rearranged is not network
    for found, expected in zip(rearranged(images), network(images), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    plain = _network()
    assert quantizable(plain) is plain


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TFLITE, SAVED_MODEL, ONNX], ids=lambda kind: kind.name)
def test_two_frozen_backbones_answer_from_pixels(tmp_path, kind):
    """Each takes them at its own size, which is not that of the pictures."""
    if kind is ONNX:
        pytest.importorskip("tf2onnx", reason="needs the optional package tf2onnx")
    network = _frozen_network(backbone="mobilefacenet,faceres")
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, [12, 4, 4, 3]).astype(np.uint8)
    pictures = pictures.repeat(8, axis=1).repeat(8, axis=2)
    backbone = network.get_layer("backbone")
    for name, made_up in (
        ("mobilefacenet", random_network("relu6")),
        ("faceres", faceres_graph()[0]),
    ):
        for layer in backbone.get_layer(name).layers:
            if layer.weights:
                layer.set_weights(made_up.get_layer(layer.name).get_weights())
    pooled = frozen_part(network)(pictures.astype(np.float32)).numpy()
    # So wide that rounding in the many layers of random weights stays below 1e-5 of a probability.
    standardize(network, pooled.mean(axis=0), np.full(pooled.shape[1], 20 * pooled.var()))
    names = PRESETS["frozen"].data.class_names
    checks = write_export(kind, Trained(network, names, 32, {}, pictures), tmp_path / kind.name)
    expected = live_probabilities(network, pictures)
    assert np.ptp(expected, axis=0).max() > 0.01
    found = next(iter(kind.answers(tmp_path / kind.name, pictures).values()))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert checks["real pictures"].images == 12


def test_each_format_is_loaded_by_its_name_and_stands_in_the_help():
    from ldl_fer.inference.export import FORMATS, command, load_format

    assert [load_format(name).name for name in FORMATS] == list(FORMATS)
    assert re.findall(r"^  (\w+) {3,}", command.__doc__, re.MULTILINE) == list(FORMATS)
