"""Tables of an alignment: a row for each face, annotations with new paths."""

import pandas as pd
import pytest

from ldl_fer.errors import InputError
from ldl_fer.preparation.faces.data_set import face_table, read_table, rewritten

PATH = "subDirectory_filePath"


def record(path, aligned, faces, reason=""):
    status = "aligned" if aligned else "skipped"
    made = {PATH: path, "status": status, "reason": reason, "found": len(faces)}
    return made | {"aligned": aligned, "faces": faces}


def test_a_row_for_each_face_and_for_a_picture_without_one():
    points = [float(n) for n in range(10)]
    table = face_table(
        [
            record("a.jpg", ["a.face0.jpg", "a.face1.jpg"], [[1, 2, 3, 4, 0.9], [5, 6, 7, 8, 0.5]]),
            record("b.jpg", ["b.jpg"], [[1, 2, 3, 4, 0.9, *points]]),
            record("c.jpg", [], [], "no face found"),
        ]
    )
    assert table[PATH].tolist() == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert table["faces"].tolist() == [2, 2, 1, 0]
    assert table["aligned"].tolist() == ["a.face0.jpg", "a.face1.jpg", "b.jpg", ""]
    assert table["x"].tolist()[:3] == [1, 5, 1] and table["left_eye_x"].isna().sum() == 3
    assert (table["left_eye_y"][2], table["right_mouth_y"][2]) == (1.0, 9.0)
    assert table["reason"][3] == "no face found" and pd.isna(table["score"][3])


def test_annotations_get_new_paths_and_lose_knn_with_a_row(tmp_path):
    (tmp_path / "in.csv").write_text(f"{PATH},expression,knn\na.tif,01,1\nb.jpg,2,0\n")
    table = read_table(tmp_path / "in.csv")
    assert table["expression"].tolist() == ["01", "2"]  # as they are
    both = rewritten(table, {"a.tif": "a.tif.png", "b.jpg": "b.jpg"})
    assert both[PATH].tolist() == ["a.tif.png", "b.jpg"] and "knn" in both
    one = rewritten(table, {"b.jpg": "b.jpg"})
    assert one[PATH].tolist() == ["b.jpg"] and "knn" not in one


@pytest.mark.parametrize(
    ("text", "words"),
    [("expression\n1\n", "column sub.* is missing"), (f"{PATH}\n", "has no rows")],
)
def test_a_table_without_paths_or_rows_is_refused(tmp_path, text, words):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "in.csv")
