"""A data set is written whole or refused, and divided into train and test."""

import json

import pytest
from helpers.data_set_copies import affectnet, class_folders, fer2013, raf_db

from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS


def test_written_csv_can_be_trained_on(tmp_path):
    rows = [("a.jpg", 3, 0.5, -0.25), ("b.jpg", 0, 0, 1)]
    data_set = READERS["affectnet"].read(affectnet(tmp_path / "d", rows, rows))
    files, images = data_set.write(tmp_path / "out", info={"reader": "affectnet"})
    assert sorted(files) == ["train", "val"] and images == tmp_path / "d"
    again = read_annotations(files["train"], images, progress=False)
    assert again.labels.tolist() == [3, 0]
    assert again.valence_arousal.tolist() == [[0.5, -0.25], [0, 1]]
    record = json.loads((tmp_path / "out/dataset.json").read_text())
    assert record["reader"] == "affectnet" and record["counts"]["train"]["Surprise"] == 1


def test_one_file_is_for_one_split(tmp_path):
    root = raf_db(tmp_path / "raf")
    with pytest.raises(InputError, match="Name one by --split, or give a folder"):
        READERS["raf_db"].read(root).write(tmp_path / "a.csv")
    files, _ = READERS["raf_db"].read(root, splits=["test"]).write(tmp_path / "a.csv")
    assert files == {"test": tmp_path / "a.csv"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "raf"]


def test_files_of_others_are_not_replaced(tmp_path):
    data_set = READERS["raf_db"].read(raf_db(tmp_path / "raf"))
    (tmp_path / "test.csv").write_text("id,emotion\n")
    with pytest.raises(InputError, match="test.csv was not written by a reader"):
        data_set.write(tmp_path)
    assert not (tmp_path / "train.csv").exists()
    data_set.write(tmp_path / "out")
    data_set.write(tmp_path / "out")  # the same again is no loss


def test_a_users_edits_are_lost_only_by_overwrite(tmp_path):
    data_set = READERS["raf_db"].read(raf_db(tmp_path / "raf"))
    data_set.write(tmp_path / "out")
    file, written = tmp_path / "out/test.csv", (tmp_path / "out/test.csv").read_text()
    edited = written + written.splitlines()[-1] + "\n"
    file.write_text(edited)
    with pytest.raises(InputError, match="test.csv is there and differs"):
        data_set.write(tmp_path / "out")
    assert file.read_text() == edited
    data_set.write(tmp_path / "out", overwrite=True)
    assert file.read_text() == written


def test_pictures_are_written_once_and_never_over_others(tmp_path):
    fer2013(tmp_path, [(0, 7, "Training")])
    data_set = READERS["fer2013"].read(tmp_path)
    _, images = data_set.write(tmp_path / "out", tmp_path / "png", progress=False)
    (file,) = images.rglob("*.png")
    time = file.stat().st_mtime_ns
    data_set.write(tmp_path / "out", images, progress=False)
    assert file.stat().st_mtime_ns == time
    file.write_bytes(b"mine")
    with pytest.raises(InputError, match="is another picture"):
        data_set.write(tmp_path / "new", images, progress=False)
    assert file.read_bytes() == b"mine" and not (tmp_path / "new/train.csv").exists()


def test_test_part_holds_other_persons(tmp_path):
    paths = [f"{word}/S{n:03d}_1_{n}.png" for n in range(10) for word in ("anger", "happy")]
    data_set = READERS["ck_plus"].read(class_folders(tmp_path, *paths)).with_test_part(0.3, 1)
    persons = {s: set(a.table["subject"]) for s, a in data_set.splits.items()}
    assert len(persons["test"]) == 3 and len(persons["train"]) == 7  # 0.3 of 10 persons
    assert not persons["test"] & persons["train"]
    assert {s: set(a.table["split"]) for s, a in data_set.splits.items()} == {
        "train": {"train"},
        "test": {"test"},
    }
    with pytest.raises(InputError, match="there are splits already"):
        data_set.with_test_part(0.3, 1)


def test_test_part_without_persons_is_stratified(tmp_path):
    class_folders(tmp_path, *(f"{w}/{n}.png" for n in range(10) for w in ("sad", "happy")))
    data_set = READERS["class_folders"].read(tmp_path)
    parts = data_set.with_test_part(0.2, 0)
    assert parts.counts("test") == (0, 2, 2, 0, 0, 0, 0)  # 0.2 of 10 each
    assert parts.counts("train") == (0, 8, 8, 0, 0, 0, 0)
    assert parts.splits["test"].paths == data_set.with_test_part(0.2, 0).splits["test"].paths
    for fraction in (0, 1.0):
        with pytest.raises(InputError, match="between 0 and 1"):
            data_set.with_test_part(fraction, 0)
