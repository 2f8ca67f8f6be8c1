"""RAF-DB, basic emotions (Li, Deng and Du, CVPR 2017).

    ROOT/EmoLabel/list_patition_label.txt    or ROOT/list_patition_label.txt
        lines `train_00001.jpg 5`; 1 Surprise, 2 Fear, 3 Disgust, 4 Happy, 5 Sad, 6 Anger, 7 Neutral
    ROOT/Image/aligned/train_00001_aligned.jpg
    ROOT/Image/original/train_00001.jpg

ROOT may also be the folder above, with `basic` in it. It has no valence and arousal.
"""

from pathlib import Path

import pandas as pd

from ldl_fer.data.annotation_checks import PATH, AnnotationError
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import lines_of, must_find

LABEL_ORDER = ("Surprise", "Fear", "Disgust", "Happy", "Sad", "Anger", "Neutral")
_LIST = "list_patition_label.txt"  # sic
_HOMES = ("", "basic/")


def raf_db_rows(root: Path, splits: tuple[str, ...], pictures: str) -> Rows:
    """Reads the rows of the list; see `Reader.rows`.

    Args:
      pictures: "aligned" or "original".

    Raises:
      InputError: list or pictures are not there, or a line is not `file label` with 1 to 7.
    """
    places = [home + place for home in _HOMES for place in (f"EmoLabel/{_LIST}", _LIST)]
    listed = must_find(root, places, "RAF-DB's labels", "Give RAF-DB's folder as --root.")
    folders = [f"{home}{place}" for home in _HOMES for place in (f"Image/{pictures}", pictures)]
    other = "original" if pictures == "aligned" else "aligned"
    folder = must_find(
        root,
        folders,
        f"RAF-DB's {pictures} pictures",
        f"Unpack {pictures}.zip there, or give --pictures={other}.",
    ).relative_to(root)
    rows, problems = [], []
    for line, text in lines_of(listed):
        file, _, label = text.rpartition(" ")
        file, split = file.strip(), file.strip().partition("_")[0]
        if split not in ("train", "test"):
            problems.append((None, f"line {line}: {text!r} is not such as `train_00001.jpg 5`"))
        elif label not in ("1", "2", "3", "4", "5", "6", "7"):
            problems.append((None, f"line {line}: label {label} of {file} is none of 1 to 7"))
        else:
            if pictures == "aligned":
                file = f"{Path(file).stem}_aligned{Path(file).suffix}"
            path = (folder / file).as_posix()
            rows.append((path, LABEL_ORDER[int(label) - 1], split, int(label)))
    if problems:
        raise AnnotationError(listed, problems)
    if not rows:
        raise InputError(f"{listed} is empty. Download it again.")
    table = pd.DataFrame(rows, columns=[PATH, CLASS, SPLIT, ORIGINAL])
    there = {split: True if split in set(table[SPLIT]) else None for split in ("train", "test")}
    wanted = wanted_splits(there, splits, root, f"lines of {listed}")
    return Rows(table[table[SPLIT].isin(wanted)])


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
