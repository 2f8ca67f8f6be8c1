"""AffectNet on made-up copies of both layouts."""

import numpy as np
from helpers.data_set_copies import (
    EIGHT,
    affectnet,
    affectnet_arrays,
    complaint,
    names_of,
)

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.datasets import READERS

ROWS = [(f"{x}/{x}.jpg", x, 0.5, -0.25) for x in range(11)]


def test_counts_from_neutral_and_leaves_out_contempt(tmp_path):
    data_set = READERS["affectnet"].read(affectnet(tmp_path, ROWS, ROWS[:2]))
    assert names_of(data_set, "train") == list(CLASS_NAMES)
    assert names_of(data_set, "val") == ["Neutral", "Happy"]  # its list has no header
    table = data_set.splits["train"].table
    assert table["subDirectory_filePath"][3] == "Manually_Annotated_Images/3/3.jpg"
    assert table.loc[0, ["valence", "arousal", "face_height"]].tolist() == [0.5, -0.25, 40]
    assert data_set.has_valence_arousal("train")
    assert data_set.left_out == {
        ("train", f"{name}, not among the classes"): 1
        for name in ("Contempt", "none", "uncertain", "no-face")
    }
    eight = READERS["affectnet"].read(tmp_path, class_names=EIGHT)
    assert names_of(eight, "train") == list(EIGHT)


def test_rows_without_valence_arousal_are_left_out_and_counted(tmp_path):
    rows = [("a.jpg", 1, -2, -2), ("b.jpg", 1, 0.1, -2), ("c.jpg", 1, -1, 1), ("d.jpg", 9, -2, -2)]
    rows.append(("c.jpg", 2, 0, 0))  # a second label for one picture: the first stays
    data_set = READERS["affectnet"].read(affectnet(tmp_path, rows, rows[2:3]))
    assert data_set.splits["train"].paths == ["Manually_Annotated_Images/c.jpg"]
    assert data_set.splits["train"].labels.tolist() == [1]
    assert data_set.left_out["train", "listed a second time"] == 1
    assert data_set.left_out["train", "valence or arousal absent"] == 2
    assert data_set.left_out["train", "uncertain, not among the classes"] == 1


def test_mistakes_name_file_and_line(tmp_path):
    rows = [("a.jpg", 11, 0, 0), ("b.jpg", 1, 1.5, 0), ("c.jpg", 1, 0, "x"), ("d.jpg", 1.5, 0, 0)]
    text = complaint("affectnet", affectnet(tmp_path, rows, [("e.jpg", 1, 0, -3)]))
    assert "training.csv: 4 problems" in text
    assert "line 2: expression is 11, none of 0 to 10" in text
    assert "line 3: valence is 1.5, neither in [-1, 1] nor -2" in text
    assert "line 4: arousal is nan" in text and "line 5: expression is 1.5" in text
    text = complaint("affectnet", tmp_path, splits=["val"])
    assert "validation.csv: 1 problem" in text and "line 1: arousal is -3" in text
    (tmp_path / "Manually_Annotated_file_lists/training.csv").write_text("expression,a\n1,2\n")
    assert "training.csv has no column subDirectory_filePath" in complaint("affectnet", tmp_path)


def test_the_layout_of_arrays(tmp_path):
    rows = [(x, 0.5, -0.25) for x in range(8)] + [(1, -2, -2)] * 3
    root = affectnet_arrays(tmp_path, "train", rows)
    data_set = READERS["affectnet"].read(affectnet_arrays(root, "val", [(6, -1, 1)]))
    assert names_of(data_set, "train") == list(CLASS_NAMES)
    assert data_set.left_out == {
        ("train", "valence or arousal absent"): 3,
        ("train", "Contempt, not among the classes"): 1,
    }
    assert names_of(data_set, "val") == ["Anger"]
    assert data_set.splits["val"].paths == ["val_set/images/0.jpg"]
    np.testing.assert_array_equal(data_set.splits["val"].valence_arousal, [[-1, 1]])
    np.save(root / "val_set/annotations/0_exp.npy", np.array("7.5"))
    assert "val_set/annotations: 1 problem\n  0: expression is 7.5" in complaint("affectnet", root)
    (root / "train_set/annotations/3_aro.npy").write_bytes(b"x")
    assert "3_aro.npy cannot be read" in complaint("affectnet", root)
