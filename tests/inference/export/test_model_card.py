"""Exports of a run: the card says all that is known, and nothing of the machine that made it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from helpers.called import call

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.data.record_writer import write_records
from ldl_fer.errors import InputError
from ldl_fer.inference.export import export_formats
from ldl_fer.inference.export.formats import public_name
from ldl_fer.inference.export.model_card import model_card
from ldl_fer.inference.export.run_export import representative_pictures, temperature_of
from ldl_fer.inference.export.saved_model import SAVED_MODEL
from ldl_fer.networks.network import build_network
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.training.run import Run

BEST = {"epoch": 3, "validation_accuracy": 0.625}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "faces"
    draw_faces(folder, train=12, test=1, size=32, progress=False)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("network") / "best.weights.h5"
    build_network(Config().replace(backbone="small_cnn").network, 32, 7).save_weights(file)
    return file


@pytest.fixture
def run(faces, weights, tmp_path):
    run = Run(tmp_path / "run")
    paths = {
        "train_data_path": str(faces / "train.csv"),
        "train_image_dir": str(faces / "images"),
    }
    config = Config().replace(backbone="small_cnn", image_size=32, **paths)
    run.begin(config)
    shutil.copy(weights, run.weights("best"))
    run.epoch_file("best").write_text(json.dumps(BEST))
    return run


def _card(run, **settings):
    return model_card(run.folder, SAVED_MODEL, {}, **settings)


@pytest.mark.slow
def test_an_export_has_its_card(run, faces):
    (run.folder / "temperature.json").write_text(json.dumps({"temperature": 1.25, "best": BEST}))
    (made,) = export_formats(run.folder, ["saved_model"], data_license="drawn, CC0")
    card = (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert made.folder == run.folder / "saved_model"
    assert made.checks["real pictures"].images == 12
    assert f"real pictures: {made.checks['real pictures']}" in card
    assert "Real pictures: 12 of the 12 pictures named by the training file." in card
    assert "T = 1.25" in card
    assert "- license of the data: drawn, CC0" in card
    assert 'tf.saved_model.load("saved_model")' in card
    assert str(faces.parent) not in card
    assert str(run.folder) not in card
    info = json.loads((made.folder / "assets.extra" / "info.json").read_text())
    assert (info["temperature"], info["best"], info["image_size"]) == (1.25, BEST, 32)


def test_data_settings_and_limits(run, faces):
    card = _card(run)
    counts = pd.read_csv(faces / "train.csv")["expression"].value_counts()
    counted = ", ".join(f"{name} {counts.get(j, 0)}" for j, name in enumerate(CLASS_NAMES))
    assert f"- per class: {counted}" in card
    assert "- training file: `train.csv`" in card
    fingerprint = read_annotations(faces / "train.csv").fingerprint()
    assert f"- 12 rows, SHA-256 of the table `{fingerprint}`" in card
    assert "- license of the data: not stated: ask the data's owner" in card
    assert "- epoch chosen on: 10% of the training file, held out" in card
    assert "epoch 3, validation accuracy 0.6250" in card
    assert '"num_neighbors": 8' in card  # every setting
    assert "None: the run was not evaluated" in card
    assert "not what the person feels" in card
    assert "temperature T" not in card


def test_all_files_that_it_started_from_are_named_without_their_folders(tmp_path):
    run = Run(tmp_path / "run")
    run.begin(
        PRESETS["frozen"].replace(
            backbone="mobilefacenet,faceres", pretrained="models/a.onnx,/secret/b.onnx"
        )
    )
    card = _card(run)
    assert "mobilefacenet,faceres, frozen" in card
    assert "started from `models/a.onnx, b.onnx`" in card
    assert '"pretrained": "models/a.onnx,b.onnx"' in card and "secret" not in card


def test_results_and_samples(run, faces):
    row = {"recall": 0.5, "precision": None, "f1": 0.4, "support": 6}
    result = {"data_path": str(faces / "test.csv"), "count": 6, "metrics": {"accuracy": 0.5}}
    result |= {"best": BEST, "weights": "best", "per_class": {"Happy": row}}
    (run.folder / "result.json").write_text(json.dumps(result))
    run.samples_file.write_text("expression,clean_expression\n1,1\n1,2\n0,0\n0,0\n")
    card = _card(run)
    assert "on `test.csv`, 6 images" in card
    assert "| Happy | 6 | 0.500 | - | 0.400 |" in card
    assert "Of another epoch" not in card
    assert "- 4 trained on: Neutral 2, Happy 2, Sad 0" in card
    assert "25.0% of their labels" in card  # one of four differs from its clean label


def test_stale_numbers_are_not_passed_off(run, capsys):
    other = {"epoch": 2, "validation_accuracy": 0.5}
    result = {"count": 6, "metrics": {}, "per_class": {}, "best": other}
    (run.folder / "result.json").write_text(json.dumps(result))
    assert "Of another epoch than the one exported" in _card(run)
    (run.folder / "temperature.json").write_text(json.dumps({"temperature": 2.0, "best": other}))
    assert temperature_of(run) is None
    assert "fitted for another epoch" in capsys.readouterr().err


def test_without_its_training_set(run, tmp_path):
    run.begin(run.config().replace(train_data_path=str(tmp_path / "gone.csv")))
    assert "no fingerprint" in _card(run)
    done = call("export", f"--run_dir={run.folder}", "--format=tflite_int8")
    assert done.returncode == 2
    assert "note: exports are compared on random images only" in done.stderr
    assert "Give --representative=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_formats_are_named_before_anything_is_done(tmp_path):
    with pytest.raises(InputError, match="--format=pt,h5 is none of saved_model, tflite"):
        export_formats(tmp_path / "none", ["onnx", "pt", "h5"])


def test_representative_pictures_are_the_same_from_everywhere(run, faces, tmp_path):
    data = run.config().data
    by_csv, source = representative_pictures(data, count=5, progress=False)
    assert by_csv.shape == (5, 32, 32, 3)
    assert source == "5 of the 12 pictures named by the training file"
    annotations = read_annotations(faces / "train.csv")
    neighbors, shards = neighbors_of(annotations, 2), tmp_path / "shards"
    write_records(annotations, faces / "images", shards, image_size=32, neighbors=neighbors)
    records = run.config().replace(train_data_path=str(shards)).data
    np.testing.assert_array_equal(representative_pictures(records, None, 5, False)[0], by_csv)
    folder = faces / "images" / "train"  # its names are in the order of the CSV
    np.testing.assert_array_equal(representative_pictures(data, folder, 5, False)[0], by_csv)


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("data/train.csv", "data/train.csv"),
        ("/home/ada/train.csv", "train.csv"),
        ("../ada/train.csv", "train.csv"),
        ("~/train.csv", "train.csv"),
        (r"C:\Users\ada\train.csv", "train.csv"),
        ("small_cnn", "small_cnn"),
        ("", ""),
    ],
)
def test_public_names(path, public):
    assert public_name(path) == public


def test_copies_of_a_picture_are_one(run, faces, tmp_path):
    picture = next((faces / "images").rglob("*.png")).read_bytes()
    (tmp_path / "copies").mkdir()
    for number in range(30):
        (tmp_path / "copies" / f"{number}.png").write_bytes(picture)
    pictures, source = representative_pictures(run.config().data, tmp_path / "copies")
    assert len(pictures) == 1 and source.startswith("1 of 30 pictures")
    with pytest.raises(InputError, match="tflite_int8 is calibrated .* 1 different ones are at"):
        export_formats(run.folder, ["saved_model", "tflite_int8"], tmp_path / "copies")
    assert not (run.folder / "saved_model").exists()  # said before the work
