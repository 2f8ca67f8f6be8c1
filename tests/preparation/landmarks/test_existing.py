"""Landmarks as RAF-DB and AffectNet have them: recognized, paired by name, refused in words."""

import numpy as np
import pytest
from helpers.data_set_copies import text
from helpers.planted import Planted

from ldl_fer.errors import InputError
from ldl_fer.preparation.landmarks.existing import existing_landmarks

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks"
HEADER += ",expression,valence,arousal"
RAF = [f"Image/aligned/{name}_aligned.jpg" for name in ("train_00001", "test_0001", "train_00002")]


def points_of(count, seed):
    return np.random.default_rng(seed).uniform(0, 300, [count, 2]).round(3)


def raf_db(folder, points, ending, separator="\t", closing=()):
    """Writes a file for each but the third picture; the second's is of another split."""
    for number, name in enumerate(("train_00001", "test_0001")):
        lines = [f"{x}{separator}{y}" for x, y in points[number]]
        text(folder / f"{name}_{ending}.txt", *lines, *closing)
    text(folder / f"train_00009_{ending}.txt", "of no picture of the CSV")
    return folder


@pytest.mark.parametrize("separator", ["\t", " ", ", "])
@pytest.mark.parametrize(
    ("ending", "count", "closing"),
    [("manu_attri", 5, ("1", "0", "2")), ("auto_attri", 37, ())],  # gender, race, age
)
def test_raf_db(tmp_path, separator, ending, count, closing):
    points = [points_of(count, seed) for seed in (0, 1)]
    folder = raf_db(tmp_path / "Annotation/x", points, ending, separator, closing)
    for place in (folder, tmp_path):
        title, found = existing_landmarks(place, RAF)
        assert title == f"RAF-DB's {count} points"
        assert found.shape == (3, count, 2) and found.dtype == np.float32
        np.testing.assert_array_equal(found[:2], np.float32(points))
        assert np.isnan(found[2]).all()


def test_a_folder_of_both_kinds_is_refused(tmp_path):
    raf_db(tmp_path / "manual", [points_of(5, 0)] * 2, "manu_attri")
    raf_db(tmp_path / "auto", [points_of(37, 0)] * 2, "auto_attri")
    with pytest.raises(InputError, match="has landmarks of two kinds. Name .*/auto .*manual") as e:
        existing_landmarks(tmp_path, RAF)
    assert f"{tmp_path}/manual (RAF-DB's 5 points)" in str(e.value)


@pytest.mark.parametrize("shape", [(136,), (68, 2), (1, 136)])
@pytest.mark.parametrize("kind", [float, str])
def test_affectnet_arrays(tmp_path, shape, kind):
    folder = tmp_path / "train_set" / "annotations"
    folder.mkdir(parents=True)
    points = points_of(68, 0)
    np.save(folder / "10_lnd.npy", points.reshape(shape).astype(kind))
    np.save(folder / "10_exp.npy", np.array("1"))
    title, found = existing_landmarks(
        tmp_path, ["train_set/images/1.jpg", "train_set/images/10.jpg"]
    )
    assert title == "AffectNet's 68 points" and np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], np.float32(points))


@pytest.mark.parametrize("header", [[HEADER], []])
def test_affectnet_list(tmp_path, header):
    points = points_of(68, 0)
    cell = ";".join(f"{number}" for number in points.ravel())
    rows = [f"103/a.jpg,1,2,30,40,{cell},1,.5,.5", "7/z.jpg,1,2,30,40,1;2;3,1,.5,.5"]
    rows += ["9/empty.jpg,1,2,30,40,,1,.5,.5", rows[0]]
    text(tmp_path / "list.csv", *header, *rows)
    paths = ["Manually_Annotated_Images/9/empty.jpg", "Manually_Annotated_Images/103/a.jpg"]
    title, found = existing_landmarks(tmp_path / "list.csv", paths)
    assert title == "AffectNet's 68 points" and np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], np.float32(points))
    with pytest.raises(InputError, match=r"list.csv: line [23] has 1.5 points, not"):
        existing_landmarks(tmp_path / "list.csv", ["z.jpg"])
    text(tmp_path / "list.csv", *header, rows[0], rows[0].replace(cell[:4], "0.25", 1))
    with pytest.raises(InputError, match=r"line \d: 103/a.jpg is there already, with other"):
        existing_landmarks(tmp_path / "list.csv", paths)


def test_an_empty_file_is_no_face(tmp_path):
    folder = raf_db(tmp_path, [points_of(37, 0)] * 2, "auto_attri")
    (folder / "test_0001_auto_attri.txt").write_text("")
    _, found = existing_landmarks(folder, RAF)
    assert np.isnan(found[:, 0, 0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["1 2"] * 4 + ["1"], "has 4 points, not 5. Unpack it again"),
        (["1 2"] * 6, "has 6 points, not 5"),
        (["1 2"] * 4 + ["1 x"], "cannot be read: could not convert string to float: 'x'. Unpack"),
        (["1 2"] * 4 + ["1 nan"], "has numbers that are not finite"),
        (["x"], "has 0 points, not 5"),
    ],
)
def test_other_numbers_are_refused(tmp_path, lines, words):
    text(tmp_path / "train_00001_manu_attri.txt", *lines)
    with pytest.raises(InputError, match=f"train_00001_manu_attri.txt {words}"):
        existing_landmarks(tmp_path, RAF)


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "0_lnd.npy", np.array([Planted(tmp_path / "planted")], object))
    with pytest.raises(InputError, match="0_lnd.npy cannot be read: .*Unpack it again"):
        existing_landmarks(tmp_path, ["0.jpg"])
    assert not (tmp_path / "planted").exists()
    (tmp_path / "0_lnd.npy").write_bytes(b"")
    with pytest.raises(InputError, match="0_lnd.npy cannot be read"):
        existing_landmarks(tmp_path, ["0.jpg"])


def test_names_that_are_not_clear_are_refused(tmp_path):
    for split in ("train_set", "val_set"):
        (tmp_path / split).mkdir()
        np.save(tmp_path / split / "0_lnd.npy", points_of(68, 0))
    with pytest.raises(InputError, match="0_lnd.npy and .*0_lnd.npy are of pictures of one name"):
        existing_landmarks(tmp_path, ["0.jpg"])
    with pytest.raises(InputError, match="b/0.jpg and a/0.jpg have one name, by which"):
        existing_landmarks(tmp_path / "val_set", ["a/0.jpg", "b/0.jpg"])
    words = "none of the 1 pictures, such as 7.jpg; they are found by the .*0_lnd.npy. Name the"
    with pytest.raises(InputError, match=words):
        existing_landmarks(tmp_path / "val_set", ["7.jpg"])


def test_other_places_are_refused(tmp_path):
    known = r"Name a folder with \*_manu_attri.txt \(RAF-DB's 5 points\), .*facial_landmarks"
    with pytest.raises(InputError, match=f"has no landmarks that are known. {known}"):
        existing_landmarks(tmp_path, RAF)
    with pytest.raises(InputError, match=f"no.csv does not exist. {known}"):
        existing_landmarks(tmp_path / "no.csv", RAF)
    text(tmp_path / "a.csv", "subDirectory_filePath,expression", "a.jpg,1")
    with pytest.raises(InputError, match="a.csv has no column facial_landmarks; it has"):
        existing_landmarks(tmp_path / "a.csv", RAF)
