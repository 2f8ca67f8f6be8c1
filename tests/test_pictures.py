"""Pictures are read as records would hold them, and what cannot be read is named."""

import os

import cv2
import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.pictures import named_when_unreadable, pictures_in, read_picture, read_pictures
from ldl_fer.pixels import PICTURE_ENDINGS


def _write(path, seed, *shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert cv2.imwrite(str(path), picture)
    return picture


def test_size_gray_and_order_of_channels(tmp_path):
    color = _write(tmp_path / "color.png", 0, 8, 8, 3)
    np.testing.assert_array_equal(read_picture(tmp_path / "color.png", 8), color[..., ::-1])
    gray = _write(tmp_path / "gray.png", 1, 8, 8)
    expected = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    np.testing.assert_array_equal(read_picture(tmp_path / "gray.png", 8), expected)
    _write(tmp_path / "wide.png", 2, 10, 30, 3)
    found = read_pictures([tmp_path / "wide.png", tmp_path / "gray.png"], 8)
    assert (found.shape, found.dtype) == ((2, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(found[1], expected)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.png cannot be read: No such file"):
        read_picture(tmp_path / "none.png", 8)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png cannot be read"):
        read_pictures([tmp_path / "text.png"], 8)


def test_a_path_is_told_once_with_its_row_and_the_cure_at_hand(tmp_path):
    """An OSError of Python holds the path itself."""
    lost = tmp_path / "none.png"
    with pytest.raises(InputError) as caught:
        read_picture(lost, 8, "Drop the row", 3)
    assert str(caught.value) == (
        f"row 3: {lost} cannot be read: No such file or directory. Drop the row."
    )
    with pytest.raises(InputError) as caught, named_when_unreadable("a.png"):
        raise ValueError("it is cut short")
    assert str(caught.value) == "a.png cannot be read: it is cut short. Replace it or leave it out."


def test_a_pipe_does_not_make_it_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="pipe.png cannot be read: it is a pipe or device"):
        read_picture(tmp_path / "pipe.png", 8)


@pytest.mark.parametrize("ending", PICTURE_ENDINGS)
def test_what_counts_as_a_picture_can_be_read(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    gray = ending in (".pbm", ".pgm")
    assert cv2.imwrite(str(path), np.full([8, 8] if gray else [8, 8, 3], 255, np.uint8))
    assert pictures_in(tmp_path) == [path]
    assert read_picture(path, 8).min() > 250


def test_pictures_of_a_folder(tmp_path):
    for name in ("b.PNG", "a/c.jpg", "a/b.png"):
        _write(tmp_path / name, 0, 4, 4, 3)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.png").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in pictures_in(tmp_path)]
    assert found == ["a/b.png", "a/c.jpg", "b.PNG"]
    with pytest.raises(InputError, match="holds no picture"):
        pictures_in(tmp_path / "folder.png")
