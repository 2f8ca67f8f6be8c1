"""The CSV reader finds every mistake, and a table survives writing, reading and splitting."""

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from ldl_fer.annotations import (
    AnnotationError,
    Annotations,
    read_annotations,
    split_annotations,
    write_whole,
)
from ldl_fer.config import CLASS_NAMES
from ldl_fer.errors import InputError

HEADER = "subDirectory_filePath,expression,valence,arousal"
GOOD = ("a.png,0,0.25,-1", "b.png,6,1,0.1", "c/d.png,3,-0.5,0")


def csv_file(folder, *rows, header=HEADER, end="\n", encoding="utf-8"):
    path = folder / "a.csv"
    path.write_bytes("".join(line + end for line in (header, *rows)).encode(encoding))
    return path


def problems_of(path, **arguments):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path, progress=False, **arguments)
    assert isinstance(caught.value, InputError)
    return caught.value.problems


def random_annotations(rows, seed=0, classes=7):
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "subDirectory_filePath": [f"x/{i}.png" for i in range(rows)],
            "expression": random.integers(0, classes, rows),
            "valence": random.uniform(-1, 1, rows),
            "arousal": random.uniform(-1, 1, rows),
        }
    )
    return Annotations(table, CLASS_NAMES[:classes])


def test_good_file_gives_typed_arrays(tmp_path):
    read = read_annotations(csv_file(tmp_path, *GOOD))
    assert len(read) == 3
    assert read.paths == ["a.png", "b.png", "c/d.png"]
    assert read.labels.dtype == np.int32 and read.labels.tolist() == [0, 6, 3]
    expected = np.array([[0.25, -1], [1, 0.1], [-0.5, 0]], np.float32)
    assert read.valence_arousal.dtype == np.float32
    np.testing.assert_array_equal(read.valence_arousal, expected)
    assert read.votes is None and read.neighbors is None
    assert read.class_names == CLASS_NAMES


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_byte_order_mark_and_line_ends_change_nothing(tmp_path, end, encoding):
    plain = read_annotations(csv_file(tmp_path, *GOOD))
    other = read_annotations(csv_file(tmp_path, *GOOD, end=end, encoding=encoding))
    pd.testing.assert_frame_equal(other.table, plain.table)
    assert other.fingerprint() == plain.fingerprint()


def test_neighbors_and_votes_are_parsed(tmp_path):
    votes = [f"votes_{name.lower()}" for name in CLASS_NAMES]
    header = ",".join([HEADER, "knn", *votes, "votes_contempt"])
    rows = [
        "a.png,0,0,0,1;2,4,0,0.5,0,0,0,0,9",
        "b.png,0,0,0,2;0,0,0,0,0,0,0,10,9",
        "c.png,0,0,0,0;1,0,0,0,0,0,0,0,9",
    ]
    read = read_annotations(csv_file(tmp_path, *rows, header=header))
    assert read.neighbors.dtype == np.int32
    assert read.neighbors.tolist() == [[1, 2], [2, 0], [0, 1]]
    expected = [[4, 0, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 10], [0] * 7]
    assert read.votes.dtype == np.float32 and read.votes.tolist() == expected
    assert read.table["votes_contempt"].tolist() == [9, 9, 9]


def test_votes_need_a_column_for_every_class(tmp_path):
    rows = ["a.png,0,0,0,3", "b.png,0,0,0,4"]
    read = read_annotations(csv_file(tmp_path, *rows, header=HEADER + ",votes_happy"))
    assert read.votes is None and read.table["votes_happy"].tolist() == [3, 4]


def test_further_columns_keep_their_text_or_value(tmp_path):
    cells = {
        "subject": ["007", "12"],  # a leading zero would be lost in a number
        "version": ["2.20.1", "3"],
        "count": ["3", "-4"],
        "share": ["0.1", ""],
        "long": ["12345678901234567890", "1"],
        "note": ['say "NA", twice', "NA"],
        "empty": ["", ""],
    }
    table = pd.DataFrame({"subDirectory_filePath": ["NA", "null"], "expression": ["1", "2.0"]})
    table = table.assign(valence="0.1", arousal="0.30000000000000004", **cells)
    path = tmp_path / "in.csv"
    table.to_csv(path, index=False)
    read = read_annotations(path)
    assert read.paths == ["NA", "null"] and read.labels.tolist() == [1, 2]
    for name in ("subject", "version", "long", "note", "empty"):
        assert read.table[name].tolist() == cells[name]
    assert read.table["count"].dtype == np.int64 and read.table["count"].tolist() == [3, -4]
    np.testing.assert_array_equal(read.table["share"], [0.1, np.nan])
    read.write(tmp_path / "out.csv")
    again = read_annotations(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(again.table, read.table, check_exact=True)


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
    found = problems_of(csv_file(tmp_path, *GOOD, row, "ok.png,0,0,0"))
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


def test_problems_of_the_whole_file(tmp_path):
    assert problems_of(tmp_path / "no.csv") == [(None, "cannot be read: No such file or directory")]
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert problems_of(empty) == [(None, "is empty")]
    empty.write_text("\n\n")
    assert problems_of(empty) == [(None, "is empty")]
    latin = csv_file(tmp_path, *GOOD, "é.png,0,0,0", encoding="latin-1")
    assert problems_of(latin) == [(None, "line 5 is not UTF-8 text")]
    quoted = csv_file(tmp_path, *GOOD, '"x.png,0,0,0')
    assert len(problems_of(quoted)) == 1 and "line 5 is not CSV" in problems_of(quoted)[0][1]
    twice = csv_file(tmp_path, *GOOD, header="subDirectory_filePath,expression,valence,valence")
    assert problems_of(twice) == [(None, "column 'valence' appears twice")]


def test_missing_columns_do_not_hide_other_problems(tmp_path):
    path = csv_file(tmp_path, "a.png,9", header="subDirectory_filePath,expression")
    found = problems_of(path)
    there = "(there are: subDirectory_filePath, expression)"
    assert (None, f"column valence is missing {there}") in found
    assert (None, f"column arousal is missing {there}") in found
    assert (None, "1 rows where at least 2 are needed") in found
    assert found[-1][0] == 0 and found[-1][1].startswith("expression is '9'")
    assert len(found) == 4


def test_too_few_rows(tmp_path):
    path = csv_file(tmp_path, *GOOD)
    assert len(read_annotations(path, min_rows=3)) == 3
    assert problems_of(path, min_rows=4) == [(None, "3 rows where at least 4 are needed")]
    header_only = csv_file(tmp_path)
    assert problems_of(header_only) == [(None, "0 rows where at least 2 are needed")]


def test_other_classes(tmp_path):
    path = csv_file(tmp_path, "a.png,1,0,0", "b.png,2,0,0")
    assert problems_of(path, class_names=("Calm", "Tense")) == [
        (1, "expression is '2', not the number of a class (0 Calm, 1 Tense)")
    ]


def test_text_names_row_and_line_and_counts_the_rest(tmp_path):
    rows = [f"{i}.png,0,0,0" for i in range(10)] + [f"x{i}.png,0,5,0" for i in range(25)]
    # A blank line and a line break inside quotes: row and line part company.
    path = csv_file(tmp_path, "", '"new\nline.png",0,0,0', *rows)
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 25 problems"
    # Row 11 is the first bad one: header, blank line, 2 lines of row 0, rows 1-10, so line 15.
    assert lines[1] == "  row 11 (line 15): valence is '5', not a number in [-1, 1]"
    assert lines[20].startswith("  row 30 (line 34): ")
    assert lines[21] == "  and 5 more"
    assert len(caught.value.problems) == 25


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
        (3, f"{tmp_path}/cut.png is damaged or not an image"),
        (4, f"{tmp_path}/cut.jpg is damaged or not an image"),
        (5, f"{tmp_path}/empty.png is empty"),
        (6, f"{tmp_path}/text.png is damaged or not an image"),
        (7, f"{tmp_path}/gone.png cannot be read: No such file or directory"),
        (8, f"{tmp_path}/c cannot be read: Is a directory"),
        (9, "../a.png leads out of the image folder"),
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


def test_fingerprint_is_of_content_and_names(tmp_path):
    annotations = random_annotations(20)
    annotations.write(tmp_path / "a.csv")
    code = (
        "from ldl_fer.annotations import read_annotations;"
        f"print(read_annotations({str(tmp_path / 'a.csv')!r}).fingerprint())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == annotations.fingerprint()
    assert len(annotations.fingerprint()) == 64
    others = [Annotations(annotations.table, tuple(reversed(CLASS_NAMES)))]
    for column, value in (("expression", 6 - annotations.labels[4]), ("valence", 0.123456789)):
        table = annotations.table.copy()
        table.loc[4, column] = value
        others.append(Annotations(table, CLASS_NAMES))
    others.append(annotations.subset(range(19)))
    others.append(Annotations(annotations.table.assign(extra=1), CLASS_NAMES))
    marks = {other.fingerprint() for other in (annotations, *others)}
    assert len(marks) == 1 + len(others)


def test_subset_renumbers_and_drops_neighbors():
    annotations = random_annotations(6)
    table = annotations.table.assign(knn="0;1", extra=list("abcdef"))
    part = Annotations(table, CLASS_NAMES).subset([4, 0, 5])
    assert part.table.index.tolist() == [0, 1, 2]
    assert part.table["extra"].tolist() == ["e", "a", "f"]
    assert part.neighbors is None and "knn" not in part.table
    np.testing.assert_array_equal(part.labels, annotations.labels[[4, 0, 5]])
    assert len(annotations.subset([])) == 0


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_split_is_stratified_seeded_and_complete(fraction):
    annotations = random_annotations(1000, seed=3)
    train, held_out = split_annotations(annotations, fraction, seed=5)
    rows = np.concatenate([train.table["source_row"], held_out.table["source_row"]])
    assert sorted(rows) == list(range(1000))
    assert len(held_out) == round(fraction * 1000)
    for part in (train, held_out):
        source = part.table["source_row"].to_numpy()
        assert (np.diff(source) > 0).all()
        assert part.paths == [annotations.paths[row] for row in source]
    # Each class gives its share, to the one row by which rounding may miss it.
    share = np.bincount(annotations.labels, minlength=7) * fraction
    assert np.abs(np.bincount(held_out.labels, minlength=7) - share).max() < 1.0
    again = split_annotations(annotations, fraction, seed=5)[1]
    other = split_annotations(annotations, fraction, seed=6)[1]
    assert again.fingerprint() == held_out.fingerprint() != other.fingerprint()


def test_classes_too_small_to_split_stay_in_training():
    labels = np.repeat([0, 1, 2, 3], [40, 30, 1, 9])
    table = random_annotations(len(labels)).table.assign(expression=labels)
    train, held_out = split_annotations(Annotations(table, CLASS_NAMES), 0.1, seed=0)
    # 0.1 x 40 = 4 and 0.1 x 30 = 3 rows; 0.1 x 9 < 1 row.
    assert np.bincount(held_out.labels).tolist() == [4, 3]
    assert np.bincount(train.labels).tolist() == [36, 27, 1, 9]


@pytest.mark.parametrize("fraction, rows", [(0.0, 100), (1.0, 100), (-0.1, 100), (0.01, 90)])
def test_split_refuses(fraction, rows):
    with pytest.raises(InputError, match="fraction|hold out"):
        split_annotations(random_annotations(rows, classes=1), fraction, seed=0)


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.txt"
    write_whole(path, "é\n")
    assert path.read_bytes() == "é\n".encode()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(InputError, match="a.txt: No space left"):
        write_whole(path, "other")
    assert path.read_text(encoding="utf-8") == "é\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_real_faces(ferplus):
    read = read_annotations(ferplus / "val.csv", ferplus / "images", progress=False)
    assert len(read) == 2000 and read.votes.shape == (2000, 7)
    # `expression` is the majority of the votes (DESIGN.md, section 5).
    chosen = read.votes[np.arange(2000), read.labels]
    np.testing.assert_array_equal(chosen, read.votes.max(axis=1))
    digest = hashlib.sha256((ferplus / "val.csv").read_bytes()).hexdigest()
    assert read.fingerprint() != digest
