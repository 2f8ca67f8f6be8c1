"""Hugging Face's imagefolder: tables as CSV and JSON lines, names and numbers, splits."""

import json

import numpy as np
import pytest
from helpers.audited_run import make_run
from helpers.called import call
from helpers.data_set_copies import complaint, names_of, picture, text

from ldl_fer.evaluation.audit.hand_over import hand_over
from ldl_fer.evaluation.audit.training_set import training_set
from ldl_fer.preparation.datasets import READERS


def read(root, **options):
    return READERS["imagefolder"].read(root, **options)


def pictures(folder, *names):
    for name in names:
        picture(folder / name)


def test_a_table_for_each_split(tmp_path):
    pictures(tmp_path / "train", "a.png", "b c.png")
    pictures(tmp_path / "validation", "sub/a.png")
    text(tmp_path / "train/metadata.csv", "file_name,label", "a.png,happiness", "b c.png,Angry")
    line = {"file_name": "sub/a.png", "emotion": "SAD", "valence": -0.5, "arousal": None}
    text(tmp_path / "validation/metadata.jsonl", json.dumps(line))
    data_set = read(tmp_path)
    assert data_set.splits["train"].paths == ["train/a.png", "train/b c.png"]
    assert names_of(data_set, "train") == ["Happy", "Anger"]
    assert data_set.splits["val"].paths == ["validation/sub/a.png"]
    assert names_of(data_set, "val") == ["Sad"]
    np.testing.assert_equal(data_set.splits["val"].valence_arousal, [[-0.5, np.nan]])
    assert list(read(tmp_path, splits=("val",)).splits) == ["val"]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train/a.png", "test/b.png"), {"train": ["train/a.png"], "test": ["test/b.png"]}),
        (("a.png", "b.png"), {"all": ["a.png", "b.png"]}),
        (("train/a.png", "b.png"), {"all": ["train/a.png", "b.png"]}),  # not all have a split
    ],
)
def test_one_table_for_all(tmp_path, files, splits):
    pictures(tmp_path, *files)
    rows = [f"{file};{n}" for n, file in enumerate(files)]
    text(tmp_path / "metadata.csv", "image_file_name;target", *rows)
    data_set = read(tmp_path, label_column="Target", map=("0=Fear", "1=neutral"))
    assert {split: part.paths for split, part in data_set.splits.items()} == splits
    labels = [name for split in splits for name in names_of(data_set, split)]
    assert labels == ["Fear", "Neutral"]


def test_what_is_no_class_is_counted(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    text(tmp_path / "metadata.csv", "file_name,expression", "a.png,Contempt", "b.png,joy")
    data_set = read(tmp_path)
    assert names_of(data_set, "all") == ["Happy"]
    assert data_set.left_out == {("all", "Contempt, not among the classes"): 1}


def test_the_audits_own_folder_is_read(tmp_path):
    run = make_run(tmp_path / "set")
    hand_over(tmp_path / "out", training_set(run.folder), "imagefolder", progress=False)
    done = call("datasets", "imagefolder", f"--root={tmp_path}/out", f"--output={tmp_path}/csv")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "csv/train.csv").read_text().splitlines()
    assert len(lines) == 25 and lines[1].startswith("train/00000")


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        (["file_name,x", "a.png,1"], {}, "has no column label, labels, emotion"),
        (["file_name,x", "a.png,1"], {"label_column": "y"}, "has no column y; it has file_name, x"),
        (["file_name,label", "a.png,1"], {}, "labels without a name: 1. Say what they mean by"),
        (["file_name,label", "a.png,"], {}, "labels without a name: an empty one"),
        (["file_name,label", "a.png,1"], {"map": ("1=",)}, "--map=1= is not VALUE=Class"),
        (["file_name,label", "a.png,1"], {"map": ("2=Fear",)}, "has no label 2"),
        (["name,label", "a.png,joy"], {}, "has no column file_name; it has name, label"),
        (["file_name,label", "b.png,joy"], {}, "1 of 1 pictures that are listed are not there"),
        (["file_name,label", "../a.png,joy"], {}, "../a.png"),
        (["file_name,label,valence,arousal", "a.png,joy,2,0"], {}, "line 2: valence is '2', not"),
        (["file_name,label", "a.png,joy,3"], {}, "line 2 has 3 fields where the header has 2"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, lines, options, words):
    picture(tmp_path / "set/a.png")
    text(tmp_path / "set/metadata.csv", *lines)
    assert words in complaint("imagefolder", tmp_path / "set", **options)


def test_a_folder_without_a_table(tmp_path):
    picture(tmp_path / "train/happy/a.png")
    assert "are read by class_folders" in complaint("imagefolder", tmp_path)
    text(tmp_path / "metadata.jsonl", '{"file_name": "a.png", "label": "joy"}', "[1, 2")
    assert "line 2 is no JSON object" in complaint("imagefolder", tmp_path)
