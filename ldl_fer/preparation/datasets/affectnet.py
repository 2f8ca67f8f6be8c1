"""AffectNet, manually annotated (Mollahosseini, Hasani and Mahoor, TAC 2017), in both layouts.

The first release:
    ROOT/Manually_Annotated_file_lists/training.csv, validation.csv    (or in ROOT)
        subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks,
        expression, valence, arousal; validation.csv has no header
    ROOT/Manually_Annotated_Images/103/29a31e....jpg    (or in Manually_Annotated/)

The second, of cropped faces:
    ROOT/train_set/images/0.jpg,  ROOT/train_set/annotations/0_exp.npy, 0_val.npy, 0_aro.npy
    ROOT/val_set/...

0 Neutral, 1 Happy, 2 Sad, 3 Surprise, 4 Fear, 5 Disgust, 6 Anger, 7 Contempt, 8 None, 9 Uncertain,
10 No-Face. Contempt is left out unless it is among --class_names, and so are 8 to 10. A valence or
arousal of -2 means that there is none; such a row is left out and counted, since the method needs
both. Papers test on the validation set. The face's box is carried along as face_x, ..., pixels.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import (
    AROUSAL,
    BOX,
    LABEL,
    PATH,
    VALENCE,
    AnnotationError,
)
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import csv_chunks, found, must_find, pictures_under

LABEL_ORDER = (
    *("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"),
    *("none", "uncertain", "no-face"),
)
LANDMARKS = "facial_landmarks"  # column: 136 numbers joined by ;
HEADER = (PATH, *BOX, LANDMARKS, LABEL, VALENCE, AROUSAL)
_LISTS = {"train": "training.csv", "val": "validation.csv"}
_LISTED = {"train": 414799, "val": 5500}  # rows of the original files, for the bar
_CHUNK = 20000  # rows read at a time
_HOMES = ("", "Manually_Annotated_file_lists/", "Manually_Annotated/Manually_Annotated_file_lists/")
_PICTURES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "images")


def affectnet_rows(root: Path, splits: tuple[str, ...]) -> Rows:
    """Reads the rows of whichever layout is there; see `Reader.rows`.

    Raises:
      InputError: files are not there, or hold other than the numbers above.
    """
    folders = {split: found(root, [f"{split}_set/annotations"]) for split in _LISTS}
    lists = {s: found(root, [home + name for home in _HOMES]) for s, name in _LISTS.items()}
    sought = (
        "training.csv and validation.csv, also in Manually_Annotated_file_lists, and train_set and "
        "val_set with annotations. Give AffectNet's folder as --root"
    )
    if any(folders.values()):
        chosen = wanted_splits(folders, splits, root, sought)
        parts = [_of_arrays(root, split, folder) for split, folder in chosen.items()]
    else:
        chosen = wanted_splits(lists, splits, root, sought)
        cure = "Unpack the pictures there."
        folder = must_find(root, _PICTURES, "AffectNet's pictures", cure).relative_to(root)
        parts = [_of_list(folder, split, path) for split, path in chosen.items()]
    table = pd.concat(parts, ignore_index=True)
    absent = (table[[VALENCE, AROUSAL]] == -2).any(axis=1)
    absent &= table[ORIGINAL] < LABEL_ORDER.index("none")  # 8 to 10 have another reason
    left_out = Counter((split, "valence or arousal absent") for split in table[SPLIT][absent])
    return Rows(table[~absent], left_out)


def _of_list(folder: Path, split: str, path: Path) -> pd.DataFrame:
    columns = (PATH, *BOX, LABEL, VALENCE, AROUSAL)
    with tqdm(None, f"reading {path.name}", _LISTED[split], unit="row", delay=2) as bar:
        parts = []
        for chunk in csv_chunks(path, columns, HEADER, _CHUNK):
            parts.append(chunk)
            bar.update(len(chunk))
    part = pd.concat(parts)
    numbers = part[[*BOX, LABEL, VALENCE, AROUSAL]].apply(pd.to_numeric, errors="coerce")
    _check(numbers, path, [f"line {line}" for line in part.index])
    box = numbers[list(BOX)].round().astype("Int64")
    paths = [(folder / name.strip()).as_posix() for name in part[PATH]]
    return _table(paths, split, numbers).join(box.reset_index(drop=True))


def _of_arrays(root: Path, split: str, folder: Path) -> pd.DataFrame:
    pictures = folder.parent / "images"
    names = {Path(name).stem: name for name in pictures_under(pictures)[0]}
    stems = [file.name.removesuffix("_exp.npy") for file in folder.glob("*_exp.npy")]
    if not stems:
        raise InputError(f"{folder} has no *_exp.npy. Unpack AffectNet's annotations there.")
    stems.sort(key=lambda stem: (len(stem), stem))
    values = [
        [_number(folder / f"{stem}_{kind}.npy") for kind in ("exp", "val", "aro")]
        for stem in tqdm(stems, f"reading {split} annotations", unit="picture", delay=2)
    ]
    numbers = pd.DataFrame(values, columns=[LABEL, VALENCE, AROUSAL])
    _check(numbers, folder, stems)
    place = pictures.relative_to(root).as_posix()
    paths = [f"{place}/{names.get(stem, stem + '.jpg')}" for stem in stems]
    return _table(paths, split, numbers)


def _number(file: Path) -> float:
    """Reads the number in a .npy file, stored as one or as text."""
    try:
        return float(np.load(file).item())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it does not hold one number"
        raise InputError(f"{file} cannot be read: {reason}. Unpack the data set again.") from error


def _check(numbers: pd.DataFrame, file: Path, where: list[str]) -> None:
    last, problems = len(LABEL_ORDER) - 1, []
    rules = {
        LABEL: (lambda x: (x >= 0) & (x <= last) & (x == np.floor(x)), f"none of 0 to {last}"),
        VALENCE: (lambda x: (abs(x) <= 1) | (x == -2), "neither in [-1, 1] nor -2"),
        AROUSAL: (lambda x: (abs(x) <= 1) | (x == -2), "neither in [-1, 1] nor -2"),
    }
    for name, (fits, text) in rules.items():
        values = numbers[name].to_numpy(float)
        for row in np.flatnonzero(~fits(values)):
            problems.append((None, f"{where[row]}: {name} is {values[row]:g}, {text}"))
    if problems:
        raise AnnotationError(file, problems)


def _table(paths: list[str], split: str, numbers: pd.DataFrame) -> pd.DataFrame:
    labels = numbers[LABEL].to_numpy(int)
    columns = {PATH: paths, CLASS: np.array(LABEL_ORDER)[labels], SPLIT: split, ORIGINAL: labels}
    return pd.DataFrame(columns | {n: numbers[n].to_numpy(float) for n in (VALENCE, AROUSAL)})


READER = Reader(
    name="affectnet",
    title="AffectNet, manually annotated",
    rows=affectnet_rows,
    label_order=LABEL_ORDER,
    published_counts={
        "train": (74874, 134415, 25459, 14090, 6378, 3803, 24882),
        "val": (500, 500, 500, 500, 500, 500, 500),
    },
)
