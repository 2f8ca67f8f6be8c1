"""RAF-DB, basic emotions (Li, Deng and Du, CVPR 2017).

    ROOT/EmoLabel/list_patition_label.txt    or ROOT/list_patition_label.txt
        lines `train_00001.jpg 5`; 1 Surprise, 2 Fear, 3 Disgust, 4 Happy, 5 Sad, 6 Anger, 7 Neutral
    ROOT/Image/aligned/train_00001_aligned.jpg
    ROOT/Image/original/train_00001.jpg

or, in the place of the list, numbered class folders:
    ROOT/train/1/train_00001_aligned.jpg, ROOT/test/7/...    or in ROOT/DATASET

ROOT may also be the folder above, with `basic` in it. The list may be spelled list_partition_label,
separated by tabs or commas, name files as `train_00001_aligned.jpg`, and count from 0, and so may
the folders. It has no valence and arousal.
"""

import re
from pathlib import Path

import pandas as pd

from ldl_fer.data.annotation_checks import PATH, AnnotationError
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.class_folders import folder_rows
from ldl_fer.preparation.datasets.data_set import ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import found, lines_of, must_find

LABEL_ORDER = ("Surprise", "Fear", "Disgust", "Happy", "Sad", "Anger", "Neutral")
_LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first is RAF-DB's own
_HOMES = ("", "basic/")
_FOLDER_HOMES = ("", "DATASET", "basic")
_LINE = re.compile(r"(.+?)[\s,;]+(\S+)")


def raf_db_rows(root: Path, splits: tuple[str, ...], pictures: str) -> Rows:
    """Reads the rows of the list; see `Reader.rows`.

    Args:
      pictures: "aligned" or "original".

    Raises:
      InputError: list or pictures are not there, a line is not `file label` with 1 to 7, or the
        list is that of the compound expressions.
    """
    places = [h + p for name in _LISTS for h in _HOMES for p in (f"EmoLabel/{name}", name)]
    if pictures == "aligned" and found(root, places) is None:
        rows_of_folders = _numbered_folders(root, splits)
        if rows_of_folders is not None:
            return rows_of_folders
    cure = "Give RAF-DB's folder as --root. Folders named by emotions are read as class_folders."
    listed = must_find(root, places, "RAF-DB's labels, also as folders train/1 to train/7", cure)
    folders = [f"{home}{place}" for home in _HOMES for place in (f"Image/{pictures}", pictures)]
    other = "original" if pictures == "aligned" else "aligned"
    folder = must_find(
        root,
        folders,
        f"RAF-DB's {pictures} pictures",
        f"Unpack {pictures}.zip there, or give --pictures={other}.",
    ).relative_to(root)
    rows, problems, lines = [], [], _lines(listed)
    first = _first_number({label for _, _, _, label in lines}, listed)
    for line, text, file, label in lines:
        split = file.partition("_")[0]
        if split not in ("train", "test"):
            problems.append((None, f"line {line}: {text!r} is not such as `train_00001.jpg 5`"))
        elif label not in map(str, range(first, first + 7)):
            problems.append((None, f"line {line}: label {label} of {file} is none of 1 to 7"))
        else:
            stem, end = Path(file).stem.removesuffix("_aligned"), Path(file).suffix
            file = f"{stem}_aligned{end}" if pictures == "aligned" else f"{stem}{end}"
            path = (folder / file).as_posix()
            rows.append((path, LABEL_ORDER[int(label) - first], split, int(label)))
    if len(problems) > 20 and not rows:  # another file, rather than mistakes
        raise InputError(
            f"{listed}: none of {len(problems):,} lines is such as `train_00001.jpg 5`; the first "
            f"is {lines[0][1]!r}. Give RAF-DB's own list."
        )
    if problems:
        raise AnnotationError(listed, problems)
    if not rows:
        raise InputError(f"{listed} is empty. Download it again.")
    table = pd.DataFrame(rows, columns=[PATH, CLASS, SPLIT, ORIGINAL])
    there = {split: True if split in set(table[SPLIT]) else None for split in ("train", "test")}
    wanted = wanted_splits(there, splits, root, f"lines of {listed}")
    return Rows(table[table[SPLIT].isin(wanted)])


def _lines(listed: Path) -> list[tuple[int, str, str, str]]:
    """Reads number, text, file name and label of each line; without a line of column names."""
    lines = []
    for line, text in lines_of(listed):
        match = _LINE.fullmatch(text)
        file, label = match.groups() if match else ("", "")
        file, label = (part.strip("\"' ") for part in (file, label))
        if label.lower() not in ("label", "expression", "emotion"):
            lines.append((line, text, Path(file.replace("\\", "/")).name, label))
    return lines


def _first_number(numbers: set[str], place: Path) -> int:
    """Returns the number of Surprise, 0 or 1; refuses those of the compound expressions."""
    if numbers <= set(map(str, range(1, 12))) and numbers & {"8", "9", "10", "11"}:
        raise InputError(
            f"{place} has labels above 7: it is that of RAF-DB's compound expressions (1 to 11). "
            "Give the folder of the basic ones as --root."
        )
    return 0 if "0" in numbers and numbers <= set("0123456") else 1


def _numbered_folders(root: Path, splits: tuple[str, ...]) -> Rows | None:
    """Reads the rows of train/1, ..., test/7; None where there are no such folders."""
    for home in (root / place for place in _FOLDER_HOMES):
        there = {split: home / split for split in ("train", "val", "test")}
        there = {split: place if place.is_dir() else None for split, place in there.items()}
        places = [p for place in there.values() if place for p in place.iterdir() if p.is_dir()]
        numbers = {place.name for place in places if place.name[0] not in "._"}
        if not numbers or not all(map(str.isdecimal, numbers)):
            continue
        first = _first_number(numbers, home)
        names = {str(number): name for number, name in enumerate(LABEL_ORDER, first)}
        if strange := sorted(numbers - set(names)):
            raise InputError(
                f"{home}: {', '.join(strange)} is no class folder of RAF-DB: they are {first} to "
                f"{first + 6}, or read the folder as class_folders with --map."
            )
        rows = folder_rows(root, wanted_splits(there, splits, root, "train, val, test"), names)
        table = rows.table.assign(**{ORIGINAL: rows.table[ORIGINAL].astype(int)})
        return Rows(table, rows.left_out)
    return None


READER = Reader(
    name="raf_db",
    title="RAF-DB, basic emotions",
    rows=raf_db_rows,
    label_order=LABEL_ORDER,
    published_counts={
        "train": (2524, 4772, 1982, 1290, 281, 717, 705),
        "test": (680, 1185, 478, 329, 74, 160, 162),
    },
    options={"pictures": "aligned"},
)
