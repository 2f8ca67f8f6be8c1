"""Frozen backbones: the head alone learns, and the whole answers as the head on kept maps."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.frozen_faces import COUNT, SIDE, TESTED, make_frozen_faces

from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.config.presets import replaced
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.auxiliary import auxiliary_space
from ldl_fer.data.landmarks import write_landmarks
from ldl_fer.data.neighbors import nearest_neighbors
from ldl_fer.data.pipeline import ordered_dataset, training_dataset
from ldl_fer.data.samples import neighbor_numbers
from ldl_fer.data.sets import open_pooled, open_records, opener, training_records
from ldl_fer.errors import InputError
from ldl_fer.evaluation.evaluate import evaluate_run
from ldl_fer.inference.export import export_run
from ldl_fer.methods import neighbors_read, network_of_method
from ldl_fer.networks.head import (
    backbone_variables,
    feature_map,
    frozen_part,
    standardize,
    trained_part,
)
from ldl_fer.networks.mobilefacenet_onnx import load_mobilefacenet
from ldl_fer.networks.network import build_network
from ldl_fer.networks.pooled_maps import SIZE
from ldl_fer.training.build import build_model, load_teachers
from ldl_fer.training.run import load_network
from ldl_fer.training.train import train

HEADS = [name for name, settings in METHOD_SETTINGS.items() if not settings.needs_pictures]


def taught_by(method, run):
    """The setting that names a run as the teacher of a method that has one."""
    name = METHOD_SETTINGS[method].taught_by
    return {name: str(run.folder)} if name else {}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return make_frozen_faces(tmp_path_factory.mktemp("frozen"))


@pytest.fixture(scope="module")
def network(faces):
    config = faces.config("unused")
    return build_network(config.network, SIDE, 7)


@pytest.fixture(scope="module")
def run(faces):
    return train(faces.config(faces.folder / "run", epochs=2, learning_rate=0.01))


@pytest.fixture(scope="module")
def blank(faces):
    """Takes the weights of any run here."""
    return build_network(faces.config("unused").network, SIDE, 7, load=False)


@pytest.fixture(scope="module")
def file_weights(faces):
    file = load_mobilefacenet(faces.folder / "made_up.onnx", SIDE)
    return file.get_weights()


def weights_of(run, which, blank):
    return load_network(run.folder, which, blank)[0].get_weights()


def pictures(faces, split):
    names = read_annotations(faces.folder / f"drawn/{split}.csv").paths
    files = (str(faces.folder / "drawn/images" / name) for name in names)
    return np.stack([cv2.imread(file)[..., ::-1] for file in files])


def softmax(logits):
    shifted = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def same(first, second):
    return len(first) == len(second) > 0 and all(map(np.array_equal, first, second))


# --- The network -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_parts_make_up_the_whole(network):
    head, body = trained_part(network), frozen_part(network)
    assert head.name == "head" and head is not network
    assert [layer.name for layer in head.layers][1:] == [
        *("standardization", "hidden", "normalization", "features", "dropout", "logits")
    ]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [5, SIDE, SIDE, 3]).astype(np.uint8)
    pooled = body(tf.constant(images, tf.float32))
    assert pooled.shape == (5, SIZE) and float(tf.math.reduce_std(pooled, axis=0).numpy().max()) > 0
    standardize(network, pooled.numpy().mean(axis=0), pooled.numpy().var(axis=0))
    whole = network(images, training=False)
    for a, b in zip(head(pooled, training=False), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert [x.shape for x in whole] == [(5, 16), (5, 7)] and np.std(whole[1], axis=0).min() > 0.01
    # In training mode, too, the maps are the same: the file's normalization is folded.
    np.testing.assert_array_equal(body(tf.constant(images, tf.float32), training=True), pooled)


def test_the_head_by_formula(network):
    head = trained_part(network)
    rng = np.random.default_rng(1)
    pooled = rng.normal(3, 2, [6, SIZE]).astype(np.float32)
    mean, variance = rng.normal(size=SIZE), rng.uniform(0.5, 2, SIZE)
    standardize(network, mean, variance)
    gamma, beta, center, spread = (
        x.astype(float) for x in head.get_layer("normalization").get_weights()
    )
    kernel, bias = head.get_layer("logits").get_weights()
    # BatchNormalization's epsilon is 1e-3
    x = (pooled - mean) / np.sqrt(variance + 1e-3) @ head.get_layer("hidden").kernel.numpy()
    features = np.maximum(gamma * (x - center) / np.sqrt(spread + 1e-3) + beta, 0)
    found = head(pooled, training=False)
    np.testing.assert_allclose(found[0], features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[1], features @ kernel + bias, rtol=1e-3, atol=1e-3)


def test_standardize_makes_means_0_and_variances_1_of_its_moments(network):
    head = trained_part(network)
    pooled = np.random.default_rng(2).normal(5, 3, [400, SIZE]).astype(np.float32)
    standardize(network, pooled.mean(axis=0), pooled.var(axis=0))
    layer = head.get_layer("standardization")
    assert not layer.trainable_variables
    for training in (False, True):
        before = layer.get_weights()
        made = tf.keras.Model(head.input, layer.output)(pooled, training=training).numpy()
        np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(made.var(axis=0), 1, atol=1e-3)
        # Not even in training does it follow the batches.
        np.testing.assert_array_equal(layer.get_weights(), before)


def test_only_the_head_is_trainable(network):
    head = trained_part(network)
    assert not network.get_layer("backbone").trainable_variables
    assert backbone_variables(network) == [] and backbone_variables(head) == []
    names = [variable.name.split("/")[0] for variable in network.trainable_variables]
    # kernel; gamma, beta; kernel, bias
    assert names == ["hidden", *2 * ["normalization"], *2 * ["logits"]]
    assert {id(v) for v in head.trainable_variables} == {id(v) for v in network.trainable_variables}
    assert feature_map(network) is None


@pytest.mark.slow
def test_the_backbone_is_the_files_and_seeds_make_the_head(faces, network, blank, file_weights):
    assert same(network.get_layer("backbone").get_weights(), file_weights)
    other = build_network(faces.config("unused").network, SIDE, 7, seed=1, load=False)
    again = build_network(faces.config("unused").network, SIDE, 7, seed=0, load=False)
    for name in ("hidden", "logits"):
        first, second, third = (
            trained_part(x).get_layer(name).get_weights() for x in (network, again, other)
        )
        assert same(first, second) and not same(first, third)


@pytest.mark.slow
def test_a_network_that_is_not_frozen_is_trained_whole(faces):
    config = faces.config("unused", frozen=False, dropout=0.0).network
    network = build_network(config, SIDE, 7)
    assert trained_part(network) is network
    backbone = network.get_layer("backbone")
    assert len(backbone_variables(network)) == len(backbone.trainable_variables) > 50
    assert {v.name.split("/")[0] for v in network.trainable_variables} >= {"conv1", "logits"}
    images = np.random.default_rng(0).uniform(0, 255, [2, SIDE, SIDE, 3]).astype("float32")
    maps, features, logits = feature_map(network)(images)
    assert maps.shape == (2, SIDE // 16, SIDE // 16, 512)
    np.testing.assert_allclose(features, tf.reduce_mean(maps, [1, 2]), rtol=1e-5, atol=1e-6)
    for a, b in zip(network(images), (features, logits), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# --- Refusals ----------------------------------------------------------------------------------


def test_what_does_not_go_with_a_frozen_backbone_is_refused(faces, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "manifest.json").touch()
    for settings, words in (
        ({"pretrained": ""}, "--preset=frozen sets, needs --pretrained=FILE.onnx"),
        (
            {"backbone": "small_cnn"},
            "--pretrained needs --backbone=mobilefacenet, .* or resnet50, not small_cnn",
        ),
        (
            {"backbone": "small_cnn", "pretrained": ""},
            "--frozen needs --backbone=mobilefacenet, .* or resnet50, not small_cnn",
        ),
        ({"rectifier": "prelu"}, "made_up.onnx has relu6: add --rectifier=relu6"),
        ({"pretrained": str(tmp_path / "absent.onnx")}, "absent.onnx"),
        ({"train_data_path": str(shards)}, "is no CSV: --frozen reads pictures.*CSV"),
        ({"image_size": 40}, "multiple of 16"),
    ):
        with pytest.raises(InputError, match=words):
            train(faces.config(tmp_path / "run", **settings))
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_shards_cannot_be_evaluated_on(run, faces):
    with pytest.raises(InputError, match="Give the CSV"):
        evaluate_run(run.folder, str(faces.folder), "", progress=False)


def test_how_sets_are_opened(network):
    assert opener(network, frozen=False) is open_records
    opened = opener(network, frozen=True)
    assert opened.func is open_pooled and opened.args == (network,)


# --- Trainings ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_training_leaves_the_backbone_as_it_was_and_moves_the_head(
    run, faces, network, blank, file_weights
):
    data = run.config().data
    records = open_pooled(network, data, data.train_data_path, data.train_image_dir, 3)
    both = records.pooled[:].astype(float).reshape(-1, SIZE)  # pictures and mirror images
    start = [variable.numpy() for variable in trained_part(network).trainable_variables]
    for which in ("best", "last"):
        trained, _ = load_network(run.folder, which, blank)
        assert same(trained.get_layer("backbone").get_weights(), file_weights)
        head = trained_part(trained)
        for variable, first in zip(head.trainable_variables, start, strict=True):
            assert (variable.numpy() != first).any(), variable.name
        mean, variance = head.get_layer("standardization").get_weights()
        np.testing.assert_allclose(mean, both.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance, both.var(axis=0), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_from_pictures_the_whole_answers_as_the_head_on_kept_maps(run, faces):
    network, config = load_network(run.folder)
    samples = pd.read_csv(run.samples_file)
    said = samples[[f"probability_{name.lower()}" for name in config.data.class_names]].to_numpy()
    whole = softmax(network(pictures(faces, "train"), training=False)[1].numpy())
    # samples.csv has five decimals, maps are kept in half precision.
    np.testing.assert_allclose(said, whole, rtol=0, atol=1e-3)
    assert np.ptp(said, axis=0).max() > 0.05
    images = str(faces.folder / "drawn/images")
    test = str(faces.folder / "drawn/test.csv")
    result = evaluate_run(run.folder, test, images, "best", faces.folder / "found", progress=False)
    annotations = read_annotations(test)
    probabilities = softmax(network(pictures(faces, "test"), training=False)[1].numpy())
    own = probabilities[np.arange(TESTED), annotations.labels]
    assert result.count == TESTED
    assert result.metrics["nll"] == pytest.approx(-np.log(own).mean(), abs=1e-3)
    assert result.metrics["accuracy"] == np.mean(probabilities.argmax(1) == annotations.labels)


@pytest.mark.slow
def test_the_export_answers_from_pictures(run, faces):
    saved = tf.saved_model.load(str(export_run(run.folder)))
    images = pictures(faces, "test")
    found = saved.signatures["serving_images"](images=tf.constant(images))["probabilities"]
    network, _ = load_network(run.folder)
    expected = softmax(network(images, training=False)[1].numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_pretrained_file_is_not_needed_once_a_run_is_there(run, tmp_path, blank):
    shutil.copytree(run.folder, tmp_path / "copy")
    text = run.config_file.read_text().replace("made_up.onnx", "gone.onnx")
    (tmp_path / "copy/config.json").write_text(text)
    found = load_network(tmp_path / "copy")[0].get_weights()
    assert same(found, weights_of(run, "best", blank))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        dict(neighbors="bank", dropout=0.5),
        dict(neighbors="forward", dropout=0.0),
        dict(method="rul", dropout=0.0),  # with a dropout of its own
    ],
    ids=str,
)
def test_resume_ends_where_the_uninterrupted_run_ends(faces, tmp_path, blank, settings):
    def config(name, epochs):
        shared = dict(learning_rate=0.01, erase_probability=0.5)
        return faces.config(tmp_path / name, epochs=epochs, **shared, **settings)

    whole = train(config("whole", 3))
    train(config("parts", 1))
    parts = train(config("parts", 3), resume=True)
    for which in ("last", "best"):
        assert same(weights_of(whole, which, blank), weights_of(parts, which, blank))
    pd.testing.assert_frame_equal(pd.read_csv(whole.log_file), pd.read_csv(parts.log_file))
    pd.testing.assert_frame_equal(pd.read_csv(whole.samples_file), pd.read_csv(parts.samples_file))


@pytest.mark.slow
@pytest.mark.slow
def test_neighbors_by_landmarks_on_kept_maps_and_on_shards(faces, tmp_path):
    """Trains, holds a part out, and resumes, in the space of made-up landmarks and both."""
    annotations = read_annotations(faces.folder / "drawn/train.csv")
    points = np.random.default_rng(0).normal(size=[COUNT, 6, 3]).astype(np.float32)
    points[5] = np.nan
    write_landmarks(tmp_path / "faces.npz", annotations.paths, points)
    landmarks = {"landmarks": str(tmp_path / "faces.npz"), "auxiliary": "landmarks"}

    def config(name, epochs, **settings):
        return faces.config(tmp_path / name, epochs=epochs, **landmarks | settings)

    whole = train(config("whole", 2))
    train(config("parts", 1))
    parts = train(config("parts", 2), resume=True)
    assert whole.config().data.auxiliary == "landmarks"
    tables = [run.samples for run in (whole, parts)]
    pd.testing.assert_frame_equal(*tables)
    data = whole.config().data
    space = auxiliary_space(annotations, data, data.train_data_path, progress=False)
    found = neighbor_numbers(tables[0], "neighbors", int)
    np.testing.assert_array_equal(found, nearest_neighbors(space, 3))

    held = train(config("held", 1, val_data_path="", validation_fraction=0.3, auxiliary="both"))
    table = held.samples
    rows = annotations.subset(table["source_row"].to_numpy())
    space = auxiliary_space(rows, held.config().data, data.train_data_path, progress=False)
    found = neighbor_numbers(table, "neighbors", int)
    np.testing.assert_array_equal(found, nearest_neighbors(space, 3))

    small = {"backbone": "small_cnn", "pretrained": "", "frozen": False, "pad": 2}
    shards = train(config("shards", 1, **small)).samples
    assert shards["neighbors"].tolist() == tables[0]["neighbors"].tolist()


def test_a_missing_table_of_landmarks_is_named_before_anything_is_made(faces, tmp_path):
    with pytest.raises(InputError, match="ldl-fer landmarks --annotations="):
        train(faces.config(tmp_path / "run", auxiliary="landmarks"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_part_of_the_training_set_can_be_held_out(faces, tmp_path):
    config = faces.config("unused", val_data_path="", val_image_dir="", validation_fraction=0.25)
    network = build_network(config.network, SIDE, 7)
    training, validation = training_records(config.data, 0, opener(network, frozen=True))
    ours, theirs = training.annotations(), validation.annotations()
    assert len(ours) + len(theirs) == COUNT and not set(ours.paths) & set(theirs.paths)
    # Each set's rows are those of its own pictures.
    by_path = dict(
        zip(
            read_annotations(config.data.train_data_path).paths,
            frozen_part(network)(pictures(faces, "train").astype(np.float32)).numpy(),
            strict=True,
        )
    )
    for records in (training, validation):
        expected = [by_path[path] for path in records.annotations().paths]
        np.testing.assert_allclose(records.pooled[:][:, 0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", HEADS)
def test_every_method_trains_a_head(faces, network, run, method):
    settings = dict(learning_rate=0.01, erase_probability=0.5, erase_apart=True)
    settings |= taught_by(method, run)
    config = faces.config("unused", method=method, **settings)
    paths = config.data.train_data_path, config.data.train_image_dir
    records = open_pooled(network, config.data, *paths, 3)
    fresh = network_of_method(config, load=False)
    standardize(fresh, *records.pooled.moments)
    fresh.get_layer("backbone").set_weights(network.get_layer("backbone").get_weights())
    backbone = fresh.get_layer("backbone").get_weights()
    teachers = load_teachers(config, fresh)
    model = build_model(config, records, network=fresh, teachers=teachers)
    assert model.network is fresh and model.trained is trained_part(fresh)
    before = [variable.numpy() for variable in fresh.trainable_variables]
    batches = training_dataset(records, config, neighbors=neighbors_read(config))
    log = model.fit(batches, epochs=1, verbose=0).history
    assert all(np.isfinite(value).all() for value in log.values()) and "loss" in log
    for a, b in zip(fresh.trainable_variables, before, strict=True):
        assert (a.numpy() != b).any(), a.name
    for a, b in zip(fresh.get_layer("backbone").get_weights(), backbone, strict=True):
        np.testing.assert_array_equal(a, b)
    found = model.evaluate(ordered_dataset(records, config), verbose=0, return_dict=True)
    assert 0 <= found["accuracy"] <= 1 and np.isfinite(found["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in HEADS if name != "ldlva"])
def test_every_baseline_leaves_a_run(faces, tmp_path, run, method):
    settings = {"method": method} | taught_by(method, run)
    run = train(replaced(faces.config(tmp_path / "run"), settings))
    network, config = load_network(run.folder)
    said = pd.read_csv(run.samples_file)[
        [f"probability_{name.lower()}" for name in config.data.class_names]
    ]
    whole = softmax(network(pictures(faces, "train"), training=False)[1].numpy())
    np.testing.assert_allclose(said, whole, rtol=0, atol=1e-3)
