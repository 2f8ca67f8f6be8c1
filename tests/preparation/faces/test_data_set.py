"""A data set is aligned, resumed and never overwritten; its tables have every picture and face."""

import json

import pandas as pd
import pytest
from helpers.drawn_scenes import is_at
from PIL import Image

from ldl_fer.errors import InputError
from ldl_fer.preparation.faces.data_set import align_data_set, face_table, read_table, rewritten
from ldl_fer.preparation.faces.detector import Face, FaceDetector

PATH = "subDirectory_filePath"


def record(path, aligned, faces, reason=""):
    status = "aligned" if aligned else "skipped"
    made = {PATH: path, "status": status, "reason": reason, "found": len(faces)}
    return made | {"aligned": aligned, "faces": faces}


def run(photos, **settings):
    settings = {"annotations": photos / "train.csv", "size": 32, "progress": False} | settings
    return align_data_set(photos / "photos", photos / "out", FaceDetector(), **settings)


def size_of(file):
    return Image.open(file).size


def test_a_data_set_with_annotations(photos):
    done = run(photos)
    table = pd.read_csv(done.table_file).set_index(PATH)
    assert table["status"].tolist() == ["aligned", "aligned", "skipped", "skipped", "skipped"]
    assert table["faces"].tolist() == [1, 2, 0, 0, 0]
    assert table.loc["none.png", "reason"] == "no face found"
    assert "cannot be read" in table.loc["cut.jpg", "reason"]
    assert "No such file" in table.loc["absent.jpg", "reason"]
    assert is_at(Face(tuple(table.loc["größe/two.bmp", "x":"height"]), 1.0), 200, 60, 160)
    left = done.annotations_file.read_text(encoding="utf-8").splitlines()
    # Cells as they were (007); no knn, whose row numbers have moved.
    assert left == [f"{PATH},expression,id", "one.jpg,0,007", "größe/two.bmp.png,1,007"]
    files = {p.relative_to(done.images).as_posix() for p in done.images.rglob("*.*")}
    assert files == {"one.jpg", "größe/two.bmp.png"}
    assert {size_of(done.images / name) for name in files} == {(32, 32)}


def test_pictures_without_a_face_may_be_kept(photos):
    done = run(photos, on_no_face="keep")
    assert done.table["status"].tolist() == ["aligned", "aligned", "kept", "skipped", "skipped"]
    assert size_of(done.images / "none.png") == (32, 32)
    assert "none.png,2,007" in done.annotations_file.read_text()
    run(photos)  # on_no_face=skip: what was kept goes
    assert not (done.images / "none.png").exists()


def test_pictures_without_a_face_may_be_an_error(photos):
    with pytest.raises(InputError, match=r"train.csv: row 2: .*none.png: no face found"):
        run(photos, on_no_face="fail")


def test_all_faces_of_a_folder(photos):
    done = run(photos, annotations=None, which="all")
    files = {p.relative_to(done.images).as_posix() for p in done.images.rglob("*.*")}
    assert files == {"one.face0.jpg", "größe/two.face0.bmp.png", "größe/two.face1.bmp.png"}
    assert done.annotations_file is None
    assert len(done.table) == 5  # one, two twice, none, cut
    with pytest.raises(InputError, match="a label is one person's"):
        run(photos, which="all")


def test_a_run_goes_on_where_it_was_interrupted(photos):
    done = run(photos)
    first, second = done.images / "one.jpg", done.images / "größe" / "two.bmp.png"
    before = done.table_file.read_bytes()
    first.write_bytes(b"mine")
    second.unlink()
    with (photos / "out" / "faces.jsonl").open("a") as journal:
        journal.write('{"subDirectory_filePath": "on')  # A line that a crash cut short.
    again = run(photos)
    assert first.read_bytes() == b"mine"  # there: not done again
    assert second.exists()  # gone: done again
    assert again.table_file.read_bytes() == before
    (photos / "photos" / "one.jpg").write_bytes((photos / "photos" / "none.png").read_bytes())
    assert run(photos).table["status"].tolist()[0] == "skipped"  # another file: done again
    assert not first.exists()
    for line in (photos / "out" / "faces.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)
    with pytest.raises(InputError, match="made with another size"):
        run(photos, size=48)


def test_the_input_is_never_overwritten(photos):
    (photos / "out").mkdir()
    (photos / "out" / "images").symlink_to(photos / "photos")
    with pytest.raises(InputError, match="the pictures would be overwritten"):
        run(photos)
    with pytest.raises(InputError, match="train.csv would be overwritten"):
        align_data_set(photos / "photos", photos, FaceDetector(), photos / "train.csv")
    (photos / "photos" / "one.jpg.png").touch()
    (photos / "photos" / "one.jpg").rename(photos / "photos" / "one")
    (photos / "photos" / "one.png").touch()
    paths = pd.DataFrame({PATH: ["one", "one.png"]})
    paths.to_csv(photos / "train.csv", index=False)
    with pytest.raises(InputError, match="would both be one.png"):
        align_data_set(photos / "photos", photos / "b", FaceDetector(), photos / "train.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,expression\na.png,0\n", "column subDirectory_filePath is missing"),
        (f"{PATH}\n../a.png\n", r"row 0 \(line 2\): ../a.png leads out of the image folder"),
        (f"{PATH}\n", "has no rows"),
    ],
)
def test_mistakes_in_the_csv_are_named(photos, text, words):
    (photos / "train.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        run(photos)


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
