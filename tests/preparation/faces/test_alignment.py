"""Aligned faces land on the template, unmirrored, averaged down, black beyond the picture."""

import numpy as np
import pytest

from ldl_fer.preparation.faces.alignment import TEMPLATE, aligned, similarity
from ldl_fer.preparation.faces.detector import Face


@pytest.mark.parametrize("size", [48, 112, 224])
@pytest.mark.parametrize("scale", [0.4, 1.0, 6.3])
@pytest.mark.parametrize("degrees", [-170, -30, 0, 75])
def test_landmarks_land_on_the_template(size, scale, degrees):
    # A picture with a white dot at each landmark, turned, scaled and shifted from the template.
    turn = scale * np.exp(1j * np.radians(degrees))
    points = turn * ((TEMPLATE - 56) @ [1, 1j]) + 520 + 480j
    landmarks = np.column_stack([points.real, points.imag]).astype(np.float32)
    in_crop = landmarks @ similarity(landmarks, size)[:, :2].T + similarity(landmarks, size)[:, 2]
    # Pixel centers: x of 112 becomes (x + 1/2) size / 112 - 1/2.
    np.testing.assert_allclose(in_crop, (TEMPLATE + 0.5) * size / 112 - 0.5, atol=1e-3)
    picture = np.zeros([1000, 1100, 3], np.uint8)
    for x, y in landmarks:  # a smooth dot, 1.5 pixels wide in the crop
        width = max(1.5 * scale * 112 / size, 0.8)
        rows, columns = (slice(int(v - 4 * width), int(v + 4 * width) + 2) for v in (y, x))
        yy, xx = np.mgrid[rows, columns]
        dot = 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * width**2))
        picture[rows, columns] = np.maximum(picture[rows, columns], dot[..., None])
    crop = aligned(picture, Face((0, 0, 1, 1), 1.0, landmarks), size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    yy, xx = np.mgrid[:size, :size]
    for x, y in in_crop:  # the dot's center of mass
        near = crop[..., 0] * ((xx - x) ** 2 + (yy - y) ** 2 < (0.06 * size) ** 2)
        found = (near * xx).sum() / near.sum(), (near * yy).sum() / near.sum()
        np.testing.assert_allclose(found, (x, y), atol=0.5)


def test_a_face_already_on_the_template_is_copied():
    picture = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    face = Face((0, 0, 112, 112), 1.0, TEMPLATE.astype(np.float32))
    # Landmarks are float32, so the identity is one within 1e-6 and pixels within a level.
    np.testing.assert_allclose(aligned(picture, face, 112).astype(int), picture, atol=1)


def test_a_similarity_never_mirrors():
    mirrored = (TEMPLATE * [-1, 1] + [112, 0]).astype(np.float32)
    matrix = similarity(mirrored, 112)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_box_without_landmarks_becomes_a_square_around_it():
    picture = np.zeros([200, 300, 3], np.uint8)
    picture[60:160, 100:200] = 255
    crop = aligned(picture, Face((100, 60, 100, 100), 0.5), 114)
    # 1.14 box widths are 114 pixels: scale 1. The square's center is the box's, 1 pixel (0.01) to
    # the left and 9 (0.09) above: it starts at x 149 - 57 = 92, y 101 - 57 = 44.
    np.testing.assert_array_equal(crop, picture[44:158, 92:206])


def test_beyond_the_picture_is_black():
    white = np.full([100, 100, 3], 255, np.uint8)
    crop = aligned(white, Face((-50, -50, 100, 100), 0.5), 64)
    assert crop[:25, :25].max() == 0
    assert crop[-20:, -20:].min() == 255
    assert aligned(white, Face((900, 900, 100, 100), 0.5), 64).max() == 0


def test_large_faces_are_averaged_not_sampled():
    checks = np.indices([2000, 2000]).sum(0) % 2 * 255
    picture = np.dstack([checks] * 3).astype(np.uint8)
    crop = aligned(picture, Face((400, 400, 1200, 1200), 0.5), 64)
    # Black and white pixels in turn: gray; sampling would give black, white or a pattern of both.
    assert np.abs(crop.astype(float) - 127.5).max() < 16
