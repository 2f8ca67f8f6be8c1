"""Reads landmarks as data sets have them, and finds the picture of each by its name.

  RAF-DB      Annotation/manual/train_00001_manu_attri.txt    5 lines `x y`: eyes, tip of the nose,
                  corners of the mouth; then gender, race, age, which are not read
              Annotation/auto/train_00001_auto_attri.txt      37 lines `x y`, of Face++
  AffectNet   train_set/annotations/0_lnd.npy                 136 numbers x, y, x, y, ...
              Manually_Annotated_file_lists/training.csv      136 numbers joined by ; in the
                  column facial_landmarks

They are in pixels of the picture that the data set's own annotators saw, cut out or not.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.pictures import files_below
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.affectnet import HEADER, LANDMARKS
from ldl_fer.preparation.datasets.source_files import csv_chunks, lines_of

_CHUNK = 20_000  # rows of a list read at a time


class Kind(NamedTuple):
    """A data set's files of landmarks, one per picture.

    Attributes:
      title: for messages.
      ending: of the files' names; the picture's name comes before.
      points: P.
      read: a file -> its numbers, in the order x, y, x, y.
    """

    title: str
    ending: str
    points: int
    read: Callable[[Path], Sequence[float] | np.ndarray]


def _of_text(file: Path) -> list[float]:
    """Reads the lines of two numbers that a file begins with; what follows is not read."""
    found: list[float] = []
    for _, line in lines_of(file):
        words = line.replace(",", " ").split()
        if len(words) != 2:
            break
        found += map(float, words)
    return found


def _of_array(file: Path) -> np.ndarray:
    """Reads the numbers of a .npy file, stored as numbers or as text."""
    try:
        return np.load(file).astype(np.float64).ravel()
    except (OSError, EOFError) as error:
        raise ValueError(str(error)) from error


KINDS = (
    Kind("RAF-DB's 5 points", "_manu_attri.txt", 5, _of_text),
    Kind("RAF-DB's 37 points", "_auto_attri.txt", 37, _of_text),
    Kind("AffectNet's 68 points", "_lnd.npy", 68, _of_array),
)
_KNOWN = (
    "a folder with "
    + ", ".join(f"*{kind.ending} ({kind.title})" for kind in KINDS)
    + f", or AffectNet's training.csv or validation.csv with the column {LANDMARKS}"
)


def existing_landmarks(
    place: str | Path, paths: Sequence[str], progress: bool = True
) -> tuple[str, np.ndarray]:
    """Finds the landmarks of pictures among a data set's own.

    Args:
      place: folder of a file per picture, at any depth, or a list of all; see above.
      paths: N pictures. A picture's landmarks are those of its name, without ending and _aligned.
      progress: show a bar.

    Returns:
      Their title, and points, float32 [N, P, 2]; NaN where the data set has none.

    Raises:
      InputError: it is of no kind that is known, or of two; a name is that of two pictures or of
        two files; a file has other numbers; no picture has landmarks.
    """
    place = Path(place)
    rows = _rows_by_name(paths)
    if place.is_dir():
        kind, files = _files(place)
        title, count = kind.title, kind.points
        found = _read_files(kind, {name: files[name] for name in rows if name in files}, progress)
        example = next(iter(files.values()))
    else:
        title, count = KINDS[-1].title, KINDS[-1].points
        found = _read_list(place, rows, progress)
        example = place
    if not found:
        raise InputError(
            f"{place} has landmarks of none of the {len(paths):,} pictures, such as {paths[0]}; "
            f"they are found by the pictures' names, in {example}. Name the place of this CSV's."
        )
    points = np.full([len(paths), count, 2], np.nan, np.float32)
    for name, numbers in found.items():
        points[rows[name]] = numbers
    return title, points


def _rows_by_name(paths: Sequence[str]) -> dict[str, int]:
    """Returns place in the list by name.

    Raises:
      InputError: two pictures have one name.
    """
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        name = _name(path)
        if rows.setdefault(name, row) != row:
            raise InputError(
                f"{path} and {paths[rows[name]]} have one name, by which landmarks are found. "
                "Rename one, or make the table by numpy.savez, see docs/data.md."
            )
    return rows


def _name(path: str) -> str:
    return PurePosixPath(path.strip().replace("\\", "/")).stem.removesuffix("_aligned")


def _files(folder: Path) -> tuple[Kind, dict[str, Path]]:
    """Returns of which kind a folder's files are, and these by the names of the pictures."""
    found: dict[Kind, dict[str, Path]] = {}
    for file in files_below(folder):
        for kind in KINDS:
            if not file.name.endswith(kind.ending) or file.name.startswith("."):
                continue
            name = file.name.removesuffix(kind.ending)
            other = found.setdefault(kind, {}).setdefault(name, file)
            if other != file:
                raise InputError(
                    f"{other} and {file} are of pictures of one name. Name the folder of one."
                )
    if not found:
        raise InputError(f"{folder} has no landmarks that are known. Name {_KNOWN}.")
    if len(found) > 1:
        places = [f"{next(iter(of.values())).parent} ({k.title})" for k, of in found.items()]
        raise InputError(f"{folder} has landmarks of two kinds. Name {' or '.join(places)}.")
    return next(iter(found.items()))


def _read_files(kind: Kind, files: Mapping[str, Path], progress: bool) -> dict[str, np.ndarray]:
    """Reads a file for each name; those that are empty are left out."""
    found = {}
    bar = tqdm(files.items(), f"reading {kind.title}", unit="file", delay=2, disable=not progress)
    for name, file in bar:
        try:
            numbers = np.array(kind.read(file), np.float64)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{file} cannot be read: {error}. Unpack it again.") from error
        if file.stat().st_size:
            found[name] = _points(numbers, kind.points, str(file))
    return found


def _read_list(file: Path, rows: Mapping[str, int], progress: bool) -> dict[str, np.ndarray]:
    """Reads the column of landmarks; rows of other pictures and empty cells are left out."""
    if not file.is_file():
        raise InputError(f"{file} does not exist. Name {_KNOWN}.")
    found: dict[str, np.ndarray] = {}
    with tqdm(None, f"reading {file.name}", unit="row", delay=2, disable=not progress) as bar:
        for chunk in csv_chunks(file, (PATH, LANDMARKS), HEADER, _CHUNK):
            bar.update(len(chunk))
            for line, path, cell in chunk.itertuples():
                name = _name(path)
                if name not in rows or not cell.strip(" ;"):
                    continue
                where = f"{file}: line {line}"
                try:
                    numbers = np.array(cell.strip(" ;").split(";"), np.float64)
                except ValueError as error:
                    raise InputError(f"{where}: {LANDMARKS}: {error}. Correct it.") from error
                points = _points(numbers, KINDS[-1].points, where)
                if (found.setdefault(name, points) != points).any():
                    raise InputError(f"{where}: {path} is there already, with other landmarks.")
    return found


def _points(numbers: np.ndarray, count: int, where: str) -> np.ndarray:
    """Returns [P, 2] of x, y, x, y, ...

    Raises:
      InputError: they are not P, or not finite.
    """
    if numbers.size != 2 * count:
        raise InputError(f"{where} has {numbers.size / 2:g} points, not {count}. Unpack it again.")
    if not np.isfinite(numbers).all():
        raise InputError(f"{where} has numbers that are not finite. Unpack it again.")
    return numbers.reshape(count, 2)
