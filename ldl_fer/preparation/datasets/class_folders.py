"""A folder of pictures for each class, with or without folders of splits above them.

    ROOT/train/happy/a.jpg  ROOT/test/sad/b.jpg    or, without splits,  ROOT/happy/a.jpg

Split folders are train (training), val (valid, validation), test (testing). Class folders are
called as the classes are, or by a usual synonym (happiness, angry, surprised); other names get a
class by --map=FOLDER=Class, or are left out by --leave_out=FOLDER. Kaggle's RAF-DB of numbered
folders is read so:
    --map=1=Surprise,2=Fear,3=Disgust,4=Happy,5=Sad,6=Anger,7=Neutral
Pictures may lie deeper than their class folder. There is no valence and arousal.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, one_name, wanted_splits
from ldl_fer.preparation.datasets.source_files import pictures_under

_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def folder_rows(
    root: Path,
    folders: Mapping[str, Path],
    names: Mapping[str, str] | None = None,
    leave_out: Sequence[str] = (),
) -> Rows:
    """Reads the rows of the pictures in class folders; `ORIGINAL` is the folder's name.

    Args:
      root: folder that the paths start from.
      folders: split -> the folder that holds its class folders.
      names: class folder, in lower case -> its class; others go by `one_name`.
      leave_out: class folders, in lower case, to count only.

    Raises:
      InputError: a folder has no class folders, or these no pictures.
    """
    rows, left_out = [], Counter()
    for split, folder in folders.items():
        classes = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._")
        if not classes:
            raise InputError(f"{folder} has no class folders. See --help for the layout.")
        for place in classes:
            pictures, others = pictures_under(place)
            word, start = place.name.lower(), place.relative_to(root).as_posix()
            if others:
                left_out[split, f"no picture, in {start}"] += others
            if word in leave_out:
                left_out[split, f"--leave_out={place.name}"] += len(pictures)
                continue
            name = one_name((names or {}).get(word, word))
            rows += [(f"{start}/{picture}", name, split, place.name) for picture in pictures]
    if not rows:
        raise InputError(f"{root}: the class folders hold no pictures. See --help for the layout.")
    return Rows(pd.DataFrame(rows, columns=[PATH, CLASS, SPLIT, ORIGINAL]), left_out)


def split_folders(root: Path) -> dict[str, Path]:
    """Returns split -> folder of that name under the root; {"all": root} where there is none.

    Raises:
      InputError: there are two of one split, or other folders beside them.
    """
    split_of = {word: split for split, words in _SPLITS.items() for word in words}
    there, others = {}, []
    for place in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        split = split_of.get(place.name.lower())
        if split in there:
            raise InputError(
                f"{root} has {there[split].name} and {place.name}, both {split}. Move one away."
            )
        if split:
            there[split] = place
        else:
            others.append(place.name)
    if there and others:
        raise InputError(
            f"{root}: beside {', '.join(p.name for p in there.values())} there is "
            f"{', '.join(others)}. Move it away, or give one split's folder as --root."
        )
    return {split: there[split] for split in _SPLITS if split in there} or {ALL: root}


def class_folder_rows(
    root: Path, splits: tuple[str, ...], map: Sequence[str], leave_out: Sequence[str]
) -> Rows:
    """Reads the rows of any folder of classes; see `Reader.rows`.

    Args:
      map: entries FOLDER=Class.
      leave_out: names of class folders.

    Raises:
      InputError: an entry is not of this form or names no folder, or as the functions above.
    """
    pairs = [entry.rpartition("=") for entry in map]
    for entry, (folder, _, name) in zip(map, pairs, strict=True):
        if not folder.strip() or not name.strip():
            raise InputError(f"--map={entry} is not FOLDER=Class, such as --map=4=Happy.")
    meaning = {folder.strip().lower(): name for folder, _, name in pairs}
    skipped = [folder.strip().lower() for folder in leave_out]
    folders = split_folders(root)
    if splits:
        folders = wanted_splits(
            {**dict.fromkeys(_SPLITS), **folders}, splits, root, "their folders"
        )
    there = {place.name.lower() for folder in folders.values() for place in folder.iterdir()}
    for flag, words in (("--map", meaning), ("--leave_out", skipped)):
        unknown = [word for word in words if word not in there]
        if unknown:
            raise InputError(f"{flag}: {root} has no class folder {', '.join(unknown)}.")
    return folder_rows(root, folders, meaning, skipped)


READER = Reader(
    name="class_folders",
    title="a folder of pictures for each class",
    rows=class_folder_rows,
    label_order=tuple(sorted(CLASS_NAMES)),  # what loaders that number folders make of them
    published_counts={},
    options={"map": (), "leave_out": ()},
    only_known=True,
)
