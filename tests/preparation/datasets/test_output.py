"""What the readers write: files whole or refused, test parts, the table, the command."""

import json
import subprocess
import sys

import pytest
from helpers.data_set_copies import affectnet, class_folders, fer2013, raf_db

from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.count_table import count_table


def command(*arguments):
    run = [sys.executable, "-m", "ldl_fer", "datasets", *map(str, arguments)]
    return subprocess.run(run, capture_output=True, text=True)


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


def test_what_no_reader_wrote_is_not_replaced(tmp_path):
    data_set = READERS["raf_db"].read(raf_db(tmp_path / "raf"))
    (tmp_path / "test.csv").write_text("id,emotion\n")
    with pytest.raises(InputError, match="test.csv was not written by a reader"):
        data_set.write(tmp_path)
    assert not (tmp_path / "train.csv").exists()
    data_set.write(tmp_path / "out")
    data_set.write(tmp_path / "out")  # the same again is no loss


def test_a_users_edits_are_lost_only_when_told(tmp_path):
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


def test_absent_classes_are_told_with_the_flag(tmp_path):
    class_folders(tmp_path / "d", "happy/1.png", "sad/1.png", "fear/1.png")
    done = command(
        *("class_folders", f"--root={tmp_path / 'd'}", "--leave_out=fear"),
        f"--output={tmp_path / 'out'}",
    )
    assert "No picture of Neutral, Surprise, Fear, Disgust, Anger." in done.stdout, done.stderr
    assert "--class_names=Happy,Sad\n" in done.stdout


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


def test_table_stars_what_differs_from_the_published(tmp_path):
    reader = READERS["raf_db"]
    text = count_table(reader, reader.read(raf_db(tmp_path)))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["train", "published", "test", "published"]
    assert lines[2] == ["Happy", "1", "4,772*", "1", "1,185*"]
    assert lines[8] == ["all", "7", "12,271*", "1", "3,068*"]
    names = ("Surprise", "Contempt")
    odd = count_table(reader, reader.read(tmp_path, splits=["train"], class_names=names))
    assert odd.splitlines()[2].split() == ["Contempt", "0", "-"]
    assert "left out of train: 1 (Fear, not among the classes)" in odd


def test_command_says_what_comes_next(tmp_path):
    root = raf_db(tmp_path / "raf")
    done = command("raf_db", f"--root={root}", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert (
        f"ldl-fer affect predict --annotations={tmp_path}/out/train.csv "
        f"--image_dir={root} --output={tmp_path}/out/train_va.csv"
    ) in done.stdout
    assert "ldl-fer train --method=cross_entropy makes RUN" in done.stdout
    assert (
        f"ldl-fer train --preset=small --train_data_path={tmp_path}/out/train_va.csv" in done.stdout
    )
    assert (tmp_path / "out/train.csv").read_text().splitlines()[1] == (
        "Image/aligned/train_00001_aligned.jpg,3,,,train,1"  # 3 is Surprise; no valence, arousal
    )


def test_command_refuses_without_a_traceback(tmp_path):
    for arguments, text in (
        (("raf",), "name one data set: raf_db, affectnet, sfew, ferplus, fer2013, ck_plus, class"),
        (("sfew", f"--root={tmp_path}", "--min_votes=3"), "sfew does not use --min_votes"),
        (("sfew", tmp_path), f"did you mean --root={tmp_path}?"),
        (("sfew",), "--root is missing: ldl-fer datasets sfew --root=FOLDER"),
    ):
        done = command(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ") and text in done.stderr


def test_help_of_a_data_set_shows_its_layout():
    assert "fer2013new.csv    Usage, Image name, neutral" in command("ferplus", "--help").stdout
