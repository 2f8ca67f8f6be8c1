"""Labels judged by networks that have not seen them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import NAMES, make_run
from helpers.killed_training import config_of, drawn

from ldl_fer import audit
from ldl_fer.data.samples import shares
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit import folds
from ldl_fer.evaluation.audit.training_set import training_set
from ldl_fer.training.train import train


@pytest.fixture
def run(tmp_path):
    """Of 60 rows, 50 of which were trained on; every fifth picture comes twice."""
    made = make_run(tmp_path / "made", count=60, held_out=10)
    for file in (made.samples_file, made.folder.parent / "train.csv"):
        table = pd.read_csv(file)
        table.loc[table.index % 5 == 1, "subDirectory_filePath"] = table[
            "subDirectory_filePath"
        ].shift(1)
        table["expression"] = table.index % 7
        table["annotator"] = (table.index % 5 == 1).astype(int)
        table.to_csv(file, index=False)
    return made


@pytest.fixture
def splits(monkeypatch):
    """What each fold was trained on and asked, by which seed; it answers 0.9 for its number."""
    seen = []

    def fold(config, part, inside, outside, folder, progress):
        seen.append((part, inside, outside, config.run.seed))
        answer = np.full([len(outside), 7], 0.1 / 6)
        answer[:, len(seen) - 1] = 0.9
        return answer

    monkeypatch.setattr(folds, "_fold", fold)
    return seen


def test_each_label_is_judged_once_by_a_network_without_its_picture(run, splits):
    whole = training_set(run.folder)
    found = folds.from_outside(run.folder, whole, 3, progress=False)
    assert len(splits) == 3
    asked = np.concatenate([outside for _, _, outside, _ in splits])
    assert sorted(asked) == list(range(50))
    for number, (part, inside, outside, _) in enumerate(splits):
        assert len(part) == 50 and sorted([*inside, *outside]) == list(range(50))
        paths = np.array(part.paths)
        assert not set(paths[inside]) & set(paths[outside])
        own, made = (shares(one.samples, "probability", NAMES) for one in (whole, found))
        expected = own[outside] / 2 + 0.1 / 12  # the mean of both judges
        expected[:, number] = (own[outside, number] + 0.9) / 2
        np.testing.assert_allclose(made[outside], expected, atol=1e-5)
    others = [name for name in whole.samples if not name.startswith("probability_")]
    pd.testing.assert_frame_equal(found.samples[others], whole.samples[others])
    assert not (run.folder / "folds").exists()


def test_a_class_that_does_not_occur_is_in_no_fold(run, splits):
    for file in (run.samples_file, run.folder.parent / "train.csv"):
        table = pd.read_csv(file)
        table.assign(expression=table["expression"] % 6).to_csv(file, index=False)
    folds.from_outside(run.folder, training_set(run.folder), 3, progress=False)
    assert len(splits) == 3


def test_folds_have_the_landmarks_of_the_whole(run, monkeypatch):
    config = run.config().replace(auxiliary="landmarks")
    part = training_set(run.folder).annotations

    def train(settings, **_):
        pytest.fail(settings.data.landmarks)

    monkeypatch.setattr(folds, "train", train)
    rows = np.arange(len(part))
    with pytest.raises(pytest.fail.Exception, match=r"made/train\.landmarks\.npz"):
        folds._fold(config, part, rows, rows, run.folder, False)


def test_what_was_found_is_kept_and_ranks_the_table(run, splits):
    table = audit(run, folds=3, progress=False).table
    before = audit(run).table
    assert len(splits) == 3 and set(table["row"]) == set(before["row"])
    assert not table["suspicion"].equals(before["suspicion"])
    assert audit(run, folds=3, progress=False).table.equals(table) and len(splits) == 3
    audit(run, folds=2, progress=False)
    assert len(splits) == 5


def test_repeats_divide_anew_and_their_mean_judges_beside_the_run_itself(run, splits, capsys):
    whole = training_set(run.folder)
    found = folds.from_outside(run.folder, whole, 2, repeats=2)
    assert len(splits) == 4
    first, second = (set(splits[number][2]) for number in (0, 2))
    assert second not in (first, set(range(50)) - first)
    own, made = (shares(one.samples, "probability", NAMES) for one in (whole, found))
    answers = np.full([50, 7], 0.2 / 6)
    for number, (_, _, outside, _) in enumerate(splits):
        answers[outside, number] += 0.9 - 0.1 / 6
    np.testing.assert_allclose(made, own / 2 + answers / 4, atol=1e-5)
    seeds = [seed - run.config().run.seed for *_, seed in splits]
    assert seeds == [0, 0, 1000, 1000]
    assert capsys.readouterr().out.splitlines()[::3] == ["Repeat 1 of 2", "Repeat 2 of 2"]
    one = folds.from_outside(run.folder, whole, 2, progress=False)  # kept: nothing is trained
    assert len(splits) == 4 and not one.samples.equals(found.samples)


def test_repeats_without_folds_are_refused(run, splits):
    with pytest.raises(InputError, match=r"--repeats=3 .*add --folds=5"):
        audit(run, repeats=3)
    assert not splits


def test_a_run_that_went_on_is_judged_anew(run, splits):
    audit(run, folds=3, progress=False)
    config = run.config()
    run.config_file.write_text(config.replace(epochs=config.optimizer.epochs + 1).to_json())
    audit(run, folds=3, progress=False)
    assert len(splits) == 6


@pytest.mark.parametrize("damage", [lambda text: text[:200], lambda text: "a,b\n1,2\n"])
def test_a_damaged_file_is_named(run, splits, damage):
    audit(run, folds=3, progress=False)
    [file] = run.folder.glob("outside_*")
    file.write_text(damage(file.read_text()))
    with pytest.raises(InputError, match=r"outside_3_folds_\d+_epochs.csv is damaged.*Delete it"):
        audit(run, folds=3, progress=False)


@pytest.mark.parametrize(
    ("folds", "settings", "message"),
    [
        (1, {}, "--folds=1: at least 2"),
        (9, {}, "there are [1-8] samples of .* only"),
        (3, {"train_data_path": "shards"}, "trained on shards"),
        (3, {"method": "ldt", "ldt_teacher": "a run"}, "teacher of .* has seen all labels"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused(run, splits, folds, settings, message):
    whole = run.config()
    run.config_file.write_text(whole.replace(**settings).to_json())
    places = {}
    if "train_data_path" in settings:
        places = {"annotations": whole.data.train_data_path}
    with pytest.raises(InputError, match=message):
        audit(run, **places, folds=folds, progress=False)
    assert not splits


@pytest.mark.slow
def test_real_trainings_go_on_where_they_were_interrupted(tmp_path, monkeypatch):
    folder = drawn(tmp_path)
    validation = {
        "val_data_path": str(folder / "drawn/test.csv"),
        "val_image_dir": str(folder / "drawn/images"),
    }
    config = config_of(folder, "run", epochs=2, **validation)
    run = train(config, progress=False)
    trained = []

    def counted(settings, resume, progress):
        trained.append(settings)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(settings, resume=resume, progress=progress)

    monkeypatch.setattr(folds, "train", counted)
    with pytest.raises(KeyboardInterrupt):
        audit(run, folds=2, progress=False)
    first = run.folder / "folds/1-of-2"
    before = (first / "log.csv").read_text()
    found = audit(run, folds=2, progress=False)
    assert len(trained) == 4 and trained[2] == trained[0] and len(before.splitlines()) == 3
    made = shares(found.training.samples, "probability", config.data.class_names)
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-4)
    own = shares(run.samples, "probability", config.data.class_names)
    assert np.abs(made - own).max() > 0.01
    kept = dataclasses.replace(trained[0].data, train_data_path=config.data.train_data_path)
    assert kept == config.data and trained[0].optimizer == config.optimizer
    assert json.loads(run.config_file.read_text())
