"""Landmarks of many pictures: in the CSV's order, resumed after an interruption."""

import cv2
import numpy as np
import pytest
from helpers.landmark_models import spot

from ldl_fer.errors import InputError
from ldl_fer.files import claimed
from ldl_fer.preparation.landmarks import pictures
from ldl_fer.preparation.landmarks.face_mesh import FaceMesh
from ldl_fer.preparation.landmarks.pictures import find_landmarks


@pytest.fixture
def few(tmp_path, monkeypatch):
    """Seven pictures, the fourth without a face, in parts of three; what is to be found."""
    monkeypatch.setattr(pictures, "PART", 3)
    folder = tmp_path / "images"
    folder.mkdir()
    places = np.array([(10 + 3 * n, 20) for n in range(7)], float)
    for number, (x, y) in enumerate(places.astype(int)):
        picture = spot(x, y) if number != 3 else np.zeros([40, 40, 3], np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    places[3] = np.nan
    return folder, {f"{number}.png": 2 * number for number in range(7)}, places


class Counted(FaceMesh):
    """Counts its calls; stops at one of them as ^C does."""

    calls, stop_at = 0, None

    def __call__(self, picture):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return super().__call__(picture)


def found(model, few, workers=1):
    folder, rows, _ = few
    parts = folder.parent / "parts"
    return find_landmarks(model, "a.csv", folder, rows, parts, workers, progress=False)


def test_points_come_in_the_order_of_the_paths(made_model, few):
    points, score = found(FaceMesh(made_model), few, workers=4)
    assert points.shape == (7, 468, 3) and points.dtype == score.dtype == np.float32
    np.testing.assert_allclose(points[..., :2].mean(axis=1), few[2], atol=0.5)
    np.testing.assert_array_equal(score > 0, np.arange(7) != 3)
    assert np.isnan(points[3]).all()


def test_an_interrupted_run_goes_on(made_model, few):
    expected, _ = found(FaceMesh(made_model), few)
    for part in (few[0].parent / "parts").iterdir():
        part.unlink()
    first = Counted(made_model)
    first.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        found(first, few)
    second = Counted(made_model)
    points, _ = found(second, few)
    assert second.calls == 4  # the first part of three was kept
    np.testing.assert_array_equal(points, expected)
    third = Counted(made_model)
    found(third, few)
    assert third.calls == 0
    # A picture that changed, a damaged part and another model are done anew.
    assert cv2.imwrite(str(few[0] / "6.png"), spot(20, 30, 60, 60))
    changed, _ = found(third, few)
    assert third.calls == 1 and not np.allclose(changed[6], expected[6])
    for part in (few[0].parent / "parts").iterdir():
        part.write_bytes(part.read_bytes()[:1000])
    found(third, few)
    assert third.calls == 8
    third.digest = "other"
    found(third, few)
    assert third.calls == 15


def test_pictures_that_are_not_there_are_named(made_model, few):
    (few[0] / "2.png").unlink()
    (few[0] / "5.png").unlink()
    with pytest.raises(InputError, match=r"a.csv: 2 problems\n  row 4: .*2.png cannot be read: No"):
        found(FaceMesh(made_model), few)


def test_a_damaged_picture_is_named(made_model, few):
    (few[0] / "5.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="row 10: .*5.png cannot be read: .*drop the row, or corr"):
        found(FaceMesh(made_model), few)


def test_one_process_at_a_time(made_model, few):
    words = "another process is at work in .*parts. Name another --output"
    with claimed(few[0].parent / "parts" / ".lock"), pytest.raises(InputError, match=words):
        found(FaceMesh(made_model), few)
