"""Lists of `file label`: rows found, mistakes listed, numbers turned to classes, orders checked."""

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.noise.kinds import flip_symmetric
from ldl_fer.preparation.noise.label_list import (
    RAF_DB_ORDER,
    apply_label_list,
    order_warning,
    read_label_list,
)


def lists(tmp_path, *lines, rows=("train/1.jpg", "train/2.jpg", "test/2.jpg"), **arguments):
    """Reads the lines by `read_label_list`."""
    zeros = dict.fromkeys(("expression", "valence", "arousal"), 0)
    table = pd.DataFrame({"subDirectory_filePath": rows, **zeros})
    (tmp_path / "list.txt").write_text("".join(f"{line}\n" for line in lines))
    arguments = {"num_labels": 7, "first_label": 1, **arguments}
    return read_label_list(tmp_path / "list.txt", Annotations(table), **arguments).tolist()


def test_list_finds_rows_by_path_name_and_alignment(tmp_path):
    found = lists(tmp_path, "train/2.jpg 7", "", "1.jpg\t1 ", "./test/2.jpg   3")
    assert found == [0, 6, 2]
    rows = ("a/1_aligned.jpg", "2.jpg", "a b/3_aligned.jpg", "3.jpg")
    lines = ("1.jpg 1", "x/2_aligned.jpg 2", "a b/3_aligned.jpg 3", "3.jpg 4")
    assert lists(tmp_path, *lines, rows=rows) == [0, 1, 2, 3]
    assert lists(tmp_path, "1.jpg 0", rows=("1.jpg",), first_label=0) == [0]


def test_list_keeps_and_skips_only_by_flags(tmp_path):
    lines = ("1.jpg 2", "9.jpg 1")
    assert lists(tmp_path, *lines, keep_unlisted=True, skip_unmatched=True) == [1, -1, -1]
    with pytest.raises(InputError) as caught:
        lists(tmp_path, *lines, keep_unlisted=True)
    assert "list.txt: 1 problem\n  line 2: no row has the file 9.jpg" in str(caught.value)
    assert "--skip_unmatched" in str(caught.value)
    with pytest.raises(InputError) as caught:
        lists(tmp_path, *lines, skip_unmatched=True)
    assert "no line has row 1 of the annotations, train/2.jpg; add one" in str(caught.value)
    assert "list.txt: 2 problems" in str(caught.value) and "--keep_unlisted" in str(caught.value)
    with pytest.raises(InputError, match="no line has a row of the annotations"):
        lists(tmp_path, "9.jpg 1", keep_unlisted=True, skip_unmatched=True)


def test_list_reports_all_mistakes(tmp_path):
    lines = ("1.jpg", "2.jpg 1", "1.jpg 0", "train/2.jpg 8", "test/2.jpg 1.0", "train/1.jpg 1")
    with pytest.raises(InputError) as caught:
        lists(tmp_path, *lines)
    text = str(caught.value).splitlines()
    assert text[0].endswith("list.txt: 6 problems")
    for found, expected in zip(
        text[1:7],
        (
            "line 1: '1.jpg' is not `file label`",
            "line 2: rows 1, 2 have a file named 2.jpg; write the path of one",
            "line 3: label 0 of 1.jpg is no integer from 1 to 7; see --first_label",
            "line 4: label 8 of train/2.jpg is no integer from 1 to 7",
            "line 5: label 1.0 of test/2.jpg is no integer from 1 to 7",
            "line 6: train/1.jpg is already in line 3",
        ),
        strict=True,
    ):
        assert found.strip().startswith(expected)
    with pytest.raises(InputError, match="none.txt cannot be read: No such file"):
        read_label_list(tmp_path / "none.txt", made_up_annotations(), 7)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9.jpg 1\n")
    with pytest.raises(InputError, match="latin.txt is not UTF-8"):
        read_label_list(tmp_path / "latin.txt", made_up_annotations(), 7)


@pytest.mark.parametrize(
    "lines",
    [
        ("subDirectory_filePath,expression", *(f"{n}.jpg,1" for n in range(30))),
        ("subDirectory_filePath\texpression", "1.jpg\t1"),
        [f"train/{n}.jpg,{n}" for n in range(1, 6)],
        [f"a b/{n}.jpg;{n};0.5" for n in range(30)],
        ["image,label"] + [f"{n}.jpg, 3.5" for n in range(30)],
    ],
)
def test_a_csv_is_named_in_one_sentence(tmp_path, lines):
    with pytest.raises(InputError, match="list.txt is a CSV") as caught:
        lists(tmp_path, *lines)
    assert "\n" not in str(caught.value)


def test_a_file_with_a_comma_is_no_csv(tmp_path):
    assert lists(tmp_path, "a,1.jpg 3", "b,2.jpg 4", rows=("a,1.jpg", "b,2.jpg")) == [2, 3]


def test_a_list_of_other_pictures_is_told_once(tmp_path):
    with pytest.raises(InputError, match=r"none of its lines has a row .*\(30 lines, 3 rows\)"):
        lists(tmp_path, *(f"other{n}.jpg 1" for n in range(30)))
    with pytest.raises(InputError, match="1 problem\n") as caught:  # 2.jpg is not a second one
        lists(tmp_path, "1.jpg 1", "train/2.jpg 1", "test/3.jpg 1")
    assert "no row has the file test/3.jpg" in str(caught.value)


def test_list_order_gives_classes():
    clean = made_up_annotations(7)
    # RAF-DB's 0 Surprise ... 6 Neutral in our numbers: 3, 4, 5, 1, 2, 6, 0.
    after = apply_label_list(clean, np.array([0, 1, 2, 3, 4, 5, 6]), RAF_DB_ORDER)
    assert after.labels.tolist() == [3, 4, 5, 1, 2, 6, 0]
    np.testing.assert_array_equal(after.table["clean_expression"], clean.labels)
    kept = apply_label_list(clean, np.array([0, -1, -1, -1, -1, -1, 6]), RAF_DB_ORDER)
    assert kept.labels.tolist() == [3, *clean.labels[1:6], 0]
    for order, text in ((("Sorrow",), "--label_order names 'Sorrow'"), (("Sad",) * 2, "twice")):
        with pytest.raises(InputError, match=text):
            apply_label_list(clean, np.zeros(7, int), order)


def test_wrong_order_is_noticed():
    clean = made_up_annotations(700)
    raf = [CLASS_NAMES.index(name) for name in RAF_DB_ORDER]
    truth = np.argsort(raf)[clean.labels]  # a clean list in RAF-DB's numbers
    assert order_warning(clean, truth, RAF_DB_ORDER) is None
    wrong = order_warning(clean, truth, CLASS_NAMES)
    # No class has the same number in both orders: read by ours, every label changes.
    assert "100.0% of the labels listed change" in wrong
    assert f"rather looks like --label_order={','.join(RAF_DB_ORDER)}, RAF-DB's: 0.0%" in wrong
    back = order_warning(clean, clean.labels, RAF_DB_ORDER)
    assert f"--label_order={','.join(CLASS_NAMES)}, that of this project" in back
    # Noise alone: below half nothing, above half a warning that names no order.
    half = np.argsort(raf)[flip_symmetric(clean.labels, 0.5, 7, 0)]
    assert order_warning(clean, half, RAF_DB_ORDER) is None
    most = np.argsort(raf)[flip_symmetric(clean.labels, 0.51, 7, 0)]
    text = order_warning(clean, most, RAF_DB_ORDER)
    assert "51.0%" in text and "Check --label_order" in text and "rather" not in text
    # Rows without a line say nothing: of 7 listed all change.
    few = np.where(np.arange(700) < 7, truth, -1)
    assert "100.0%" in order_warning(clean, few, CLASS_NAMES)
    assert order_warning(clean, few, RAF_DB_ORDER) is None
