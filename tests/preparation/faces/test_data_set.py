"""A data set is aligned, resumed and never overwritten; its tables have every picture and face."""

import json
import os

import pandas as pd
import pytest
from helpers.drawn_scenes import is_at
from PIL import Image

from ldl_fer.errors import InputError
from ldl_fer.files import claimed
from ldl_fer.preparation.datasets.source_files import pictures_under
from ldl_fer.preparation.faces.data_set import align_data_set, face_table, read_table, rewritten
from ldl_fer.preparation.faces.detector import Face, FaceDetector

PATH = "subDirectory_filePath"


def record(path, aligned, faces, reason=""):
    status = "aligned" if aligned else "skipped"
    made = {PATH: path, "status": status, "reason": reason, "found": len(faces)}
    made |= {"box": None, "by": ""}
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


def test_boxes_say_whose_face_is_labeled(photos):
    # The largest face of two.bmp is at (200, 60); its labels are of the other, and of no face.
    (photos / "train.csv").write_text(
        f"{PATH},expression,face_x,face_y,face_width,face_height\n"
        "größe/two.bmp,1,20,30,96,96\ngröße/two.bmp,2,200,60,160,160\n"
        "none.png,3,40,50,60.5,80\none.jpg,4,,,,\none.jpg,5,5000,0,9,9\n"
    )
    done = run(photos)
    table = done.table
    assert table["chosen_by"].tolist() == ["at the box", "at the box", "the box", "only", ""]
    assert is_at(Face(tuple(table.loc[0, "x":"height"]), 1.0), 20, 30, 96)
    assert is_at(Face(tuple(table.loc[1, "x":"height"]), 1.0), 200, 60, 160)
    assert table.loc[2, "x":"score"].tolist() == [30.25, 50, 80, 80, 0]  # a square about the box
    assert table["reason"][4] == "the box lies outside the picture"
    written = pd.read_csv(done.annotations_file)
    assert written.columns.tolist() == [PATH, "expression"]  # The boxes are not the crops'.
    assert written["expression"].tolist() == [1, 2, 3, 4]
    assert written[PATH][0] == "größe/two.face_20_30_96_96.bmp.png"
    assert all(size_of(done.images / name) == (32, 32) for name in written[PATH])
    # Another CSV with another face of the same picture leaves these crops as they are.
    before = (done.images / written[PATH][0]).read_bytes()
    text = f"{PATH},face_x,face_y,face_width,face_height\ngröße/two.bmp,200,60,150,150\n"
    (photos / "test.csv").write_text(text)
    run(photos, annotations=photos / "test.csv")
    assert (done.images / written[PATH][0]).read_bytes() == before
    assert run(photos).table.equals(table)


def test_faces_that_were_cut_out_are_no_input(photos):
    folder, settings = photos / "photos", {"size": 32, "progress": False}
    for annotations in (None, photos / "train.csv"):
        with pytest.raises(InputError, match="would take them for photos"):
            align_data_set(folder, folder, FaceDetector(), annotations, **settings)
    assert not (folder / "images").exists()
    first = align_data_set(folder, folder / "a", FaceDetector(), **settings)
    second = align_data_set(folder, folder / "b", FaceDetector(), **settings)  # not of a
    assert first.table[PATH].tolist() == second.table[PATH].tolist()
    with pytest.raises(InputError, match="holds faces that were cut out"):
        align_data_set(folder / "a", photos / "c", FaceDetector(), **settings)
    with pytest.raises(InputError, match="lies among the faces"):
        align_data_set(folder / "a/images/größe", folder / "a", FaceDetector(), **settings)


@pytest.mark.parametrize("box", ["20,30,0,96", "20,30,,96", "20,x,96,96", "20,nan,96,96"])
def test_a_wrong_box_is_named(photos, box):
    header = f"{PATH},face_x,face_y,face_width,face_height\n"
    (photos / "train.csv").write_text(f"{header}one.jpg,{box}\n")
    with pytest.raises(InputError, match=r"row 0 \(line 2\): the box is .*: not four numbers"):
        run(photos)
    (photos / "train.csv").write_text(f"{header}one.jpg,1,2,30,30\none.jpg,1.0,2,30,30\n")
    with pytest.raises(InputError, match="one.jpg is already in row 0"):
        run(photos)
    (photos / "train.csv").write_text(f"{PATH},face_x,face_y\none.jpg,1,2\n")
    with pytest.raises(InputError, match="columns face_width, face_height is missing"):
        run(photos)


def test_several_faces_without_a_box_may_be_skipped(photos):
    done = run(photos, several="skip", on_no_face="keep")
    assert done.table["status"].tolist()[:3] == ["aligned", "skipped", "kept"]
    assert done.table["reason"][1] == "2 faces and no box that says which"
    assert "größe" not in done.annotations_file.read_text(encoding="utf-8")


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
    done = run(photos, annotations=None, several="all")
    files = {p.relative_to(done.images).as_posix() for p in done.images.rglob("*.*")}
    assert files == {"one.face0.jpg", "größe/two.face0.bmp.png", "größe/two.face1.bmp.png"}
    assert done.annotations_file is None
    assert len(done.table) == 5  # one, two twice, none, cut
    with pytest.raises(InputError, match="a label is one person's"):
        run(photos, several="all")


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


def test_two_runs_do_not_share_a_folder(photos):
    with (
        claimed(photos / "out" / ".lock"),
        pytest.raises(InputError, match="another run is at work in .*out"),
    ):
        run(photos)
    run(photos)


def test_names_that_no_csv_can_hold_are_told_before_the_work(photos):
    odd = photos / "photos" / os.fsdecode(b"Zo\xeb.png")
    odd.write_bytes((photos / "photos" / "none.png").read_bytes())
    with pytest.raises(InputError, match=r"Zo\\udceb.png': the name is no UTF-8 text"):
        run(photos, annotations=None)
    assert not (photos / "out" / "faces.jsonl").exists()
    with pytest.raises(InputError, match=r"Zo\\udceb.png': the name is no UTF-8 text"):
        pictures_under(photos / "photos")


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
    table = read_table(tmp_path / "in.csv", tmp_path)
    assert table["expression"].tolist() == ["01", "2"]  # as they are
    both = rewritten(table, {("a.tif", None): "a.tif.png", ("b.jpg", None): "b.jpg"})
    assert both[PATH].tolist() == ["a.tif.png", "b.jpg"] and "knn" in both
    one = rewritten(table, {("b.jpg", None): "b.jpg"})
    assert one[PATH].tolist() == ["b.jpg"] and "knn" not in one


@pytest.mark.parametrize(
    ("text", "words"),
    [("expression\n1\n", "column sub.* is missing"), (f"{PATH}\n", "has no rows")],
)
def test_a_table_without_paths_or_rows_is_refused(tmp_path, text, words):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "in.csv", tmp_path)
