"""A whole run on a few drawn faces: what it leaves, and that it goes on where it stopped."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from ldl_fer.config import Config, fields
from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.sets import training_records
from ldl_fer.errors import InputError
from ldl_fer.evaluation.evaluate import evaluate_run
from ldl_fer.evaluation.trained_model import load_model
from ldl_fer.inference.export import export_run
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.preparation.noise.add import add_noise
from ldl_fer.training.build import balanced_weights, build_model
from ldl_fer.training.checks import left_behind
from ldl_fer.training.run import Run, load_network
from ldl_fer.training.samples import construct_samples
from ldl_fer.training.train import train

COUNT, NAMES = 70, [name.lower() for name in PRESETS["small"].data.class_names]


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    draw_faces(folder / "drawn", train=COUNT, test=20, size=32, progress=False)
    noisy = add_noise(read_annotations(folder / "drawn/train.csv"), "symmetric", 0.3, 0)
    noisy.write(folder / "noisy.csv")
    return folder


def config_of(faces, run_dir, **settings):
    made = PRESETS["small"].replace(
        train_data_path=str(faces / "noisy.csv"),
        train_image_dir=str(faces / "drawn/images"),
        records_dir=str(faces / "records"),
        run_dir=str(run_dir),
        validation_fraction=0.2,
        image_size=32,
        num_neighbors=3,
        batch_size=16,
        epochs=2,
        pad=2,
        pictures=False,
    )
    return made.replace(**settings)


@pytest.fixture(scope="module")
def run(faces):
    return train(config_of(faces, faces / "run", pictures=True))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (dict(method="scn", batch_size=32), "--scn_margin=0.07 was chosen at a batch of 64, and "),
        (dict(method="scn", batch_size=64), ""),
        (dict(method="scn", batch_size=32, scn_margin=0.1), ""),
        (dict(method="nla", batch_size=64), "--nla_weight=16 was chosen at a batch of 32, and "),
        (dict(method="ldlva", batch_size=32), ""),
        (dict(method="ada_df"), "--ada_margin=0.07 was chosen at a batch of 64, and "),
        (dict(method="cross_entropy", batch_size=64), ""),
        (
            dict(method="cross_entropy", batch_size=7),
            "--learning_rate=0.001 was chosen at a batch of 32, and ",
        ),
        (dict(method="cross_entropy", batch_size=7, learning_rate=0.002), ""),
    ],
    ids=str,
)
def test_constants_that_a_batch_size_leaves_behind_are_named(settings, expected):
    note = left_behind(Config().replace(**settings))
    assert note.startswith(f"note: {expected}--batch_size is ") if expected else note == ""


@pytest.mark.parametrize(("name", "rate", "size"), [("frozen", "2", 64), ("small", "2.5", 32)])
def test_a_presets_constants_belong_to_its_batch_size(name, rate, size):
    assert left_behind(PRESETS[name]) == ""
    note = left_behind(PRESETS[name].replace(batch_size=128))
    words = f"note: --uncertainty_learning_rate={rate} was chosen at a batch of {size} and "
    assert note.startswith(f"{words}--learning_rate=0.001 was chosen at a batch of 32, and ")


def test_settings_are_tuned_at_a_batch_by_their_names():
    for method, settings in METHOD_SETTINGS.items():
        for name, size in settings.tuned_at.items():
            assert name in fields(method) and size > 0


@pytest.mark.slow
@pytest.mark.parametrize(("method", "margin"), [("scn", "scn_margin"), ("ada_df", "ada_margin")])
def test_importance_counts_in_evaluation_and_prediction(faces, tmp_path, capsys, method, margin):
    trained = train(config_of(faces, tmp_path / "run", method=method, epochs=1))
    assert f"note: --{margin}=0.07 was chosen at a batch of 64 and" in capsys.readouterr().out
    network, config = load_network(trained.folder)
    table, folder = pd.read_csv(faces / "drawn/test.csv"), faces / "drawn/images"
    paths = table["subDirectory_filePath"]
    images = np.stack([cv2.imread(str(folder / path))[..., ::-1] for path in paths])
    inner = [network.get_layer(name).output for name in ("importance", "logits")]
    importance, logits = tf.keras.Model(network.input, inner)(images)
    expected = tf.nn.softmax(importance * logits).numpy()
    assert np.abs(expected - tf.nn.softmax(logits)).max() > 1e-3
    found = load_model(trained.folder).probabilities(images, 32)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    given = expected[np.arange(len(table)), table["expression"]]
    data = str(faces / "drawn/test.csv"), str(folder)
    result = evaluate_run(trained.folder, *data, progress=False)
    assert abs(result.metrics["nll"] + np.log(given).mean()) < 1e-4


@pytest.mark.slow
def test_without_valence_and_arousal_other_methods_train_and_all_are_evaluated(
    run, faces, tmp_path
):
    for split in ("train", "test"):
        table = pd.read_csv(faces / f"drawn/{split}.csv").drop(columns=["valence", "arousal"])
        table.to_csv(tmp_path / f"{split}.csv", index=False)
    config = config_of(faces, tmp_path / "run").replace(train_data_path=str(tmp_path / "train.csv"))
    with pytest.raises(InputError, match=r"ldl-fer affect"):
        train(config)
    made = train(config.replace(method="cross_entropy"))
    assert pd.read_csv(made.samples_file)["valence"].isna().all()
    paths = [str(folder / "test.csv") for folder in (faces / "drawn", tmp_path)]
    found = [
        evaluate_run(run.folder, path, str(faces / "drawn/images"), output_dir=tmp_path)
        for path in paths
    ]
    assert found[0].metrics == pytest.approx(found[1].metrics, rel=1e-6)


def test_the_run_folder_is_complete(run, faces):
    for path in (
        run.config_file,
        run.log_file,
        run.samples_file,
        run.epoch_file("best"),
        run.folder / "environment.json",
    ):
        assert path.stat().st_size > 0
    assert run.weights("best").exists() and run.weights("last").exists()
    assert run.config() == config_of(faces, faces / "run", pictures=True)
    log = pd.read_csv(run.log_file)
    assert log["epoch"].tolist() == [0, 1]
    assert {"loss", "classification_loss", "discriminative_loss", "val_accuracy", "lr"} <= set(log)
    best = run.epoch("best")
    assert best["validation_accuracy"] == pytest.approx(log["val_accuracy"].max())
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["versions"]["tensorflow"] == tf.__version__


def test_tensorboard_has_curves_histogram_and_pictures(run):
    tags = set()
    for file in run.tensorboard.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags |= {value.tag for value in event.summary.value}
    assert {"training/loss", "training/lr", "validation/accuracy", "uncertainty"} <= tags
    assert {"uncertainty/mean", "uncertainty/quantile_0.95", "confusion", "neighbors"} <= tags


def test_samples_are_equations_5_and_6_on_the_files_own_columns(run, faces):
    samples = pd.read_csv(run.samples_file)
    training, _ = training_records(run.config().data, run.config().run.seed)
    assert len(samples) == len(training) < COUNT
    values = {
        part: samples[[f"{part}_{name}" for name in NAMES]].to_numpy()
        for part in ("probability", "aggregated", "target")
    }
    for part in values.values():
        np.testing.assert_allclose(part.sum(axis=1), 1.0, atol=1e-4)
    label = np.eye(len(NAMES))[samples["expression"]]
    uncertainty = samples["uncertainty"].to_numpy()[:, np.newaxis]
    # d = (1 - lambda) l + lambda d~
    expected = (1 - uncertainty) * label + uncertainty * values["aggregated"]
    np.testing.assert_allclose(values["target"], expected, atol=1e-4)
    for i, row in samples.iterrows():
        neighbors = [int(k) for k in row["neighbors"].split(";")]
        contribution = np.array([float(c) for c in row["contribution"].split(";")])
        assert len(neighbors) == 3 and i not in neighbors
        # d~ = sum_k c_k f(x^k) / sum_k c_k
        expected = contribution @ values["probability"][neighbors] / contribution.sum()
        np.testing.assert_allclose(values["aggregated"][i], expected, atol=1e-3)
    flipped = samples["expression"] != samples["clean_expression"]
    assert 0.1 < flipped.mean() < 0.5


class BankAtFirst(tf.keras.callbacks.Callback):
    """Notes the bank before the first step."""

    def on_train_begin(self, logs=None):
        self.network = self.model.network.get_weights()
        self.rows = [variable.numpy() for variable in self.model.bank.variables]


@pytest.mark.slow
def test_the_bank_is_full_before_the_first_step(faces, tmp_path):
    watch = BankAtFirst()
    config = config_of(faces, tmp_path / "run", epochs=1)
    train(config, watch=watch)
    training, _ = training_records(config.data, config.run.seed)
    model = build_model(config, training)
    model.network.set_weights(watch.network)
    samples = construct_samples(model, training, config, tmp_path, progress=False)
    said = samples[[f"probability_{name}" for name in NAMES]].to_numpy()
    np.testing.assert_allclose(watch.rows[1], said, rtol=1e-4, atol=1e-5)
    # A resumed run goes on with the bank that it had.
    again = BankAtFirst()
    train(config.replace(epochs=2), resume=True, watch=again)
    assert np.abs(again.rows[1] - said).max() > 1e-3


class FirstIsBest(tf.keras.callbacks.Callback):
    """Makes the first epoch the best one, and notes lambda after each."""

    def __init__(self):
        super().__init__()
        self.uncertainties = []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_accuracy"] = 0.9 - 0.1 * epoch
        self.uncertainties.append(self.model.all_uncertainties().numpy())


@pytest.mark.slow
def test_samples_have_network_and_uncertainty_of_one_epoch(faces, tmp_path):
    watch = FirstIsBest()
    run = train(config_of(faces, tmp_path / "run"), watch=watch)
    first, last = watch.uncertainties
    assert run.epoch("best")["epoch"] == 1 and np.abs(first - last).max() > 0.01
    np.testing.assert_allclose(pd.read_csv(run.samples_file)["uncertainty"], first, atol=1e-5)
    training, _ = training_records(run.config().data, run.config().run.seed)
    model = build_model(run.config(), training)
    run.load_method(model.kept_with_best())
    np.testing.assert_array_equal(model.all_uncertainties(), first)
    assert model.centers.centers.numpy().any()
    run.method.write_bytes(b"damaged")
    with pytest.raises(InputError, match="best.method.npz is missing, damaged"):
        run.load_method(model.kept_with_best())


def test_samples_of_an_earlier_run_can_be_trained_on(run, faces):
    training, _ = training_records(run.config().data, run.config().run.seed)
    stale = pd.read_csv(run.samples_file).assign(
        uncertainty=-1.0, neighbors="x", probability_fear=2.0
    )
    training.annotations = lambda: Annotations(stale, PRESETS["small"].data.class_names)
    model = build_model(run.config(), training)
    made = construct_samples(model, training, run.config(), run.folder, progress=False)
    assert made.columns.is_unique and set(made.columns) == set(stale.columns)
    assert made["uncertainty"].between(0, 1).all() and made["probability_fear"].between(0, 1).all()
    for settings in ({"method": "cross_entropy"}, {"label_distribution": False}):
        config = run.config().replace(**settings)  # no column of its own, and none of the other run
        made = construct_samples(build_model(config, training), training, config, run.folder, False)
        added = [*(f"probability_{name}" for name in NAMES), "sample_id", "source_row"]
        assert set(made.columns) == {*read_annotations(faces / "noisy.csv").table, *added}


def test_no_validation_picture_is_trained_on(run):
    training, validation = training_records(run.config().data, run.config().run.seed)
    ours, theirs = set(training.annotations().paths), set(validation.annotations().paths)
    assert len(ours) + len(theirs) == COUNT and not ours & theirs


def test_a_run_is_not_overwritten(run, faces):
    with pytest.raises(InputError, match="--resume"):
        train(config_of(faces, run.folder))


@pytest.mark.slow
def test_evaluate_and_export(run, faces):
    result = evaluate_run(
        run.folder, str(faces / "drawn/test.csv"), str(faces / "drawn/images"), progress=False
    )
    assert result.count == result.vote_count == 20 and {"accuracy", "kl"} <= set(result.metrics)
    written = json.loads((run.folder / "result.json").read_text())
    assert written["metrics"]["accuracy"] == result.metrics["accuracy"]
    assert written["select_on_test"] is False
    assert (export_run(run.folder) / "saved_model.pb").exists()


def test_what_cannot_be_trained_on_is_said(faces, tmp_path):
    for settings, words in (
        (dict(train_data_path=""), "no training data"),
        (dict(train_data_path=str(tmp_path / "absent.csv")), "absent.csv"),
        (dict(train_data_path=str(tmp_path)), "validation"),
        (dict(select_on_test=True), "--val_data_path"),
        (dict(num_neighbors=COUNT), str(COUNT)),
        (dict(pad=33), "--pad=33"),
        (dict(method="eac", jit=True), "--method=eac"),
    ):
        with pytest.raises(InputError, match=words):
            train(config_of(faces, tmp_path / "run", **settings))
        assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="holds no run"):
        load_network(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Run(tmp_path).config()


def test_construction_changes_no_variable(run, faces):
    config = run.config()
    training, _ = training_records(config.data, config.run.seed)
    model = build_model(config, training)
    before = [variable.numpy() for variable in model.variables]
    construct_samples(model, training, config, run.folder, progress=False)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_balanced_weights():
    # N / (C N_c) = 12 / (3 * 2), 12 / (3 * 4), 12 / (3 * 6)
    assert balanced_weights([2, 4, 6]) == pytest.approx([2.0, 1.0, 2 / 3])
    assert balanced_weights([0, 4]) == pytest.approx([0.0, 0.5])
