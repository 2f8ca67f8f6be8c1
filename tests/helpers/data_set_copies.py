"""Made-up copies of data-set layouts, a few tiny pictures each, for the tests of the readers."""

import cv2
import numpy as np
import pytest

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS

EIGHT = (*CLASS_NAMES, "Contempt")


def picture(path, value=0):
    """Writes a picture of 4 x 4 equal pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full([4, 4], value, np.uint8))


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def raf_db(root, labels=(1, 2, 3, 4, 5, 6, 7), home=""):
    """One training picture for each label, and one test picture, labeled 4."""
    names = [(f"train_{n:05d}", label) for n, label in enumerate(labels, 1)] + [("test_0001", 4)]
    text(root / home / "EmoLabel/list_patition_label.txt", *(f"{n}.jpg {x}" for n, x in names))
    for name, _ in names:
        picture(root / home / f"Image/aligned/{name}_aligned.jpg")
    return root


def affectnet(root, rows, validation=()):
    """Rows of (file, label, valence, arousal); the validation list has no header, as released."""
    lists = root / "Manually_Annotated_file_lists"
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks"
    for name, head, content in (
        ("training.csv", [header + ",expression,valence,arousal"], rows),
        ("validation.csv", [], validation),
    ):
        lines = [f"{file},1,2,30,40,1.5;2.5,{x},{v},{a}" for file, x, v, a in content]
        text(lists / name, *head, *lines)
        for file, *_ in content:
            picture(root / "Manually_Annotated_Images" / file)
    return root


def affectnet_arrays(root, split, rows):
    """Rows of (label, valence, arousal), numbered; stored as text, as released."""
    folder = root / f"{split}_set"
    (folder / "annotations").mkdir(parents=True)
    for number, row in enumerate(rows):
        picture(folder / f"images/{number}.jpg")
        for kind, value in zip(("exp", "val", "aro"), row, strict=True):
            np.save(folder / f"annotations/{number}_{kind}.npy", np.array(str(value)))
    return root


def fer2013(root, rows):
    """Rows of (label, value of all pixels, Usage)."""
    lines = [f"{label},{' '.join([str(value)] * 48 * 48)},{usage}" for label, value, usage in rows]
    text(root / "fer2013.csv", "emotion,pixels,Usage", *lines)
    return root


def ferplus(root, rows):
    """Rows of (Usage, image name, ten votes as they stand in fer2013new.csv)."""
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt"
    lines = [",".join(map(str, (usage, name, *votes))) for usage, name, votes in rows]
    text(root / "fer2013new.csv", header + ",unknown,NF", *lines)
    return root


def class_folders(root, *paths):
    for path in paths:
        picture(root / path)
    return root


def names_of(data_set, split):
    """Returns the class name of each row."""
    annotations = data_set.splits[split]
    return [annotations.class_names[label] for label in annotations.labels]


def complaint(name, root, **arguments):
    """Returns the error of a reader that refuses a folder."""
    with pytest.raises(InputError) as caught:
        READERS[name].read(root, **arguments)
    return str(caught.value)
