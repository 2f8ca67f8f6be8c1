"""Runs of experiments: named by their settings, done once, gone on with, shared by processes."""

import dataclasses
import fcntl
import json
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config import GROUPS, fields
from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.experiments import runner
from ldl_fer.experiments.data import Sets
from ldl_fer.experiments.plan import plan, with_teachers
from ldl_fer.experiments.runner import check_measure, measured, run_all
from ldl_fer.experiments.summary import kept_rows, write_results
from ldl_fer.experiments.tables import (
    CLEAN,
    EXPERIMENTS,
    Experiment,
    Figure,
    Noise,
    Variant,
    compared,
)
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.training.run import Run, load_network

CONFIG = PRESETS["small"].replace(
    image_size=32,
    num_neighbors=3,
    batch_size=16,
    epochs=3,
    decay_epochs=(2,),
    pad=2,
    pictures=False,
)
FIGURE = Figure("accuracy", "method", "accuracy")
FLIPPED = Noise("symmetric", 0.3)


def experiment_of(variants, noises=(FLIPPED,), union=False):
    metrics = ("accuracy",)
    return Experiment("mine", "-", "?", tuple(variants), noises, "test", metrics, FIGURE, union)


ONE = experiment_of(compared("ldlva"))
TWO = experiment_of(compared("cross_entropy", "ldlva"))


@pytest.fixture
def sets(tmp_path):
    """Without pictures: enough to plan."""
    for name in ("train", "test"):
        made_up_annotations(50, votes=True).write(tmp_path / f"{name}.csv")
    data = dataclasses.replace(CONFIG.data, train_data_path=str(tmp_path / "train.csv"))
    return Sets("mine", data, str(tmp_path / "test.csv"), "images", tmp_path / "data")


def folders(planned):
    return [one.run.folder for one in planned]


# --- Plans -------------------------------------------------------------------------------------


def test_every_variant_noise_and_seed_once(sets, tmp_path):
    experiment = experiment_of(compared("cross_entropy", "eac"), (CLEAN, FLIPPED))
    planned = plan(experiment, sets, CONFIG, (0, 5), tmp_path / "runs")
    rows = [(one.seed, str(one.noise), one.variant.method) for one in planned]
    assert rows == [
        (seed, noise, method)
        for seed in (0, 5)
        for noise in ("none", "symmetric 0.3")
        for method in ("cross-entropy", "EAC")
    ]
    assert len(set(folders(planned))) == 8
    for one in planned:
        assert one.config.run.seed == one.seed
        expected = sets.training_csv(one.noise, one.seed, union=False)
        assert one.config.data.train_data_path == str(expected) and expected.exists()
        assert one.tests == {"mine": tmp_path / "test.csv"} and one.test_image_dir == "images"
        assert one.run.folder.parent == tmp_path / "runs"
        assert str(one) == f"{one.variant.method}, noise {one.noise}, seed {one.seed}"
    assert [one.config.method for one in planned[:2]] == ["cross_entropy", "eac"]
    # EAC's paper erases; the others keep the user's settings.
    assert [one.config.augmentation.erase_probability for one in planned[:2]] == [0.0, 0.5]
    assert not any(path.exists() for path in folders(planned))


def test_what_the_user_names_wins_over_what_a_method_brings(sets, tmp_path):
    experiment = experiment_of(compared("cross_entropy", "eac"), (FLIPPED,))
    given = {"erase_probability": 0.25}
    planned = plan(experiment, sets, CONFIG.replace(**given), (0,), tmp_path / "runs", given)
    assert [one.config.augmentation.erase_probability for one in planned] == [0.25, 0.25]
    assert planned[1].config.augmentation.erase_apart  # what is not named, the method brings


def test_a_teacher_is_the_plain_network_of_the_same_data_and_seed(sets, tmp_path):
    noises = (CLEAN, FLIPPED)
    config = CONFIG.replace(image_size=48)
    taught = experiment_of(compared("cross_entropy", "ldt"), noises)
    planned = plan(taught, sets, config, (0, 1), tmp_path / "runs")
    plain = {(str(p.noise), p.seed): p for p in planned if p.config.method == "cross_entropy"}
    for one in planned:
        if one.config.method == "ldt":
            teacher = plain[str(one.noise), one.seed]
            assert one.config.ldt.ldt_teacher == teacher.config.run.run_dir
            assert one.config.data == teacher.config.data
    mine = plan(taught, sets, config.replace(ldt_teacher="mine"), (0,), tmp_path / "runs")
    assert {p.config.ldt.ldt_teacher for p in mine} == {"mine"}
    assert len(planned) == 8
    wanted = [one for one in planned if one.config.method == "ldt"][1:2]
    assert with_teachers(wanted, planned) == [plain["symmetric 0.3", 0], *wanted]
    assert with_teachers(planned[:2], planned) == planned[:2]


@pytest.mark.parametrize("rates", [(1e-4, 1e-3), (1e-2, 1e-1)], ids=["users", "tuned"])
def test_of_several_plain_networks_one_teaches(sets, tmp_path, rates):
    """That with the user's learning rate, 1e-3; else the first."""
    plain = [Variant("CE", {"method": "cross_entropy", "learning_rate": rate}) for rate in rates]
    taught = experiment_of((*plain, *compared("ldt")))
    config = CONFIG.replace(learning_rate=1e-3)
    first, second, ldt = plan(taught, sets, config, (0,), tmp_path / "runs")
    expected = second if 1e-3 in rates else first
    assert ldt.config.ldt.ldt_teacher == expected.config.run.run_dir


def test_a_method_has_its_papers_settings_for_clean_labels_where_they_are(sets, tmp_path):
    experiment = experiment_of(compared("cross_entropy", "eac"), (CLEAN, FLIPPED))
    apart = {
        (one.config.method, str(one.noise)): one.config.augmentation.erase_apart
        for one in plan(experiment, sets, CONFIG, (1,), tmp_path)
    }
    assert apart["eac", str(FLIPPED)] is True
    assert [key for key, value in apart.items() if value] == [("eac", str(FLIPPED))]


def test_a_method_that_needs_pictures_is_left_out_of_frozen_trainings(sets, tmp_path):
    both = experiment_of(compared("cross_entropy", "ran"))
    for frozen, expected in ((False, ["cross_entropy", "ran"]), (True, ["cross_entropy"])):
        planned = plan(both, sets, CONFIG.replace(frozen=frozen), (0,), tmp_path / "runs")
        assert [one.config.method for one in planned] == expected


def test_a_union_has_two_test_sets(sets, tmp_path):
    planned = plan(experiment_of(compared("ldlva"), (CLEAN,), True), sets, CONFIG, (1,), tmp_path)
    assert list(planned[0].tests) == ["mine", "mine (one vote)"]
    assert "union" in planned[0].config.data.train_data_path


def test_experiments_share_the_runs_that_they_have_in_common(sets, tmp_path):
    config = CONFIG.replace(num_neighbors=8)
    by_name = {
        name: {
            (one.variant.settings.get("method", one.variant.setting), str(one.noise)): folder
            for one in plan(EXPERIMENTS[name], sets, config, (0,), tmp_path)
            for folder in [one.run.folder]
        }
        for name in ("noise", "ablation", "neighbors", "votes", "uncertainty", "original")
    }
    flips = "symmetric 0.3"
    whole = by_name["noise"]["ldlva", flips]
    assert by_name["votes"]["ldlva", flips] == by_name["uncertainty"]["ldlva", flips] == whole
    assert by_name["neighbors"]["K 8", flips] == whole != by_name["neighbors"]["K 16", flips]
    assert by_name["ablation"]["(v) LD + AS + UF + DL", flips] == whole
    plain = by_name["noise"]["cross_entropy", flips]
    assert by_name["ablation"]["cross_entropy", flips] == plain != whole
    clean = by_name["original"]["ldlva", "none"]
    assert clean == by_name["votes"]["ldlva", "none"] != whole
    assert clean == by_name["ablation"]["(v) LD + AS + UF + DL", "none"]


def test_folders_differ_when_any_setting_does(sets, tmp_path):
    def folder_of(config, seed=0):
        [one] = plan(ONE, sets, config, (seed,), tmp_path)
        return one.run.folder

    original = folder_of(CONFIG)
    assert folder_of(CONFIG) == original != folder_of(CONFIG, seed=1)
    seen = {original}
    filled_in = {"train_data_path", "method", "records_dir", "trust_model"}
    for group in [name for name in GROUPS if name != "run"]:
        for setting in fields(group).values():
            if setting.name in filled_in:
                continue
            value = getattr(CONFIG.group(group), setting.name)
            folder = folder_of(CONFIG.replace(**{setting.name: another(setting, value)}))
            if group in METHOD_SETTINGS and group != ONE.variants[0].settings["method"]:
                assert folder == original, setting.name  # of a method that does not run
            else:
                assert folder not in seen, setting.name
            seen.add(folder)
    # Where things lie, and how they are shown, is no other training.
    for settings in ({"records_dir": "elsewhere"}, {"run_dir": "x"}, {"pictures": True}):
        assert folder_of(CONFIG.replace(**settings)) == original


def another(setting, value):
    choices = [choice for choice in setting.metadata["choices"] if choice != value]
    if choices:
        return choices[0]
    if isinstance(value, bool):
        return not value
    if setting.name == "class_names":
        return (*value[:-1], "Fury")
    if setting.name == "auxiliary":
        return "both"
    if isinstance(value, tuple):
        others = {
            "decay_epochs": (1, 2),
            "dacl_units": (8, 4, 2),
            "calibration_units": (8, 4),
            "ltnet_machine_runs": ("a", "b"),
            "landmark_parts": ("lips",),
        }
        return others.get(setting.name, (0.5, 0.75))
    return {str: "other", int: 7, float: 0.4321, type(None): 0.5}[type(value)]


# --- Running -----------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch):
    """Folders that would be trained, in order; nothing is."""
    done = []

    def train(config, resume, watch):
        assert resume
        done.append(config.run.run_dir)
        run = Run(config.run.run_dir)
        run.state.mkdir(parents=True)
        (run.folder / "environment.json").write_text('{"git_commit": "abc"}')
        weights = [tf.zeros([2, 3]), tf.zeros([4])]
        watch.set_model(SimpleNamespace(weights=weights, network=None, distribute_strategy=None))
        return run

    def evaluate_run(run_dir, path, image_dir, epoch, folder, **_):
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps({"metrics": {"accuracy": 0.5}}))

    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(runner, "load_network", lambda *arguments: (None, None))
    monkeypatch.setattr(runner, "open_data", lambda *data: None)
    monkeypatch.setattr(runner, "evaluate_run", evaluate_run)
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: pytest.fail("waits for nobody"))
    return done


@contextmanager
def claimed(folder):
    """As another process holds a run folder that it is at."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f".{folder.name}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


def test_what_is_done_is_not_done_again(sets, tmp_path, trained):
    planned = plan(TWO, sets, CONFIG, (0,), tmp_path / "runs")
    run_all(planned[:1], "mine", progress=False)
    assert trained == [str(planned[0].run.folder)]
    record = json.loads(planned[0].record.read_text())
    assert record["commit"] == "abc" and record["seconds"] >= 0 and record["parameters"] == 10
    assert not planned[0].run.state.exists()  # large, and of no use any more
    run_all(planned, "mine", progress=False)
    assert trained == [str(path) for path in folders(planned)]
    run_all(planned, "mine", progress=False)
    assert len(trained) == 2
    assert not list((tmp_path / "runs").glob(".*.lock"))


def test_a_kill_after_the_record_trains_nothing_again(sets, tmp_path, trained, monkeypatch):
    """The training's state goes last: without it and a record, all would be trained again."""
    [one] = plan(ONE, sets, CONFIG, (0,), tmp_path / "runs")

    def killed(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runner.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run_all([one], "mine", progress=False)
    assert one.record.exists() and one.run.state.exists()
    run_all([one], "mine", progress=False)
    assert len(trained) == 1 and not one.run.state.exists()


def test_what_could_not_be_measured_is_refused_before_training(sets, tmp_path, monkeypatch):
    experiment = dataclasses.replace(TWO, measure="uncertainty")
    planned = plan(experiment, sets, CONFIG, (0,), tmp_path / "runs")
    monkeypatch.setattr(runner, "extra_package", lambda name, asker: None)
    with pytest.raises(InputError, match="--preset=frozen"):
        check_measure(experiment, planned)
    check_measure(experiment, planned[1:])  # LDLVA is not what cleanlab judges
    check_measure(TWO, planned)


def test_a_missing_cleanlab_is_named_before_training(sets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    experiment = dataclasses.replace(TWO, measure="uncertainty")
    planned = plan(experiment, sets, CONFIG.replace(frozen=True), (0,), tmp_path / "runs")
    with pytest.raises(InputError, match="cleanlab.*pip install"):
        check_measure(experiment, planned)


def test_a_run_that_failed_is_not_done_and_stands_in_nobodys_way(
    sets, tmp_path, trained, monkeypatch
):
    [one] = plan(ONE, sets, CONFIG, (0,), tmp_path / "runs")

    def fails(*arguments, **settings):
        raise InputError("no disk")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "train", fails)
        with pytest.raises(InputError, match="no disk"):
            run_all([one], "mine", progress=False)
        assert not one.record.exists()
    run_all([one], "mine", progress=False)
    assert one.record.exists() and len(trained) == 1


def test_a_run_that_another_process_is_at_is_left_and_taken_later(
    sets, tmp_path, trained, monkeypatch
):
    planned = plan(TWO, sets, CONFIG, (0,), tmp_path / "runs")
    first, second = (str(path) for path in folders(planned))
    with claimed(planned[0].run.folder) as lock:

        def other_ends_without_success(seconds):
            assert trained == [second] and seconds > 0
            fcntl.flock(lock, fcntl.LOCK_UN)

        monkeypatch.setattr(runner.time, "sleep", other_ends_without_success)
        run_all(planned, "mine", progress=False)
    assert trained == [second, first]
    assert all(one.record.exists() for one in planned)


def test_a_run_waits_for_its_teacher_that_another_process_trains(
    sets, tmp_path, trained, monkeypatch
):
    taught = experiment_of(compared("cross_entropy", "ldt"))
    planned = plan(taught, sets, CONFIG, (0,), tmp_path / "runs")
    with claimed(planned[0].run.folder) as lock:

        def other_ends(seconds):
            assert trained == []
            fcntl.flock(lock, fcntl.LOCK_UN)

        monkeypatch.setattr(runner.time, "sleep", other_ends)
        run_all(planned, "mine", progress=False)
    assert trained == [str(path) for path in folders(planned)]


def test_a_run_that_another_process_has_finished_is_not_done_again(
    sets, tmp_path, trained, monkeypatch
):
    planned = plan(TWO, sets, CONFIG, (0,), tmp_path / "runs")
    with claimed(planned[0].run.folder) as lock:

        def other_finishes(seconds):
            planned[0].run.folder.mkdir()
            planned[0].record.write_text("{}")
            fcntl.flock(lock, fcntl.LOCK_UN)

        monkeypatch.setattr(runner.time, "sleep", other_finishes)
        run_all(planned, "mine", progress=False)
    assert trained == [str(planned[1].run.folder)]


# --- For real ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    draw_faces(folder / "drawn", train=50, test=20, size=32, progress=False)
    return folder


def real_plan(faces, runs_dir, experiment=ONE, **settings):
    images, test = str(faces / "drawn/images"), str(faces / "drawn/test.csv")
    config = CONFIG.replace(
        **{"train_data_path": str(faces / "drawn/train.csv"), "train_image_dir": images},
        **{"val_data_path": test, "val_image_dir": images, "records_dir": str(faces / "records")},
        **settings,
    )
    sets = Sets("drawn", config.data, test, images, faces / "data")
    return sets, plan(experiment, sets, config, (0,), runs_dir)


@pytest.fixture(scope="module")
def finished(faces):
    sets, planned = real_plan(faces, faces / "runs")
    run_all(planned, "mine", progress=False)
    return sets, planned[0]


@pytest.mark.slow
def test_a_finished_run_is_tested_with_both_epochs_networks(finished):
    _, one = finished
    for epoch in ("best", "last"):
        result = json.loads((one.result("drawn", epoch) / "result.json").read_text())
        assert result["weights"] == epoch and result["count"] == 20
        assert result["data_path"] == str(one.tests["drawn"])
    log = pd.read_csv(one.run.log_file)
    # Here the validation set is the test set.
    accuracy = {
        epoch: json.loads((one.result("drawn", epoch) / "result.json").read_text())["metrics"][
            "accuracy"
        ]
        for epoch in ("best", "last")
    }
    assert accuracy["best"] == pytest.approx(log["val_accuracy"].max())
    assert accuracy["last"] == pytest.approx(log["val_accuracy"].iloc[-1])
    # Three epochs, all of them among the last five.
    by_epoch = pd.read_csv(one.last_epochs)
    assert by_epoch["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(by_epoch["drawn"], log["val_accuracy"], rtol=1e-6)
    samples = pd.read_csv(one.run.samples_file)
    # round(0.3 * 50)
    assert (samples["expression"] != samples["clean_expression"]).sum() == 15


@pytest.mark.slow
def test_measured_rows_say_where_they_come_from(finished, faces):
    sets, one = finished
    _, missing = real_plan(faces, faces / "runs", learning_rate=0.5)
    table = measured(ONE, [one, *missing], sets, {})
    [row] = table.to_dict("records")
    result = json.loads((one.result("drawn", "best") / "result.json").read_text())["metrics"]
    assert result.items() <= row.items() and 0 <= row["flips_auc"] <= 1
    log = pd.read_csv(one.run.log_file)
    assert row["accuracy_last5"] == pytest.approx(log["val_accuracy"].mean())
    assert (row["method"], row["dataset"], row["noise"]) == ("LDLVA", "drawn", "symmetric 0.3")
    assert (row["setting"], row["seed"], row["run_dir"]) == ("", 0, str(one.run.folder))
    assert row["seconds"] > 0 and "commit" in row
    network, _ = load_network(one.run.folder, "best")
    assert row["parameters"] > network.count_params() + 50  # g, bank, lambda
    assert row["million_parameters"] == row["parameters"] / 1e6
    assert measured(ONE, missing, sets, {}).empty
    write_results(ONE, table, faces / "results", "a command", 1)
    kept = kept_rows(faces / "results")
    for folder in (
        one.run.folder,
        faces / "moved" / one.run.folder.name,
    ):  # that of another machine
        elsewhere = dataclasses.replace(one, config=one.config.replace(run_dir=str(folder)))
        assert elsewhere.record.exists() == (folder == one.run.folder)
        again = measured(ONE, [elsewhere, *missing], sets, kept)
        ours, first = (rows.drop(columns="run_dir") for rows in (again, table))
        # A whole number of seconds is read back as an integer.
        pd.testing.assert_frame_equal(ours, first, check_dtype=False)


class Interrupted(runner._Epochs):
    """^C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations > 5:  # 50 samples in batches of 16: 4 an epoch
            raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_ends_as_one_that_was_not(finished, faces, monkeypatch):
    [one] = real_plan(faces, faces / "interrupted")[1]
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_Epochs", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_all([one], "mine", progress=False)
    assert not one.record.exists() and one.run.state.exists()
    epochs, counted = [], runner._Epochs.on_epoch_end
    with monkeypatch.context() as patch:
        patch.setattr(
            runner._Epochs,
            "on_epoch_end",
            lambda self, epoch, logs=None: (epochs.append(epoch), counted(self, epoch, logs)),
        )
        run_all([one], "mine", progress=False)
    assert epochs == [1, 2] and one.record.exists()
    _, whole = finished
    assert one.run.folder.name == whole.run.folder.name
    assert one.last_epochs.read_text() == whole.last_epochs.read_text()
    pd.testing.assert_frame_equal(
        pd.read_csv(one.run.samples_file), pd.read_csv(whole.run.samples_file)
    )
    for which in ("best", "last"):
        first, second = (load_network(x.run.folder, which)[0] for x in (one, whole))
        for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_bar_counts_epochs_of_all_sessions():
    class Bar:
        n = 0

        def update(self, count):
            self.n += count

    bar = Bar()
    watch = runner._Epochs(SimpleNamespace(config=CONFIG.replace(epochs=100)), bar)
    for epoch in (
        4,
        5,
        6,
    ):  # four were done before, and a part of the fifth, which Keras fits apart
        watch.on_train_begin()
        watch.on_epoch_begin(epoch)
        watch.on_epoch_end(epoch)
    assert bar.n == 7
