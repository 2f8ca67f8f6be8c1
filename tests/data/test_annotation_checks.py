"""The CSV reader finds every mistake in columns, cells and images, and nothing else."""

import re

import cv2
import numpy as np
import pytest
from helpers.annotation_files import GOOD, HEADER, csv_file, problems_of

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations
from ldl_fer.preparation.doctor.class_counts import check_cells
from ldl_fer.preparation.doctor.split import read_split


@pytest.mark.parametrize(
    "row, column",
    [
        ("x.png,7,0,0", "expression is '7'"),
        ("x.png,-1,0,0", "expression is '-1'"),
        ("x.png,1.5,0,0", "expression is '1.5'"),
        ("x.png,nan,0,0", "expression is 'nan'"),
        ("x.png,Happy,0,0", "expression is 'Happy'"),
        ("x.png,,0,0", "expression is ''"),
        ("x.png,0,nan,0", "valence is 'nan'"),
        ("x.png,0,,0", "valence is ''"),
        ("x.png,0,1.0001,0", "valence is '1.0001'"),
        ("x.png,0,0,-2", "arousal is '-2'"),
        ("x.png,0,0,inf", "arousal is 'inf'"),
        ("x.png,0,0,high", "arousal is 'high'"),
        (",0,0,0", "subDirectory_filePath is empty"),
        ("/x.png,0,0,0", "/x.png leads out"),
        ("../x.png,0,0,0", "../x.png leads out"),
        ("c/../../x.png,0,0,0", "c/../../x.png leads out"),
        ("b.png,0,0,0", "b.png is already in row 1"),
        ("./c/e/../d.png,0,0,0", "./c/e/../d.png is already in row 2"),
        ("x.png,0,0", "has 3 fields where the header has 4"),
        ("x.png,0,0,0,0", "has 5 fields where the header has 4"),
    ],
)
def test_a_bad_row_is_the_one_problem(tmp_path, row, column):
    path = csv_file(tmp_path, *GOOD, row, "ok.png,0,0,0")
    found = problems_of(path, image_dir=tmp_path, decode=False)
    assert len(found) == 1
    assert found[0][0] == 3 and found[0][1].startswith(column)


@pytest.mark.parametrize("path", ["c/../x.png", "./x.png", "..x.png", "a..b/x.png"])
def test_dots_that_stay_inside_are_fine(tmp_path, path):
    assert read_annotations(csv_file(tmp_path, *GOOD, f"{path},0,0,0")).paths[3] == path


@pytest.mark.parametrize("cell", ["-1", "nan", "", "inf", "many"])
def test_bad_votes(tmp_path, cell):
    votes = [f"votes_{name.lower()}" for name in CLASS_NAMES]
    rows = [f"{i}.png,0,0,0,1,2,3,4,5,6," for i in range(3)]
    rows = [rows[0] + "7", rows[1] + cell, rows[2] + "0"]
    found = problems_of(csv_file(tmp_path, *rows, header=",".join([HEADER, *votes])))
    assert found == [(1, f"votes_anger is {cell!r}, not a number of votes >= 0")]


@pytest.mark.parametrize(
    "cell, text",
    [
        ("", "knn is ''"),
        ("1;", "knn is '1;'"),
        ("1; 3", "knn is '1; 3'"),
        ("-1;3", "knn is '-1;3'"),
        ("1.0;3", "knn is '1.0;3'"),
        ("1;4", "knn names row 4 of 4 rows"),
        ("2;1", "knn names the row itself"),
        ("1;1", "knn names a row twice"),
        ("1", "knn has 1 neighbors, most rows have 2"),
        ("1;3;0", "knn has 3 neighbors, most rows have 2"),
    ],
)
def test_bad_neighbors(tmp_path, cell, text):
    rows = [f"0.png,0,0,0,{'1;2'}", "1.png,0,0,0,0;2", f"2.png,0,0,0,{cell}", "3.png,0,0,0,1;2"]
    path = csv_file(tmp_path, *rows, header=HEADER + ",knn")
    found = problems_of(path)
    assert len(found) == 1
    assert found[0][0] == 2 and found[0][1].startswith(text)
    assert "knn" not in read_annotations(path, knn=False).table


def test_missing_columns_do_not_hide_other_problems(tmp_path):
    path = csv_file(tmp_path, "a.png,9", header="subDirectory_filePath,expression")
    found = problems_of(path)
    there = "(there are: subDirectory_filePath, expression)"
    assert (None, f"column valence is missing {there}") in found
    assert (None, f"column arousal is missing {there}") in found
    assert (None, "1 rows where at least 2 are needed") in found
    assert found[-1][0] == 0 and found[-1][1].startswith("expression is '9'")
    assert len(found) == 4


def test_other_classes(tmp_path):
    path = csv_file(tmp_path, "a.png,1,0,0", "b.png,2,0,0")
    assert problems_of(path, class_names=("Calm", "Tense")) == [
        (1, "expression is '2', not the number of a class (0 Calm, 1 Tense)")
    ]


CUT = "not a picture OpenCV can decode, or damaged, or cut short"


def test_images_are_decoded(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, [8, 9, 3], np.uint8)
    (tmp_path / "c").mkdir()
    for name in ("a.png", "b.jpg", "c/d.bmp"):
        cv2.imwrite(str(tmp_path / name), image)
    whole = cv2.imencode(".png", image)[1].tobytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.jpg").write_bytes(cv2.imencode(".jpg", image)[1].tobytes()[:-20])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not an image")
    names = ["a.png", "b.jpg", "c/d.bmp"]
    path = csv_file(tmp_path, *(f"{name},0,0,0" for name in names))
    assert read_annotations(path, tmp_path).paths == names
    names += ["cut.png", "cut.jpg", "empty.png", "text.png", "gone.png", "c", "../a.png"]
    path = csv_file(tmp_path, *(f"{name},0,0,0" for name in names))
    assert problems_of(path, image_dir=tmp_path) == [
        (3, f"{tmp_path}/cut.png cannot be read: the picture is damaged or cut short"),
        (4, f"{tmp_path}/cut.jpg cannot be read: {CUT}"),
        (5, f"{tmp_path}/empty.png cannot be read: the file is empty"),
        (6, f"{tmp_path}/text.png cannot be read: {CUT}"),
        (7, f"{tmp_path}/gone.png cannot be read: No such file or directory"),
        (8, f"{tmp_path}/c cannot be read: Is a directory"),
        (9, f"../a.png leads out of the image folder {tmp_path}; write paths from there on"),
    ]
    folder = tmp_path / "elsewhere"
    found = problems_of(path, image_dir=folder)
    assert found[0] == (None, f"the image folder {folder} does not exist") and len(found) == 2


def test_every_image_is_decoded_over_many_chunks(tmp_path):
    image = cv2.imencode(".png", np.zeros([2, 2], np.uint8))[1].tobytes()
    bad = {0, 63, 64, 150, 299}
    for row in range(300):
        (tmp_path / f"{row}.png").write_bytes(image[:20] if row in bad else image)
    path = csv_file(tmp_path, *(f"{row}.png,0,0,0" for row in range(300)))
    assert [row for row, _ in problems_of(path, image_dir=tmp_path)] == sorted(bad)


@pytest.mark.parametrize("names", [("Calm", "Glad", ""), ("[Calm", "Glad]"), ("'Calm'", "'Glad'")])
def test_every_reader_refuses_names_that_are_none(tmp_path, names):
    path = csv_file(tmp_path, "a.png,0,0,0", "b.png,1,0,0")
    for read in (
        lambda: read_annotations(path, None, names),
        lambda: read_partial_annotations(path, names),
        lambda: read_split("train", path, tmp_path, names),
    ):
        with pytest.raises(InputError, match="class_names has the name"):
            read()


@pytest.mark.parametrize(
    ("values", "scale", "cure"),
    [
        ("1,5 4,9 8,2 5,6 7,7", "from 1 to 9", r"\(x - 5\) / 4"),
        ("-10,10 4,9 -8,2 5,-6 7,7", "from -10 to 10", "x / 10"),
        ("250,-1000 400,91 -88,202 5,-6 7,7", "from -1000 to 1000", "x / 1000"),
        ("0,99 43,9 8,28 53,60 7,7", "from 0 to 100", r"\(x - 50\) / 50"),
        ("1,5 4,3 2,2 5,4 3,3", "from 1 to 5", r"\(x - 3\) / 2"),
    ],
)
@pytest.mark.parametrize("plane", [True, False])
def test_another_scale_is_named_with_its_cure(tmp_path, values, scale, cure, plane):
    path = csv_file(tmp_path, *(f"{i}.png,0,{v}" for i, v in enumerate(values.split())))
    row, text = problems_of(path, plane=plane)[0]
    assert row is None and re.search(f"{scale}: put {cure} for each x", text)
    (finding,) = check_cells([read_split("test", path, tmp_path)])
    assert re.search(cure, finding.cure)


def test_more_neighbors_than_rows_name_the_flag(tmp_path):
    with pytest.raises(InputError, match="at least 9 are needed(.|\n)*--num_neighbors"):
        read_annotations(csv_file(tmp_path, *GOOD), min_rows=9)
