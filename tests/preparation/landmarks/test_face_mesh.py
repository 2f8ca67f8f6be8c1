"""MediaPipe's face mesh: where the points lie, what shows no face, what is refused."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.landmark_models import bright_spot_model, ring, spot

from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.pictures import decoded_image
from ldl_fer.errors import InputError
from ldl_fer.preparation.landmarks.face_mesh import FaceMesh, _Window, _window_around

EYES = (33, 263)  # outer corners
UPPER_LIP, CHIN, FOREHEAD, NOSE = 13, 152, 10, 1


@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 64), (400, 300)])
def test_points_are_in_pixels_of_the_picture(made_model, height, width):
    mesh = FaceMesh(made_model)
    assert mesh.size == 16 and len(mesh.digest) == 64
    x, y = width // 2 + 3, height // 2 - 4
    points, score = mesh(spot(x, y, height, width))
    assert points.shape == (468, 3) and points.dtype == np.float32 and score > 0
    middle = points[np.delete(np.arange(468), EYES)].mean(axis=0)
    np.testing.assert_allclose(middle[:2], (x, y), atol=max(height, width) / 40)
    # z is in the same unit as x and y.
    size = np.ptp(points, axis=0) / np.ptp(ring(), axis=0)
    np.testing.assert_allclose(size, size[0], rtol=1e-4)


def test_no_face_is_no_points(made_model):
    points, score = FaceMesh(made_model)(np.zeros([40, 40, 3], np.uint8))
    assert np.isnan(points).all() and points.shape == (468, 3) and score < 0


def test_a_window_is_turned_until_the_eyes_are_level():
    angle = 0.4
    turn = np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    points = 10 * ring() @ turn + (30, 20, 0)
    window = _window_around(points)
    assert window.turn == pytest.approx(angle)
    assert window.side == pytest.approx(1.5 * 20, rel=1e-3)
    seen = cv2.transform(points[None, :, :2], window.matrix(64))[0]
    left, right = seen[list(EYES)]
    assert left[1] == pytest.approx(right[1], abs=1e-3) and left[0] < right[0]
    np.testing.assert_allclose((seen.min(0) + seen.max(0)) / 2, (31.5, 31.5), atol=1e-3)
    np.testing.assert_allclose(np.ptp(seen, axis=0).max(), 64 / 1.5, rtol=1e-3)
    # Points that all fell together are still a window.
    assert _window_around(np.zeros([468, 3])).side == 1.5
    assert _Window(0, 0, 1).matrix(1).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"points": 5}, r"takes float32 \[1, 16, 16, 3\] and gives float32 .*1, 15\]"),
        (
            {"score": False},
            r"takes float32 .* and gives float32 \[1, 1, 1, 1404\]; a ",
        ),
        ({"channels": 1}, r"takes float32 \[1, 16, 16, 1\] and"),
        ({"dtype": tf.int32}, r"takes int32 \[1, 16, 16, 3\] and"),
    ],
)
def test_another_network_is_refused(tmp_path, settings, words):
    file = bright_spot_model(tmp_path / "other.tflite", **settings)
    with pytest.raises(InputError, match=f"other.tflite is another network: it {words}"):
        FaceMesh(file)


def test_other_files_are_refused(tmp_path, made_model):
    with pytest.raises(
        InputError, match="no.tflite cannot be read: No such file.*Give MediaPipe's"
    ):
        FaceMesh(tmp_path / "no.tflite")
    file = tmp_path / "a.tflite"
    file.write_bytes(b"\x1f\x8b" + bytes(100))
    with pytest.raises(InputError, match="a.tflite is no .tflite file; a landmark model takes"):
        FaceMesh(file)
    content = made_model.read_bytes()
    for length in (20, len(content) // 2, len(content) * 9 // 10):  # TFLite itself would crash
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match="a.tflite is damaged or cut short: .*Copy it anew"):
            FaceMesh(file)


def test_real_faces(face_mesh_file, ferplus):
    mesh = FaceMesh(face_mesh_file)
    table = read_annotations(ferplus / "val.csv", plane=False, decode=False)
    matrix = np.array([[1.6, -0.9, 40], [0.9, 1.6, 5]])  # turns by 29 degrees, scales by 1.8
    errors = []
    for path in table.paths[:12]:
        picture = decoded_image((ferplus / "images" / path).read_bytes())
        points, score = mesh(picture)
        assert np.isnan(points).all() == (score <= 0)
        if score <= 0:
            continue
        right, left = points[list(EYES)]
        assert right[0] < left[0] and points[FOREHEAD, 1] < points[UPPER_LIP, 1] < points[CHIN, 1]
        assert points[NOSE, 2] < min(right[2], left[2])  # nearer to the camera
        turned = cv2.warpAffine(picture, matrix, (130, 130), borderMode=cv2.BORDER_REPLICATE)
        expected = cv2.transform(points[None, :, :2], matrix)[0]
        distances = np.linalg.norm(mesh(turned)[0][:, :2] - expected, axis=1)
        errors.append(distances.mean() / np.linalg.norm(expected[EYES[0]] - expected[EYES[1]]))
    assert len(errors) >= 10 and np.nanmedian(errors) < 0.08
    noise = np.random.default_rng(0).integers(0, 256, [48, 48, 3], np.uint8)
    assert np.isnan(mesh(noise)[0]).all()
