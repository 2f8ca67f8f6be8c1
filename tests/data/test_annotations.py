"""The CSV reader knows files that are none, and a table survives writing and reading."""

import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers.annotation_files import GOOD, HEADER, csv_file, problems_of
from helpers.annotation_tables import random_annotations

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.data.annotations import Annotations, read_annotations


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


def test_annotators_are_numbered_by_name(tmp_path):
    rows = ["a.png,0,0,0,mine", "b.png,1,0,0,theirs", "c.png,1,0,0,", "d.png,1,0,0,mine"]
    read = read_annotations(csv_file(tmp_path, *rows, header=f"{HEADER},annotator"))
    assert read.annotators.dtype == np.int32 and read.annotators.tolist() == [1, 2, 0, 1]
    assert read_annotations(csv_file(tmp_path, *GOOD)).annotators.tolist() == [0] * len(GOOD)


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


def test_problems_of_the_whole_file(tmp_path):
    assert problems_of(tmp_path / "no.csv") == [(None, "cannot be read: No such file or directory")]
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert problems_of(empty) == [(None, "is empty")]
    empty.write_text("\n\n")
    assert problems_of(empty) == [(None, "is empty")]
    latin = csv_file(tmp_path, *GOOD, "é.png,0,0,0", encoding="latin-1")
    assert problems_of(latin) == [(None, "line 5 is not UTF-8 text")]
    latin.write_text("\n".join([HEADER, *GOOD]), "utf-16")
    assert problems_of(latin) == [(None, "line 1 is not UTF-8 text but UTF-16: save it as UTF-8")]
    quoted = csv_file(tmp_path, *GOOD, '"x.png,0,0,0')
    assert len(problems_of(quoted)) == 1 and "line 5 is not CSV" in problems_of(quoted)[0][1]
    endless = csv_file(tmp_path, *GOOD, header="x" * (csv.field_size_limit() + 1))
    assert len(problems_of(endless)) == 1 and "line 1 is not CSV" in problems_of(endless)[0][1]
    twice = csv_file(tmp_path, *GOOD, header="subDirectory_filePath,expression,valence,valence")
    assert problems_of(twice) == [(None, "column 'valence' appears twice")]


def test_too_few_rows(tmp_path):
    path = csv_file(tmp_path, *GOOD)
    assert len(read_annotations(path, min_rows=3)) == 3
    assert problems_of(path, min_rows=4) == [(None, "3 rows where at least 4 are needed")]
    header_only = csv_file(tmp_path)
    assert problems_of(header_only) == [(None, "0 rows where at least 2 are needed")]


def test_text_names_row_and_line_and_counts_the_rest(tmp_path):
    rows = [f"{i}.png,0,0,0" for i in range(10)] + [f"x{i}.png,0,{5 + i},0" for i in range(25)]
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


def test_a_problem_of_many_rows_is_said_once_and_the_cure_named(tmp_path):
    path = csv_file(tmp_path, *[f"{i}.png,{i % 8},," for i in range(40)])
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 85 problems"  # 40 valences, 40 arousals, 5 times a class 7
    assert (
        lines[1]
        == "  row 0 (line 2): valence is '', not a number in [-1, 1], and so in 39 more rows"
    )
    assert "and so in 4 more rows" in lines[3] and len(lines) == 6
    assert "ldl-fer affect" in lines[5]


def test_valence_and_arousal_may_be_missing_where_nobody_needs_them(tmp_path):
    absent = csv_file(tmp_path, "a.png,0", "b.png,6", header="subDirectory_filePath,expression")
    read = read_annotations(absent, plane=False)
    assert np.isnan(read.valence_arousal).all() and read.valence_arousal.shape == (2, 2)
    empty = csv_file(tmp_path, "a.png,0,,", "b.png,6,0.5,-1")
    read = read_annotations(empty, plane=False)
    np.testing.assert_array_equal(read.valence_arousal, [[np.nan, np.nan], [0.5, -1]])
    assert len(problems_of(empty)) == 2
    wrong = csv_file(tmp_path, "a.png,0,2,", "b.png,6,x,0")
    assert [row for row, _ in problems_of(wrong, plane=False)] == [0, 1]


def test_a_wrong_image_folder_is_said_once(tmp_path):
    path = csv_file(tmp_path, *GOOD)
    ((row, text),) = problems_of(path, image_dir=tmp_path)
    assert row is None and f"none of its 3 pictures is in {tmp_path}" in text


def test_fingerprint_is_of_content_and_names(tmp_path):
    annotations = random_annotations(20)
    annotations.write(tmp_path / "a.csv")
    code = (
        "from ldl_fer.data.annotations import read_annotations;"
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


def test_identity_is_of_rows_pictures_and_settings(tmp_path):
    annotations = random_annotations(6)
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    picture = tmp_path / "images" / annotations.paths[1]
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(b"12345")
    os.utime(picture, ns=(0, 1_700_000_000_000_000_001))
    states = [None, [5, 1_700_000_000_000_000_001], None, None, None, None]
    folder = str((tmp_path / "images").resolve())
    content = json.dumps([annotations.fingerprint(), folder, states, None, 8])
    expected = hashlib.sha256(content.encode()).hexdigest()[:12]
    assert annotations.identity(tmp_path / "images", None, 8) == expected
    assert annotations.identity(tmp_path / "link", None, 8) == expected
    others = [annotations.identity(tmp_path, None, 8), annotations.identity(tmp_path / "link", 8)]
    others.append(annotations.subset(range(5)).identity(tmp_path / "images", None, 8))
    assert len({expected, *others}) == 4


def test_subset_renumbers_and_drops_neighbors():
    annotations = random_annotations(6)
    table = annotations.table.assign(knn="0;1", extra=list("abcdef"))
    part = Annotations(table, CLASS_NAMES).subset([4, 0, 5])
    assert part.table.index.tolist() == [0, 1, 2]
    assert part.table["extra"].tolist() == ["e", "a", "f"]
    assert part.neighbors is None and "knn" not in part.table
    np.testing.assert_array_equal(part.labels, annotations.labels[[4, 0, 5]])
    assert len(annotations.subset([])) == 0


def test_real_faces(ferplus):
    read = read_annotations(ferplus / "val.csv", ferplus / "images", progress=False)
    assert len(read) == 2000 and read.votes.shape == (2000, 7)
    # `expression` is the class with most votes: rule plurality of `datasets.vote_rules`.
    chosen = read.votes[np.arange(2000), read.labels]
    np.testing.assert_array_equal(chosen, read.votes.max(axis=1))
    digest = hashlib.sha256((ferplus / "val.csv").read_bytes()).hexdigest()
    assert read.fingerprint() != digest
