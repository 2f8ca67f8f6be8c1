"""One drawn face: the expression reaches the picture, and so does everything that is nuisance."""

import numpy as np
import pytest

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.drawn_faces.drawing import FaceGeometry, draw_face
from ldl_fer.preparation.drawn_faces.latents import LATENT_PROTOTYPES, face_geometry

HAPPY = CLASS_NAMES.index("Happy")


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("axis, rows", [(0, slice(30, 46)), (3, slice(18, 34))])
def test_the_latent_reaches_the_picture(axis, rows):
    """Same person and camera, another latent: the part of the face it moves changes most."""
    ends = np.zeros((2, 4))
    ends[:, axis] = (-0.8, 0.8) if axis == 0 else (0.0, 0.6)
    change = np.zeros((48, 48))
    for seed in range(12):
        first, second = (
            draw_face(face_geometry(end), generator(seed), 48).astype(float) for end in ends
        )
        change += np.abs(first - second).mean(axis=-1)
    inside = change[rows, 10:38].mean()
    border = np.concatenate([change[:4].ravel(), change[:, :4].ravel(), change[:, -4:].ravel()])
    assert inside > 5 * border.mean()


def test_nuisance_makes_every_picture_of_one_latent_differ():
    geometry = face_geometry(LATENT_PROTOTYPES[HAPPY])
    pictures = [draw_face(geometry, generator(seed), 24) for seed in range(5)]
    for i in range(5):
        for j in range(i):
            assert np.abs(pictures[i].astype(int) - pictures[j]).mean() > 5


def test_extreme_geometry_is_drawn():
    for value in (-1e3, 1e3):
        geometry = FaceGeometry(*[value] * len(FaceGeometry._fields))
        picture = draw_face(geometry, generator(), 32)
        assert picture.shape == (32, 32, 3)
        assert picture.std() > 5


def test_the_same_generator_state_draws_the_same_picture():
    geometry = face_geometry(LATENT_PROTOTYPES[HAPPY])
    first, again = (draw_face(geometry, generator(3), 24) for _ in range(2))
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
