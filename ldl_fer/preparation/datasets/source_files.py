"""Finds and reads the files of a data set as it was downloaded."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ldl_fer.data.csv_text import csv_separator
from ldl_fer.data.pictures import PICTURE_ENDINGS
from ldl_fer.errors import InputError
from ldl_fer.files import check_utf8


def found(root: Path, places: Sequence[str]) -> Path | None:
    """Returns the first of the places (paths under root) that is there; None if none is."""
    return next((root / place for place in places if (root / place).exists()), None)


def must_find(root: Path, places: Sequence[str], what: str, cure: str) -> Path:
    """Returns the first of the places (paths under root) that is there.

    Raises:
      InputError: none is there; the text lists the places and ends with the cure.
    """
    path = found(root, places)
    if path is None:
        raise InputError(f"{what}: none of {', '.join(places)} is in {root}. {cure}")
    return path


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Reads the lines of a UTF-8 file that are not blank: number, from 1, and text of each.

    Raises:
      InputError: the file cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text. Download it again.") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def csv_chunks(
    path: Path,
    columns: Sequence[str],
    header: Sequence[str] | None = None,
    rows: int | None = None,
) -> Iterable[pd.DataFrame]:
    """Yields parts of a CSV: the named columns as text, indexed by line in the file, from 1.

    Args:
      path: the file. Blanks around its column names do not count.
      columns: those wanted.
      header: names of all columns, of a file whose first line may be data already.
      rows: number in a part; None: all in one.

    Raises:
      InputError: the file cannot be read, or lacks a column.
    """
    settings = dict(dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
    try:
        with path.open(encoding="utf-8-sig") as file:
            settings["sep"] = csv_separator(file, header or columns)
        first = list(pd.read_csv(path, nrows=0, **settings).columns)
        names = [name.strip() for name in first]
        headless = False
        if header is not None and not set(names) & set(header):
            names, headless = list(header), True
        lacking = [name for name in columns if name not in names]
        if lacking:
            raise InputError(
                f"{path} has no column {', '.join(lacking)}; it has {', '.join(names)}. "
                "Give the file of the original download."
            )
        wanted = [names.index(name) for name in columns]
        chunks = pd.read_csv(
            path,
            header=None,
            names=range(len(names)),
            skiprows=0 if headless else 1,
            usecols=wanted,
            chunksize=rows or 1 << 62,
            **settings,
        )
        for part in chunks:
            part = part.fillna("").rename(columns=dict(enumerate(names)))[list(columns)]
            part.index += 1 if headless else 2
            yield part[(part != "").any(axis=1)]
    except (OSError, UnicodeDecodeError, ValueError) as error:  # pandas' own are ValueErrors
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(f"{path} cannot be read: {reason}. Download it again.") from error


def pictures_under(folder: Path) -> tuple[list[str], int]:
    """Returns sorted paths, with /, of a folder's pictures at any depth; counts other files.

    Names that start with a dot, Thumbs.db and __MACOSX do not count at all.

    Raises:
      InputError: a picture's name is no UTF-8 text.
    """
    pictures, others = [], 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name != "__MACOSX"]
        for name in files:
            if name.lower().endswith(PICTURE_ENDINGS) and name[0] != ".":
                check_utf8(Path(place) / name)  # a CSV cannot hold other names
                pictures.append((Path(place) / name).relative_to(folder).as_posix())
            elif name[0] != "." and name != "Thumbs.db":
                others += 1
    return sorted(pictures), others


def missing(paths: Sequence[str], folder: Path) -> list[int]:
    """Returns positions of the paths that have no file in the folder; lists each folder once."""
    by_parent = defaultdict(list)
    for position, path in enumerate(paths):
        parent, _, name = path.rpartition("/")
        by_parent[parent].append((position, name))
    absent = []
    for parent, members in by_parent.items():
        try:
            there = set(os.listdir(folder / parent))
        except OSError:
            there = set()
        absent += [position for position, name in members if name not in there]
    return sorted(absent)
