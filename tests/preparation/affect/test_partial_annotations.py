"""CSVs without valence and arousal: what is missing, what is filled, what stays to the letter."""

import numpy as np
import pytest

from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.data.annotations import read_annotations
from ldl_fer.preparation.affect.partial_annotations import GIVEN, SOURCE, read_partial_annotations

HEADER = "subDirectory_filePath,expression,valence,arousal,knn,code"
ROWS = (
    "a.png,0,0.25,-1,1;2,007",
    "b.png,6,,,0;2,2.20.1",
    "c.png,3,-2,-2,0;1,x",
    "d.png,2,0.5,,0;1,",
)


def file(folder, *rows, header=HEADER):
    path = folder / "a.csv"
    path.write_text("".join(f"{line}\n" for line in (header, *rows)))
    return path


def test_empty_cells_and_affectnets_mark_are_missing(tmp_path):
    partial = read_partial_annotations(file(tmp_path, *ROWS))
    assert partial.missing.tolist() == [False, True, True, True]
    np.testing.assert_array_equal(
        partial.valence_arousal, [[0.25, -1], [np.nan] * 2, [np.nan] * 2, [0.5, np.nan]]
    )


def test_filling_keeps_what_is_there_and_says_where_each_row_is_from(tmp_path):
    partial = read_partial_annotations(file(tmp_path, *ROWS))
    partial.filled(np.array([1, 3]), np.array([[0.1, 0.2], [0.3, 0.4]]), "m").write(
        tmp_path / "b.csv"
    )
    assert (tmp_path / "b.csv").read_text().splitlines() == [
        f"subDirectory_filePath,expression,valence,arousal,code,{SOURCE}",  # knn is gone
        f"a.png,0,0.25,-1,007,{GIVEN}",
        "b.png,6,0.1000,0.2000,2.20.1,m",
        "c.png,3,,,x,",
        "d.png,2,0.5,0.4000,,m",
    ]


def test_overwriting_and_a_second_filling(tmp_path):
    partial = read_partial_annotations(file(tmp_path, *ROWS))
    once = partial.filled(np.array([1]), np.array([[0.1, 0.2]]), "first")
    twice = once.filled(np.array([2, 3]), np.array([[0.3, 0.4]] * 2), "second")
    assert twice.texts[SOURCE] == [GIVEN, "first", "second", "second"]
    other = twice.filled(np.array([0, 1]), np.array([[0.25, -1], [0, 0]]), "third", overwrite=True)
    assert other.texts[SOURCE] == [GIVEN, "third", "second", "second"]  # row 0 is as it was


def test_the_filled_file_is_read_by_training(tmp_path):
    header, rows = "subDirectory_filePath,expression", ("a.png,0", "b.png,6")
    partial = read_partial_annotations(file(tmp_path, *rows, header=header))
    assert partial.missing.all()
    values = np.array([[-1, 0.12345], [1, 0]])
    partial.filled(np.arange(2), values, "m").write(tmp_path / "b.csv")
    read = read_annotations(tmp_path / "b.csv")
    np.testing.assert_allclose(read.valence_arousal, values, atol=5.1e-5)  # four decimals


def test_complete_rows_are_annotations(tmp_path):
    complete = read_partial_annotations(file(tmp_path, *ROWS)).complete()
    assert complete.paths == ["a.png"] and complete.neighbors is None
    np.testing.assert_array_equal(complete.valence_arousal, np.float32([[0.25, -1]]))


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("e.png,0,1.5,0,0;1,", "row 1 .*valence is '1.5'"),
        ("e.png,9,,,0;1,", "row 1 .*expression is '9'"),
        ("a.png,1,,,0;1,", "row 1 .*already in row 0"),
        ("e.png,1", "row 1 .*has 2 fields"),
        ("e.png,1,low,,0;1,", "row 1 .*valence is 'low'"),
    ],
)
def test_everything_else_is_still_checked(row, text, tmp_path):
    with pytest.raises(AnnotationError, match=text):
        read_partial_annotations(file(tmp_path, ROWS[0], row))
    with pytest.raises(AnnotationError, match="has no rows"):
        read_partial_annotations(file(tmp_path))
