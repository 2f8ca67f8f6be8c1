"""FER2013 (Goodfellow et al., ICML workshop 2013), with its own labels.

    ROOT/fer2013.csv    emotion, pixels, Usage    (or icml_face_data.csv; or in ROOT/fer2013)

0 Anger, 1 Disgust, 2 Fear, 3 Happy, 4 Sad, 5 Surprise, 6 Neutral; Usage Training, PublicTest and
PrivateTest are train, val and test. Its pixels are written as PNG files, see --image_dir, called by
row: train/0000000.png. There is no valence and arousal.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import PATH, AnnotationError
from ldl_fer.preparation.datasets.data_set import ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import csv_chunks, found, must_find

LABEL_ORDER = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SPLIT_OF_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_FILES = [
    f"{home}{name}.csv" for home in ("", "fer2013/") for name in ("fer2013", "icml_face_data")
]
_SIDE = 48  # pixels
_CHUNK = 1000  # rows read at a time
_ROWS = 35887  # of the original file, for the bar


def fer2013_file(root: Path) -> Path | None:
    """Finds FER2013's CSV under the root; None if it is not there."""
    return found(root, _FILES)


def read_fer2013(path: Path, pixels: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads FER2013's CSV.

    Args:
      path: the file.
      pixels: False leaves the pictures unread.

    Returns:
      labels, int [N], 0 to 6; splits, text [N]; pictures, uint8 [N, 48, 48], or [0, 48, 48].

    Raises:
      AnnotationError: a cell is wrong; it lists all that are.
    """
    labels, splits, pictures, problems = [], [], [], []
    columns = ("emotion", "Usage", *(("pixels",) if pixels else ()))
    with tqdm(None, f"reading {path.name}", _ROWS, unit="picture", delay=2) as bar:
        for part in csv_chunks(path, columns, rows=_CHUNK):
            for line, label, usage, *rest in part.itertuples():
                picture = _picture(rest[0]) if pixels else None
                wrong = [
                    (
                        label.strip() not in tuple("0123456"),
                        f"emotion is {label!r}, none of 0 to 6",
                    ),
                    (usage.strip() not in SPLIT_OF_USAGE, _usage_problem(usage)),
                    (
                        pixels and picture is None,
                        f"pixels are not {_SIDE * _SIDE} numbers from 0 to 255",
                    ),
                ]
                problems += [(None, f"line {line}: {text}") for is_so, text in wrong if is_so]
                labels.append(label.strip())
                splits.append(SPLIT_OF_USAGE.get(usage.strip(), ""))
                pictures += [picture] if pixels else []
            bar.update(len(part))
    if problems:
        raise AnnotationError(path, problems)
    images = np.array(pictures, np.uint8).reshape(-1, _SIDE, _SIDE)
    return np.array(labels).astype(int), np.array(splits), images


def png(image: np.ndarray) -> bytes:
    """Encodes an image, uint8 [H, W], as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def fer2013_rows(root: Path, splits: tuple[str, ...]) -> Rows:
    """Reads the rows with FER2013's own labels; see `Reader.rows`.

    Raises:
      InputError: the file is not there, or a cell of it is wrong.
    """
    path = must_find(root, _FILES, "FER2013", "It is Kaggle's fer2013.csv.")
    labels, split, images = read_fer2013(path)
    there = {s: True if s in split else None for s in SPLIT_OF_USAGE.values()}
    chosen = wanted_splits(there, splits, root, f"rows of {path}")
    kept = np.flatnonzero(np.isin(split, list(chosen)))
    paths = [f"{split[row]}/{row:07d}.png" for row in kept]
    row_of = dict(zip(paths, kept, strict=True))
    columns = {CLASS: np.array(LABEL_ORDER)[labels[kept]], SPLIT: split[kept]}
    table = pd.DataFrame({PATH: paths, **columns, ORIGINAL: labels[kept]})
    return Rows(table, picture=lambda path: png(images[row_of[path]]))


def _usage_problem(usage: str) -> str:
    return f"Usage is {usage!r}, none of {', '.join(SPLIT_OF_USAGE)}"


def _picture(text: str) -> np.ndarray | None:
    try:
        values = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        return None
    fits = values.size == _SIDE * _SIDE and values.min() >= 0 and values.max() <= 255
    return values.astype(np.uint8) if fits else None


READER = Reader(
    name="fer2013",
    title="FER2013",
    rows=fer2013_rows,
    label_order=LABEL_ORDER,
    published_counts={
        "train": (4965, 7215, 4830, 3171, 4097, 436, 3995),
        "val": (607, 895, 653, 415, 496, 56, 467),
        "test": (626, 879, 594, 416, 528, 55, 491),
    },
)
