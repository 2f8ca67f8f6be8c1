"""Splits and pictures made up for the tests of the doctor."""

import cv2
import numpy as np

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.affect.prototypes import PROTOTYPES
from ldl_fer.preparation.doctor.split import Split


def made_up_split(
    labels, plane=None, name="train", paths=None, folder=".", class_names=CLASS_NAMES
):
    """A split without problems; valence-arousal near the place of each row's class."""
    labels = np.asarray(labels, np.int32)
    if plane is None:
        places = np.array([PROTOTYPES[name] for name in CLASS_NAMES])
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, [len(labels), 2])
        plane = np.clip(places[labels] + noise, -1, 1)
    paths = paths or [f"{row}.png" for row in range(len(labels))]
    return Split(name, "a.csv", folder, tuple(class_names), paths, labels, np.array(plane), [])


def blurred(seed, side=48):
    """A picture of random, large spots: uint8 [side, side, 3]."""
    noise = np.random.default_rng(seed).normal(size=(side, side, 3)).astype(np.float32)
    return cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), side / 12), None, 10, 245, cv2.NORM_MINMAX
    ).astype(np.uint8)


def picture_file(folder, name, picture):
    """Writes a picture and returns its name."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), picture)
    return name
