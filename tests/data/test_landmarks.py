"""The table of landmarks: written and read alike, looked up by path, refused in words."""

import numpy as np
import pytest
from helpers.planted import Planted

from ldl_fer.data.landmarks import landmarks_file, landmarks_of, read_landmarks, write_landmarks
from ldl_fer.errors import InputError

PATHS = ["a/1.png", "a/é.png", "007"]
POINTS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
POINTS[1] = np.nan


def test_a_table_comes_back_as_it_was_written(tmp_path):
    file = landmarks_file(tmp_path / "deep" / "train.csv")
    assert file.name == "train.landmarks.npz"
    write_landmarks(file, PATHS, POINTS.astype(np.float64), np.array([2.0, -1.0, np.nan]))
    paths, points = read_landmarks(file)
    assert paths == PATHS and points.dtype == np.float32
    np.testing.assert_array_equal(points, POINTS)
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["score"], np.float32([2, -1, np.nan]))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_points_are_looked_up_in_any_order_and_again(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", path=PATHS, points=np.nan_to_num(POINTS).astype(int))
    found = landmarks_of(tmp_path / "a.npz", ["007", "a/1.png", "007"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, POINTS[[2, 0, 2]])


def test_pictures_that_a_table_lacks_are_counted(tmp_path):
    write_landmarks(tmp_path / "a.npz", PATHS, POINTS, np.zeros(3))
    words = r"a.npz lacks 2 of 3 pictures, such as x.png; its own are such as a/1.png. Make it of"
    with pytest.raises(InputError, match=words):
        landmarks_of(tmp_path / "a.npz", ["a/1.png", "x.png", "y.png"])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"path": PATHS, "point": POINTS}, "has no array points; it has path, point. Write"),
        ({}, "has no array path and points; it has none"),
        ({"path": [1, 2, 3], "points": POINTS}, r"path is int64 \[3\], not N texts. Write it as"),
        ({"path": [PATHS], "points": POINTS}, r"path is <U7 \[1, 3\], not N texts"),
        ({"path": np.array(PATHS, object), "points": POINTS}, "array of Python objects, which"),
        ({"path": PATHS, "points": POINTS.reshape(3, 4)}, r"points is float32 \[3, 4\], not num"),
        ({"path": PATHS, "points": POINTS.reshape(3, 1, 4)}, r"float32 \[3, 1, 4\], not numbers"),
        ({"path": PATHS, "points": POINTS.astype(str)}, r"points is <U32 \[3, 2, 2\], not numbers"),
        ({"path": PATHS[:2], "points": POINTS}, r"2 paths and points of shape \[3, 2, 2\]. Write"),
        ({"path": PATHS, "points": np.zeros([3, 0, 2])}, r"3 paths and points of shape \[3, 0, 2"),
        ({"path": ["a", "b", "a"], "points": POINTS}, "row 2: a is there already, in row 0. Write"),
        (
            {"path": PATHS, "points": np.where(POINTS == 9, np.nan, POINTS)},
            "row 2: 007 has 3 of 4 numbers. Write all of a face's, or NaN for all",
        ),
        (
            {"path": PATHS, "points": np.where(POINTS > 7, np.inf, POINTS)},
            "row 2: 007 has 0 of 4 numbers",
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read_landmarks(tmp_path / "a.npz")


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(InputError, match="a.npz does not exist. Make it by ldl-fer landmarks"):
        read_landmarks(file)
    for content in (b"", b"\x80\x04N.", b"subDirectory_filePath\n"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="a.npz is no .npz file. Write path"):
            read_landmarks(file)
    with file.open("wb") as opened:
        np.save(opened, POINTS)
    with pytest.raises(InputError, match="a.npz is no .npz file"):
        read_landmarks(file)


@pytest.mark.parametrize("savez", [np.savez, np.savez_compressed])
def test_a_damaged_file_is_refused(tmp_path, savez):
    file = tmp_path / "a.npz"
    savez(file, path=PATHS, points=np.random.default_rng(0).random([3, 5, 2]))
    whole = file.read_bytes()
    for place in range(0, len(whole), 17):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_landmarks(file)
        except InputError as error:
            assert str(file) in str(error)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="a.npz is no .npz file"):
        read_landmarks(file)


def test_nothing_is_unpickled(tmp_path):
    planted = np.array([Planted(tmp_path / "planted")] * 3, object)
    np.savez(tmp_path / "a.npz", path=PATHS, points=planted)
    with pytest.raises(InputError, match="array of Python objects, which could run code"):
        read_landmarks(tmp_path / "a.npz")
    assert not (tmp_path / "planted").exists()
