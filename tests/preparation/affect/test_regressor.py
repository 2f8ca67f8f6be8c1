"""A short training leaves a regressor that learned, is measured right, and is read back alike."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.frozen_faces import make_frozen_faces

from ldl_fer.config.presets import PRESETS
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.networks.network import build_network
from ldl_fer.preparation.affect.agreement import agreement
from ldl_fer.preparation.affect.filling import predict_pictures
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.affect.regressor import shrink_logits, train_regressor
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

SIDE = 32


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw_faces(folder, train=160, test=40, size=SIDE, progress=False)
    return folder


def config_of(drawn, run_dir, **settings):
    made = PRESETS["small"].replace(
        train_data_path=str(drawn / "train.csv"),
        train_image_dir=str(drawn / "images"),
        records_dir=str(drawn / "records"),
        run_dir=str(run_dir),
        image_size=SIDE,
        batch_size=32,
        epochs=4,
        decay_epochs=(),
        pad=0,
        pictures=False,
    )
    return made.replace(**settings)


def predicted_and_given(run_dir, csv, images):
    """Returns the saved model's values, and the given ones of the CSV."""
    annotations = read_annotations(csv)
    paths = [images / path for path in annotations.paths]
    values = predict_pictures(load_affect_model(run_dir), paths, range(len(paths)), progress=False)
    return values, annotations.valence_arousal


def assert_bytes_are_answered_as_pixels_are(run_dir, picture):
    signatures = tf.saved_model.load(str(run_dir / "saved_model")).signatures
    content = picture.read_bytes()
    pixels = tf.io.decode_image(content, 3)[tf.newaxis]
    of_bytes = signatures["serving_bytes"](image_bytes=tf.constant([content]))["valence_arousal"]
    of_pixels = signatures["serving_images"](images=pixels)["valence_arousal"]
    np.testing.assert_allclose(of_bytes, of_pixels, atol=1e-6)


@pytest.mark.slow
def test_training_and_what_it_leaves(drawn, tmp_path):
    run, test = tmp_path / "run", (str(drawn / "test.csv"), str(drawn / "images"))
    found = train_regressor(config_of(drawn, run), *test, progress=False)
    log = pd.read_csv(run / "log.csv")
    assert log["loss"].iloc[-1] < 0.8 * log["loss"].iloc[0]  # it learns
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["best"]["epoch"] == log["val_ccc"].argmax() + 1
    assert metrics["best"]["validation_ccc"] == pytest.approx(log["val_ccc"].max(), abs=1e-6)
    ccc = found["validation"]["ccc"]["mean"]["value"]
    assert ccc == pytest.approx(log["val_ccc"].max(), abs=1e-4)  # of the best epoch's network
    assert found["validation"]["rows"] == 16 and found["test"]["rows"] == 40  # a tenth of 160
    values, given = predicted_and_given(run, drawn / "test.csv", drawn / "images")
    assert np.abs(values).max() <= 1.0
    again = agreement(given, values)["rmse"]["mean"]["value"]
    assert again == pytest.approx(found["test"]["rmse"]["mean"]["value"], abs=1e-5)
    assert metrics["test"]["standard_deviation"]["valence"] == pytest.approx(given[:, 0].std())
    assert_bytes_are_answered_as_pixels_are(run, next((drawn / "images").rglob("*.png")))
    with pytest.raises(InputError, match="already holds a run"):
        train_regressor(config_of(drawn, run), progress=False)


def test_the_first_answers_are_a_hundredth_of_what_was_drawn():
    network = build_network(PRESETS["small"].network, SIDE, 2)
    images = np.random.default_rng(0).integers(0, 256, [4, SIDE, SIDE, 3]).astype(np.float32)
    features, drawn = network(images)
    shrink_logits(network)
    same, first = network(images)
    np.testing.assert_allclose(first, 0.01 * drawn.numpy(), rtol=1e-4)  # there is no bias yet
    np.testing.assert_array_equal(same, features)
    assert 0 < np.abs(first).max() < 0.1


@pytest.mark.slow
def test_rows_without_values_are_left_out(drawn, tmp_path, capsys):
    table = pd.read_csv(drawn / "train.csv")
    table.loc[table.index % 2 == 0, ["valence", "arousal"]] = np.nan
    table.to_csv(tmp_path / "half.csv", index=False)
    data = {"train_data_path": str(tmp_path / "half.csv"), "epochs": 1}
    found = train_regressor(config_of(drawn, tmp_path / "run", **data))
    assert "80 rows without values are left out" in capsys.readouterr().out
    counts = table["expression"][1::2].value_counts()
    # a tenth of the rows of classes that have ten at least
    assert found["validation"]["rows"] == round(0.1 * counts[counts >= 10].sum())
    capsys.readouterr()
    test = str(tmp_path / "half.csv"), str(drawn / "images")
    train_regressor(config_of(drawn, tmp_path / "quiet", **data), *test, progress=False)
    assert capsys.readouterr().out == ""
    table[["valence", "arousal"]] = np.nan
    table.to_csv(tmp_path / "half.csv", index=False)
    with pytest.raises(InputError, match="0 rows have valence and arousal"):
        train_regressor(config_of(drawn, tmp_path / "other", **data), progress=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_frozen_backbone_is_saved_with_its_head(tmp_path):
    faces = make_frozen_faces(tmp_path)
    run, csv, images = tmp_path / "run", tmp_path / "drawn/test.csv", tmp_path / "drawn/images"
    found = train_regressor(faces.config(run, epochs=2), str(csv), str(images), progress=False)
    values, given = predicted_and_given(run, csv, images)
    again = agreement(given, values)["rmse"]["mean"]["value"]
    assert again == pytest.approx(found["test"]["rmse"]["mean"]["value"], abs=1e-4)
