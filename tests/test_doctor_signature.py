"""Signatures: alike for one picture in many versions, unlike for different ones."""

import cv2
import numpy as np
import pytest
from made_up_split import blurred

from ldl_fer.doctor.signature import ODD, signature


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
