"""Faces are found where they are, by YuNet and by the cascade."""

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from helpers.drawn_scenes import drawn, is_at, scene
from PIL import Image

from ldl_fer.data.pictures import decoded_image
from ldl_fer.errors import InputError
from ldl_fer.preparation.faces.detector import FaceDetector


@pytest.fixture(scope="module", params=["cascade", "yunet"])
def detector(request):
    if request.param == "cascade":
        return FaceDetector()
    return FaceDetector(request.getfixturevalue("yunet_file"))


def test_faces_come_largest_first_and_where_they_are(detector):
    small, large = (20, 30, 96), (200, 60, 160)
    first, second = detector.detect(scene(small, large))
    assert is_at(first, *large)
    assert is_at(second, *small)
    assert 0 < second.score <= 1


def test_a_picture_without_faces_has_none(detector):
    assert detector.detect(np.zeros([1, 1, 3], np.uint8)) == []
    assert detector.detect(scene()) == []


def test_faces_that_fill_a_small_or_large_picture_are_found(detector):
    for size in (48, 600):
        (face,) = detector.detect(drawn(size))
        assert is_at(face, 0, 0, size)


def test_boxes_are_pixels_of_the_large_picture_not_of_the_shrunk_one(detector):
    place = (2600, 1500, 400)  # in 4,000 x 3,000: 128 pixels after shrinking to 1,280
    (face,) = detector.detect(scene(place, shape=(3000, 4000)))
    assert is_at(face, *place)
    assert 0.4 * 400 < face.box[2] < 1.2 * 400


def test_a_longer_side_finds_smaller_faces(yunet_file):
    picture = scene((2600, 1500, 80), shape=(1800, 3200))  # 32 pixels after shrinking to 1,280
    picture = cv2.GaussianBlur(picture, (0, 0), 1)
    found = FaceDetector(yunet_file, longest_side=3200).detect(picture)
    assert [is_at(face, 2600, 1500, 80) for face in found] == [True]
    assert FaceDetector(yunet_file, longest_side=640).detect(picture) == []


def test_the_advice_is_of_the_detector_that_was_used(yunet_file):
    cascade = FaceDetector(longest_side=900).advice
    assert "--detector" in cascade and "--longest_side=900" in cascade
    yunet = FaceDetector(yunet_file, 0.7, 1000).advice
    assert "--longest_side=1000" in yunet and "--min_score=0.7" in yunet
    assert "YuNet" not in yunet and "--detector" not in yunet


def test_landmarks_are_left_to_right_as_seen(yunet_file):
    (face,) = FaceDetector(yunet_file).detect(scene((100, 60, 160)))
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_exif_rotation_is_undone_before_detection(detector):
    upright = scene((200, 60, 160))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # The camera was turned: a quarter to the right makes it upright.
    turned = Image.fromarray(np.rot90(upright))
    turned.save(file, "JPEG", quality=95, exif=exif)
    (face,) = detector.detect(decoded_image(file.getvalue()))
    assert is_at(face, 200, 60, 160)


def test_one_detector_serves_several_threads(detector):
    pictures = [scene((40 + 10 * i, 30, 96 + 8 * i)) for i in range(8)]
    alone = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, pictures))
    assert [[f.box for f in faces] for faces in together] == [
        [f.box for f in faces] for faces in alone
    ]


@pytest.mark.parametrize("picture", [np.zeros([9, 9]), np.zeros([9, 9, 4], np.uint8)])
def test_other_arrays_than_rgb_pictures_are_refused(picture):
    with pytest.raises(ValueError, match="not an RGB picture"):
        FaceDetector().detect(picture)


def test_a_file_that_is_no_detector_is_refused(tmp_path):
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no network")
    with pytest.raises(InputError, match="wrong.onnx is no YuNet"):
        FaceDetector(wrong)
    with pytest.raises(InputError, match="absent.onnx cannot be read"):
        FaceDetector(tmp_path / "absent.onnx")


def test_real_faces_are_found(ferplus, yunet_file):
    """The product's own rates on tight 48 x 48 crops; docs/data.md has those on 500."""
    files = sorted((ferplus / "images" / "test").iterdir())[:40]
    for detector, least in ((FaceDetector(yunet_file), 0.9), (FaceDetector(), 0.6)):
        found = [detector.detect(decoded_image(file.read_bytes())) for file in files]
        assert np.mean([len(faces) > 0 for faces in found]) >= least
