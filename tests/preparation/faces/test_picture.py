"""The largest, the central or all faces of a picture are chosen."""

from ldl_fer.preparation.faces.detector import Face
from ldl_fer.preparation.faces.picture import chosen


def test_which_face():
    faces = [Face((0, 0, 60, 60), 0.9), Face((170, 120, 50, 50), 0.9)]
    assert chosen(faces, "largest", (300, 400, 3)) == faces[:1]
    assert chosen(faces, "central", (300, 400, 3)) == faces[1:]  # Centers (30, 30) and (195, 145).
    assert chosen(faces, "all", (300, 400, 3)) == faces
    assert chosen([], "central", (300, 400, 3)) == []
