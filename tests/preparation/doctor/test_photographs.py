"""Versions of one photograph are told from two photographs of one session."""

import itertools

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.made_up_split import made_up_split, picture_file

from ldl_fer.preparation.doctor.photographs import ONE_PHOTOGRAPH, agreement, of_one_photograph
from ldl_fer.preparation.doctor.pictures import look_at, signature
from ldl_fer.preparation.drawn_faces.drawing import draw_face
from ldl_fer.preparation.drawn_faces.latents import LATENT_PROTOTYPES, face_geometry


def drawn(person, label, size=96):
    """Draws a gray face: the same person, light, background and noise for all labels."""
    geometry = face_geometry(LATENT_PROTOTYPES[label])
    return cv2.cvtColor(
        draw_face(geometry, np.random.default_rng(person), size), cv2.COLOR_RGB2GRAY
    )


def moved(picture, x, y):
    size = picture.shape[::-1]
    return cv2.warpAffine(
        picture, np.float32([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REPLICATE
    )


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)


VERSIONS = {
    "JPEG": lambda x: jpeg(x, 50),
    "larger": lambda x: cv2.resize(x, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC),
    "smaller": lambda x: cv2.resize(x, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
    "a pixel to the right": lambda x: moved(x, 1, 0),
    "a pixel up": lambda x: moved(x, 0, -1),
    "brighter": lambda x: cv2.convertScaleAbs(x, alpha=1.0, beta=25),
    "less contrast": lambda x: cv2.convertScaleAbs(x, alpha=0.6, beta=30),
    "cut": lambda x: x[1:-1, 1:-1],
    "all at once": lambda x: cv2.convertScaleAbs(jpeg(moved(x, 1, 1), 70), alpha=0.8, beta=9),
}


def is_one(first, second):
    return agreement(first, second) >= ONE_PHOTOGRAPH


@pytest.mark.slow
@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("size", [48, 224])
def test_versions_of_drawn_faces_are_one_photograph(name, size):
    pictures = [drawn(person, person % 7, size) for person in range(12)]
    assert np.mean([is_one(x, VERSIONS[name](x)) for x in pictures]) > 0.9


@pytest.mark.parametrize("name", VERSIONS)
def test_versions_of_real_faces_are_one_photograph(name, ferplus):
    paths = pd.read_csv(ferplus / "val.csv").subDirectory_filePath[:100]
    pictures = [cv2.imread(str(ferplus / "images" / path), 0) for path in paths]
    assert np.mean([is_one(x, VERSIONS[name](x)) for x in pictures]) > 0.95


def alike_expressions():
    """Yields pairs of one person with two expressions that the doctor takes for near duplicates."""
    for person in range(6):
        faces = [drawn(person, label) for label in range(7)]
        for first, second in itertools.combinations(faces, 2):
            if signature(first) @ signature(second) >= 0.95:
                yield first, second


def test_two_expressions_of_one_person_are_two_photographs():
    found = [is_one(first, second) for first, second in alike_expressions()]
    assert len(found) > 60 and np.mean(found) < 0.02


def smiling(face):
    """Returns the face with the corners of the mouth pulled up by three pixels of 48."""
    y, x = np.mgrid[:48, :48].astype(np.float32)
    pull = sum(np.exp(-((x - c) ** 2 + (y - 36) ** 2) / 18) for c in (16, 32))
    return cv2.remap(face, x, y + 3 * pull, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def test_real_faces_whose_mouth_moved_are_two_photographs(ferplus):
    paths = pd.read_csv(ferplus / "val.csv").subDirectory_filePath[:100]
    pictures = [cv2.imread(str(ferplus / "images" / path), 0) for path in paths]
    assert np.mean([is_one(x, smiling(x)) for x in pictures]) < 0.2


# Near duplicates of the development faces that were looked at: two people, or two expressions.
TWO = [
    ("val/fer0031338.png", "test/fer0032350.png"),
    ("train/fer0020554.png", "test/fer0033094.png"),
    ("train/fer0025103.png", "train/fer0025734.png"),
    ("val/fer0029718.png", "test/fer0035611.png"),
]


@pytest.mark.parametrize("names", TWO)
def test_real_faces_that_only_look_alike_are_two_photographs(names, ferplus):
    pictures = [cv2.imread(str(ferplus / "images" / name), 0) for name in names]
    assert signature(pictures[0]) @ signature(pictures[1]) >= 0.95
    assert not is_one(*pictures)


def test_pictures_of_nothing_agree_in_nothing():
    flat = np.full([48, 48], 90, np.uint8)
    assert agreement(flat, flat) == -1.0
    assert not is_one(flat, drawn(0, 1, 48)) and not is_one(drawn(0, 1, 48), flat)


def test_pairs_are_read_from_their_files_mirrored_or_not(tmp_path):
    face = drawn(3, 1)
    pictures = [face, face[:, ::-1].copy(), jpeg(face, 60), drawn(3, 2)]
    names = [picture_file(tmp_path, f"{n}.png", picture) for n, picture in enumerate(pictures)]
    looked = look_at([made_up_split([0] * 4, paths=names, folder=tmp_path)], progress=False)
    pairs = np.array([[0, 1], [0, 1], [0, 2], [0, 3]])
    mirrored = np.array([True, False, False, False])
    assert of_one_photograph(looked, pairs, mirrored, False).tolist() == [True, False, True, False]
    (tmp_path / "2.png").unlink()  # since it was looked at
    assert not of_one_photograph(looked, pairs[2:3], mirrored[2:3], False).any()
    assert of_one_photograph(looked, pairs[:0], mirrored[:0], False).shape == (0,)
