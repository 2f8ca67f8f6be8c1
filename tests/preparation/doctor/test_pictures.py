"""Pictures are looked at once, broken ones too; signatures are alike in many versions."""

import cv2
import numpy as np
import pytest
from helpers.made_up_split import blurred, made_up_split, picture_file

from ldl_fer.preparation.doctor.pictures import ODD, UNKNOWN, look_at, signature


@pytest.fixture
def looked(tmp_path):
    names = [picture_file(tmp_path, f"{i}.png", blurred(i, 40 + i)) for i in range(3)]
    names.append(picture_file(tmp_path, "again.bmp", blurred(0, 40)))  # other bytes, same pixels
    half = (tmp_path / "2.png").read_bytes()
    (tmp_path / "half.png").write_bytes(half[: len(half) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("no picture")
    names += ["half.png", "empty.jpg", "text.png", "none.png", "./0.png", "", "/etc/hostname"]
    split = made_up_split(np.arange(len(names)) % 7, paths=names, folder=tmp_path)
    return look_at([split], progress=False)


def test_a_file_is_one_picture_whatever_its_path(looked):
    # "./0.png" is 0.png; an empty path and one out of the folder are no pictures.
    assert looked.row.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_broken_pictures_have_a_reason(looked):
    assert looked.readable.tolist() == [True] * 4 + [False] * 4
    assert looked.problems[:4] == [""] * 4
    reasons = ("cut short", "empty", "not a picture", "No such file")
    assert all(words in text for words, text in zip(reasons, looked.problems[4:], strict=True))


def test_size_contrast_digest_and_signature_are_kept(looked):
    assert looked.sizes[:4].tolist() == [[40, 40], [41, 41], [42, 42], [40, 40]]
    gray = (blurred(0, 40).astype(float) @ [0.114, 0.587, 0.299]).round()  # OpenCV: B, G, R
    assert looked.contrast[0] == pytest.approx(gray.std(), abs=0.05)
    product = looked.signatures[0].astype(np.float32) @ signature(gray.astype(np.uint8))
    assert product == pytest.approx(1.0, abs=2e-3)  # float16
    assert (looked.digests[0] == looked.digests[3]).all()
    assert (looked.digests[0] != looked.digests[1]).any()
    assert (looked.faces == UNKNOWN).all()


def test_faces_are_counted_where_there_is_a_detector(tmp_path):
    class TwoFaces:
        def detect(self, image):
            assert image.shape == (48, 48, 3) and image.dtype == np.uint8
            return [0, 0]

    name = picture_file(tmp_path, "a.png", blurred(0))
    split = made_up_split([0, 0], paths=[name, "none.png"], folder=tmp_path)
    assert look_at([split], TwoFaces(), progress=False).faces.tolist() == [2, UNKNOWN]


def gray(seed=0, side=48):
    return blurred(seed, side)[:, :, 1]


def test_the_product_is_the_correlation_of_the_blurred_pictures():
    first, second = gray(0, 32), gray(1, 32)
    low = []
    for picture in (first, second):
        frequencies = cv2.dct(picture.astype(np.float32))
        frequencies[16:], frequencies[:, 16:] = 0, 0
        low.append(cv2.idct(frequencies).ravel())
    # Correlation in pixels equals the product in frequencies: the transform is orthonormal.
    expected = np.corrcoef(*low)[0, 1]
    assert signature(first) @ signature(second) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "version",
    [
        lambda x: cv2.resize(x, (96, 96), interpolation=cv2.INTER_CUBIC),
        lambda x: (0.6 * x + 40).astype(np.uint8),
        lambda x: cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 0),
    ],
    ids=["size", "brightness and contrast", "JPEG"],
)
def test_versions_of_a_picture_are_alike(version):
    assert signature(gray()) @ signature(version(gray())) > 0.99


def test_other_pictures_are_not_alike():
    assert abs(signature(gray(0)) @ signature(gray(1))) < 0.8


def test_mirroring_changes_the_sign_of_the_odd_numbers():
    mirrored = signature(np.ascontiguousarray(gray()[:, ::-1]))
    # Cosines of odd frequency are odd about the middle; resizing rounds to whole gray values.
    np.testing.assert_allclose(mirrored, np.where(ODD, -1, 1) * signature(gray()), atol=0.01)


def test_one_gray_value_has_no_signature():
    assert not signature(np.full([48, 48], 7, np.uint8)).any()
