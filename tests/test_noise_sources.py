"""Pairs of classes and confusion matrices, as users give them: read, put in order, refused."""

import json

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.noise_sources import parse_pairs, read_confusion


def test_parse_pairs():
    assert parse_pairs(["Fear:Surprise", " Sad : Anger"]) == {"Fear": "Surprise", "Sad": "Anger"}
    for items, text in (
        (["Fear"], "has 'Fear'; write CLASS:CLASS"),
        (["Fear:"], "write CLASS:CLASS"),
        (["Fear:Sad:Anger"], "write CLASS:CLASS"),
        (["Fear:Sad", "Fear:Anger"], "gives Fear two pairs"),
    ):
        with pytest.raises(InputError, match=text):
            parse_pairs(items)


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
