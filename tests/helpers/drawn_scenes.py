"""Gray pictures with drawn faces at known places, for the tests of finding faces."""

import numpy as np

from ldl_fer.preparation.drawn_faces.drawing import FaceGeometry, draw_face


def drawn(size=128, person=4):
    """Both detectors see nearly all drawn people; the cascade misses person 2, for one."""
    return draw_face(FaceGeometry(*[0.0] * 11), np.random.default_rng(person), size)


def scene(*places, shape=(300, 400)):
    """A gray picture with a drawn face of some size at each (x, y, size)."""
    picture = np.full([*shape, 3], 128, np.uint8)
    for person, (x, y, size) in enumerate(places, start=4):
        picture[y : y + size, x : x + size] = drawn(size, person)
    return picture


def center(face):
    x, y, width, height = face.box
    return x + width / 2, y + height / 2


def is_at(face, x, y, size):
    """The box's center lies in the middle half of the square."""
    across, down = center(face)
    return abs(across - x - size / 2) < size / 4 and abs(down - y - size / 2) < size / 4
