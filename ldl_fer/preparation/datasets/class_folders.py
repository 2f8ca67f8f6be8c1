"""A folder of pictures for each class, with or without folders of splits above them.

    ROOT/train/happy/a.jpg  ROOT/test/sad/b.jpg    or, without splits,  ROOT/happy/a.jpg

Split folders are train (training), val (valid, validation), test (testing). Class folders are
called as the classes are, or by a usual synonym (happiness, angry, surprised); other names get a
class by --map=FOLDER=Class, or are left out by --leave_out=FOLDER, as is a folder beside those of
the splits. RAF-DB's numbered folders are read by raf_db, others so: --map=1=Surprise,2=Fear
Pictures may lie deeper than their class folder. There is no valence and arousal.
"""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT, DataSet
from ldl_fer.preparation.datasets.reader import (
    CLASS,
    Reader,
    Rows,
    is_emotion,
    map_entries,
    one_name,
    wanted_splits,
)
from ldl_fer.preparation.datasets.source_files import pictures_under

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}


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


def split_folders(root: Path, leave_out: Sequence[str] = ()) -> dict[str, Path]:
    """Returns split -> folder of that name under the root; {"all": root} where there is none.

    Args:
      root: the data set's folder.
      leave_out: folders, in lower case, that do not count.

    Raises:
      InputError: there are two of one split, or other folders beside them.
    """
    there, others = {}, []
    for place in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        word = place.name.lower()
        split = SPLIT_OF.get(word)
        if word in leave_out:
            continue
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
            f"{', '.join(others)}. Leave it out by "
            f"{shlex.quote('--leave_out=' + ','.join(others))}, or give one split's folder as "
            "--root."
        )
    return {split: there[split] for split in SPLITS if split in there} or {ALL: root}


def class_folder_rows(
    root: Path, splits: tuple[str, ...], map: Sequence[str], leave_out: Sequence[str]
) -> Rows:
    """Reads the rows of any folder of classes; see `Reader.rows`.

    Args:
      map: entries FOLDER=Class.
      leave_out: names of class folders, or of folders beside those of the splits.

    Raises:
      InputError: an entry is not of this form or names no folder, or as the functions above.
    """
    pairs = map_entries(map, "FOLDER")
    skipped = [folder.strip().lower() for folder in leave_out]
    meaning = dict(pairs)
    told = Counter([*(folder for folder, _ in pairs), *set(skipped)])
    if twice := [folder for folder, times in told.items() if times > 1]:
        raise InputError(f"--map and --leave_out name {', '.join(twice)} more than once.")
    folders = split_folders(root, skipped)
    if ALL in folders:
        _check_level(root, {*meaning, *skipped})
    if splits:
        folders = wanted_splits({**dict.fromkeys(SPLITS), **folders}, splits, root, "their folders")
    places = [root, *folders.values()]
    there = {place.name.lower() for folder in places for place in folder.iterdir()}
    for flag, words in (("--map", meaning), ("--leave_out", skipped)):
        unknown = [word for word in words if word not in there]
        if unknown:
            raise InputError(f"{flag}: {root} has no class folder {', '.join(unknown)}.")
    rows = folder_rows(root, folders, meaning, skipped)
    if ALL not in folders:
        for place in (p for p in root.iterdir() if p.is_dir() and p.name.lower() in skipped):
            rows.left_out[ALL, f"--leave_out={place.name}"] += len(pictures_under(place)[0])
    return rows


def map_flag(classes: Mapping[str, str]) -> str:
    """Returns --map for folder -> class, quoted for a shell."""
    entries = [
        f"{folder}={name}"
        for folder, name in sorted(classes.items())
        if one_name(folder) != one_name(name)
    ]
    return shlex.quote(f"--map={','.join(entries)}") if entries else "no --map"


def map_doubts(data_set: DataSet) -> list[str]:
    """Returns sentences on class folders that seem to be read as the wrong class.

    Evidence: rows per class that are those of a published data set if the folders are read as
    other classes; a folder that is called as another class; two folders of one class where another
    class has none.
    """
    from ldl_fer.preparation.datasets.label_orders import order_by_counts  # it reads READERS

    doubts, read_as = list[str](), dict[str, str]()
    names = next(iter(data_set.splits.values())).class_names
    for split, annotations in data_set.splits.items():
        folders = annotations.table[ORIGINAL].astype(str).tolist()
        labels = dict(zip(folders, annotations.labels.tolist(), strict=True))
        read_as |= {folder: names[label] for folder, label in labels.items()}
        found = order_by_counts(split, np.array(data_set.counts(split)), names)
        if found:
            right = {folder: names[found.order[label]] for folder, label in labels.items()}
            doubts.append(
                f"{split}: these folders rather look like {found.reader.title} read by a wrong "
                f"--map: {found.evidence}. Give {map_flag(right)}."
            )
    strange = [f for f, name in read_as.items() if is_emotion(f) and one_name(f) != one_name(name)]
    if strange:
        listed = ", ".join(f"{folder} as {read_as[folder]}" for folder in sorted(strange))
        doubts.append(f"folders are read otherwise than they are called: {listed}. Check --map.")
    absent = [name for name in names if name not in read_as.values()]
    words = {name: {one_name(f) for f in read_as if read_as[f] == name} for name in names}
    merged = {name: sorted(found) for name, found in words.items() if len(found) > 1}
    if absent and merged and not strange:
        listed = ", ".join(f"{' and '.join(some)} as {name}" for name, some in merged.items())
        doubts.append(
            f"folders are read as one class: {listed}, and none as {', '.join(absent)}. "
            "Check --map."
        )
    return doubts


def _check_level(root: Path, named: set[str]) -> None:
    """Refuses a root whose class folders lie a folder deeper, and says where."""
    known = {*named, *SPLIT_OF}

    def tells(place: Path) -> bool:
        word = place.name.lower()
        return place.is_dir() and (word in known or is_emotion(word) or word.isdecimal())

    inner = sorted(place for place in root.iterdir() if place.is_dir())
    if any(map(tells, inner)):
        return
    meant = [place for place in inner if any(map(tells, place.iterdir()))]
    if meant:
        raise InputError(
            f"{root} has no class folders, but {', '.join(map(str, meant))} has. Give "
            f"{shlex.quote(f'--root={meant[0]}')}."
        )


READER = Reader(
    name="class_folders",
    title="a folder of pictures for each class",
    rows=class_folder_rows,
    label_order=tuple(sorted(CLASS_NAMES)),  # what loaders that number folders make of them
    published_counts={},
    options={"map": (), "leave_out": ()},
    only_known=True,
)
