"""FER+ (Barsoum et al., ICMI 2016): FER2013's pictures with ten people's votes.

    ROOT/fer2013new.csv    Usage, Image name, neutral, happiness, surprise, sadness, anger, disgust,
                           fear, contempt, unknown, NF    (or in ROOT/FERPlus)
    ROOT/fer2013.csv       FER2013's own file: as many rows, in the same order
    ROOT/FER2013Train, FER2013Valid, FER2013Test    or these, with PNG files called by `Image name`
                           (or in ROOT/data or ROOT/images)

Where the folders are not there, PNG files are made of the pixels in fer2013.csv, see --image_dir.
The two files are joined by row, the folders by `Image name` (which is not a row number). Usage
Training, PublicTest and PrivateTest are train, val and test.

--rule says how votes become a label:
    majority   emotions with a single vote are set aside as slips; the label is what has more than
               half of the votes left, as in FER+'s own training by majority
    plurality  what has most votes
    votes      what has most votes, if these are at least --min_votes
Ties are no label. Unknown and NF (no face) take part. Left out and counted are pictures without an
image name, which FER+ removed as no faces; without a label by the rule; won by unknown or NF; and
won by contempt, unless it is among --class_names. Their votes stay in votes_contempt,
votes_unknown and votes_nf beside votes_neutral, ...

FER2013's own label, 0 Anger, 1 Disgust, 2 Fear, 3 Happy, 4 Sad, 5 Surprise, 6 Neutral, is carried
as original_label where fer2013.csv is there. There is no valence and arousal.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.data.annotation_checks import PATH, AnnotationError
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.fer2013 import SPLIT_OF_USAGE, fer2013_file, png, read_fer2013
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import csv_chunks, found, must_find
from ldl_fer.preparation.datasets.vote_rules import check_rule, winners

# Columns of fer2013new.csv in their order, and what we call them.
_VOTES = {
    **{"neutral": "Neutral", "happiness": "Happy", "surprise": "Surprise", "sadness": "Sad"},
    **{"anger": "Anger", "disgust": "Disgust", "fear": "Fear", "contempt": "Contempt"},
    **{"unknown": "unknown", "NF": "nf"},
}
LABEL_ORDER = tuple(_VOTES.values())[:8]
_NAMES = np.array(list(_VOTES.values()))
_FILES = ("fer2013new.csv", "FERPlus/fer2013new.csv", "FERPlus-master/fer2013new.csv")
_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
_HOMES = ("", "data/", "images/")


def ferplus_rows(root: Path, splits: tuple[str, ...], rule: str, min_votes: int | None) -> Rows:
    """Reads the rows that have a label by the rule; see `Reader.rows`.

    Args:
      rule, min_votes: as in `vote_rules.winners`.

    Raises:
      InputError: files are not there, do not belong together or hold other than said above.
    """
    check_rule(rule, min_votes)
    cure = "It is at https://github.com/microsoft/FERPlus."
    path = must_find(root, _FILES, "FER+'s votes", cure)
    names, split, votes = _read_votes(path)
    folders = {s: found(root, [home + name for home in _HOMES]) for s, name in _FOLDERS.items()}
    are_files = any(folders.values())
    if not are_files:
        folders = {s: root / name for s, name in _FOLDERS.items()}  # to be written
    sought = f"{', '.join(_FOLDERS.values())}, also in data and images"
    chosen = wanted_splits(folders, splits, root, sought)
    pixels = fer2013_file(root)
    if pixels is None and not are_files:
        raise InputError(
            f"{root} has neither fer2013.csv nor {', '.join(_FOLDERS.values())}. Put Kaggle's file "
            "there."
        )
    originals, images = pd.Series(dtype=int), None
    if pixels is not None:
        labels, other_split, images = read_fer2013(pixels, pixels=not are_files)
        _check_same_rows(split, other_split, path, pixels)
        originals = pd.Series(labels)

    won, wanted, named = winners(votes, rule, min_votes), np.isin(split, list(chosen)), names != ""
    left_out = Counter()
    for reason, rows in (
        ("removed by FER+ as no face", wanted & ~named),
        (f"no label by --rule={rule}", wanted & named & (won < 0)),
    ):
        left_out.update((one, reason) for one in split[rows].tolist())
    kept = np.flatnonzero(wanted & named & (won >= 0))
    place = {s: folder.relative_to(root).as_posix() for s, folder in chosen.items()}
    paths = [f"{place[split[row]]}/{names[row]}" for row in kept]
    columns = {PATH: paths, CLASS: _NAMES[won[kept]], SPLIT: split[kept]}
    columns[ORIGINAL] = originals.reindex(kept).astype("Int64").to_numpy()
    columns |= {f"votes_{name.lower()}": votes[kept, n] for n, name in enumerate(_NAMES)}
    row_of = dict(zip(paths, kept, strict=True))
    picture = None if are_files or images is None else lambda path: png(images[row_of[path]])
    return Rows(pd.DataFrame(columns), left_out, picture)


def _read_votes(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads image names and splits, text [N], and votes, int [N, 10]."""
    (table,) = csv_chunks(path, ("Usage", "Image name", *_VOTES))
    split = table["Usage"].str.strip().map(SPLIT_OF_USAGE)
    votes = table[list(_VOTES)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    problems = [
        (
            None,
            f"line {line}: Usage is {table['Usage'][line]!r}, none of {', '.join(SPLIT_OF_USAGE)}",
        )
        for line in table.index[split.isna()]
    ]
    fits = (votes >= 0) & (votes == np.floor(votes))
    for row, column in zip(*np.nonzero(~fits), strict=True):
        line, name = table.index[row], list(_VOTES)[column]
        text = f"line {line}: {name} is {table[name][line]!r}, not a number of votes"
        problems.append((None, text))
    if problems:
        raise AnnotationError(path, problems)
    names = table["Image name"].str.strip().to_numpy(str)
    return names, split.to_numpy(str), votes.astype(int)


def _check_same_rows(split: np.ndarray, other: np.ndarray, path: Path, other_path: Path) -> None:
    cure = "Both files must be as downloaded, rows in their order."
    if len(split) != len(other):
        raise InputError(
            f"{path} has {len(split)} rows and {other_path} {len(other)}, but they are joined by "
            f"row. {cure}"
        )
    apart = np.flatnonzero(split != other)
    if apart.size:
        row = int(apart[0])
        raise InputError(
            f"{path} and {other_path} are joined by row, but row {row} (from 0) is {split[row]} in "
            f"one and {other[row]} in the other. {cure}"
        )


READER = Reader(
    name="ferplus",
    title="FER+ with FER2013's pictures",
    rows=ferplus_rows,
    label_order=LABEL_ORDER,
    published_counts={},
    options={"rule": "majority", "min_votes": None},
)
