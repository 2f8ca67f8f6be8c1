"""How classes are labeled: votes, confusion matrices, and files of both."""

import json

import numpy as np
import pytest

from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.label_confusion import label_confusion, read_confusion
from ldl_fer.errors import InputError

NAMES = ("Calm", "Glad", "Low")
ROWS = ("a.png,0,1,3,0", "b.png,1,0,0,2", "c.png,2,3,0,1", "d.png,2,0,0,0")
# Votes for Low, Calm, Glad: a is mostly Calm, b Glad, c Low, and for d nobody voted.
COUNTS_BY_VOTES = [[0.75, 0, 0.25], [0, 1, 0], [0, 0.25, 0.75]]


def table_of(folder, rows=ROWS, votes=("low", "calm", "glad"), name="faces.csv"):
    header = ",".join(["subDirectory_filePath,expression", *(f"votes_{v}" for v in votes)])
    cells = [",".join(row.split(",")[: 2 + len(votes)]) for row in rows]
    (folder / name).write_text("\n".join([header, *cells]) + "\n")
    return folder / name


def annotations(path):
    return read_annotations(path, None, NAMES, 1, plane=False)


def test_votes_are_counted_by_the_class_that_has_most(tmp_path):
    path = table_of(tmp_path)
    np.testing.assert_allclose(label_confusion(annotations(path)), COUNTS_BY_VOTES)
    # As of any other file, and whatever the labels are: a flipped one changes nothing.
    flipped = table_of(tmp_path, [row.replace(".png,0", ".png,2") for row in ROWS], name="b.csv")
    without = annotations(table_of(tmp_path, votes=("low",), name="c.csv"))
    for found in (
        label_confusion(without, str(path)),
        label_confusion(annotations(flipped)),
    ):
        np.testing.assert_allclose(found, COUNTS_BY_VOTES)


def test_without_votes_nothing_is_known(tmp_path):
    path = table_of(tmp_path, votes=("low", "calm"))
    assert label_confusion(annotations(path)) is None
    empty = table_of(tmp_path, ["a.png,0,0,0,0"], name="b.csv")
    assert label_confusion(annotations(empty)) is None
    with pytest.raises(InputError, match="faces.csv has no votes of humans.*votes_<class>"):
        label_confusion(annotations(empty), str(path))


def test_a_confusion_matrix_stands_for_votes(tmp_path):
    faces = annotations(table_of(tmp_path))
    (tmp_path / "matrix.csv").write_text(",Low,Calm,Glad\nCalm,1,2,3\nGlad,4,5,6\nLow,7,8,9\n")
    expected = [[2, 3, 1], [5, 6, 4], [8, 9, 7]]
    found = label_confusion(faces, str(tmp_path / "matrix.csv"))
    np.testing.assert_array_equal(found, expected)
    result = {"class_names": NAMES, "confusion": expected}
    (tmp_path / "result.json").write_text(json.dumps(result))
    found = label_confusion(faces, str(tmp_path / "result.json"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "absent.csv.*cannot be read"),
        ("a.csv", "subDirectory_filePath,expression,votes_calm\na.png,0,1\n", "no votes"),
        ("b.csv", "subDirectory_filePath,expression\na.png,5\n", "expression is '5'"),
        ("a.json", "{}", "holds no confusion matrix"),
        ("c.json", '{"class_names": ["Calm"], "confusion": [[1]]}', "lacks Glad, Low"),
    ],
)
def test_files_of_neither_are_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"(?s){message}"):
        label_confusion(annotations(table_of(tmp_path)), str(tmp_path / name))


def test_confusion_files_in_any_order(tmp_path):
    matrix = np.arange(9).reshape(3, 3)
    names = ("A", "B", "C")
    (tmp_path / "result.json").write_text(
        json.dumps({"class_names": names, "confusion": matrix.tolist(), "metrics": {"x": 1}})
    )
    # Rows C, A, B and columns B, C, A of the same matrix.
    csv = "true,b,C,A\nC,7,8,6\nA,1,2,0\n B,4,5,3\n"
    (tmp_path / "a.csv").write_text("\ufeff" + csv, encoding="utf-8")
    (tmp_path / "b.csv").write_text(csv.replace("true", ""))
    for name in ("result.json", "a.csv", "b.csv"):
        np.testing.assert_array_equal(read_confusion(tmp_path / name, names), matrix)
    permuted = read_confusion(tmp_path / "result.json", ("C", "A", "B"))
    np.testing.assert_array_equal(permuted, matrix[np.ix_([2, 0, 1], [2, 0, 1])])


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.csv", ",A,B\nA,1,2\nB,3,x\n", "row B, column B is 'x'; write a number >= 0"),
        ("a.csv", ",A,B\nA,1,-2\nB,3,4\n", "row A, column B is '-2'"),
        ("a.csv", ",A,B\nA,1,\nB,3,4\n", "row A, column B is ''"),
        ("a.csv", ",A,D\nA,1,2\nB,3,4\n", "header of .*a.csv names 'D', which is no class"),
        ("a.csv", ",A,B\nA,1,2\n", "first column of .*a.csv lacks B"),
        ("a.csv", ",A,B\nA,1,2\nB,3,4\nA,5,6\n", "first column of .*a.csv names A twice"),
        ("a.csv", ",A,B\nA,1,2\nB,3,4,5\n", "holds no confusion matrix"),
        ("a.csv", "", "holds no confusion matrix"),
        ("a.json", "{}", "holds no confusion matrix .*class_names"),
        ("a.json", "[1]", "holds no confusion matrix"),
        ("a.json", "{", "holds no confusion matrix"),
        ("a.json", '{"class_names": ["A"], "confusion": [[1, 2]]}', "holds no confusion matrix"),
        ("a.json", '{"class_names": ["A"], "confusion": [[1]]}', "first column of .* lacks B"),
        ("a.csv", None, "a.csv cannot be read: No such file"),
    ],
)
def test_confusion_files_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_confusion(tmp_path / name, ("A", "B"))
