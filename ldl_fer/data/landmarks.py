"""Landmarks of faces, kept beside the annotation CSV: train.csv, train.landmarks.npz.

  path     [N]         text, as in the CSV's column subDirectory_filePath, each once
  points   [N, P, D]   float32, P points in D = 2 or 3 dimensions, in any unit; NaN: no face found
  score    [N]         float32, how sure a model was of a face (above 0: a face); may be absent

`ldl-fer landmarks` writes such a file. So does numpy.savez(file, path=..., points=...).
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.files import whole_file

ENDING = ".landmarks.npz"
_PATH, _POINTS, _SCORE = "path", "points", "score"
_WANTED = "path [N] and points [N, P, D]"
_DAMAGED = (  # what zipfile and numpy raise
    *(OSError, EOFError, KeyError, MemoryError, NotImplementedError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error),
)


def landmarks_file(csv_path: str | Path) -> Path:
    """Returns where the landmarks of a CSV's pictures are kept by default: beside it."""
    return Path(csv_path).with_suffix(ENDING)


def check_output(file: str | Path) -> None:
    """Checks that a table may be written to a file: it is not there, or is such a table.

    Raises:
      InputError: it is another file, or its name does not end with .npz.
    """
    if Path(file).suffix != ".npz":
        raise InputError(f"{file} does not end with .npz, as the file to write must.")
    if not Path(file).exists():
        return
    try:
        with np.load(file, allow_pickle=False) as kept:
            ours = {_PATH, _POINTS} <= set(kept.files)
    except (*_DAMAGED, ValueError, AttributeError):  # the last: a .npy file is an array
        ours = False
    if not ours:
        raise InputError(f"{file} is no table of landmarks, and would be lost. Name another.")


def write_landmarks(
    file: str | Path,
    paths: Sequence[str],
    points: np.ndarray,
    score: np.ndarray | None = None,
) -> None:
    """Writes a table of landmarks, whole or not at all.

    Args:
      file: its name ends with .npz.
      paths: N texts, each once.
      points: [N, P, D]; NaN where no face was found.
      score: [N], above 0 where there is a face; None: there is none.

    Raises:
      InputError: it cannot be written.
    """
    arrays = {
        _PATH: np.array(paths, np.str_),
        _POINTS: points.astype(np.float32, copy=False),
    }
    if score is not None:
        arrays[_SCORE] = score.astype(np.float32, copy=False)
    with whole_file(file) as partial, partial.open("wb") as opened:
        np.savez(opened, **arrays)


def read_landmarks(file: str | Path) -> tuple[list[str], np.ndarray]:
    """Reads a table of landmarks; nothing in it is unpickled.

    Returns:
      N paths, and points, float32 [N, P, D], NaN where no face was found.

    Raises:
      InputError: it is no such table; the text says what is wrong with it.
    """
    path, points = arrays_of(file, _PATH, _POINTS)
    if path.ndim != 1 or path.dtype.kind != "U":
        raise InputError(
            f"{file}: path is {path.dtype} {list(path.shape)}, not N texts. Write it as "
            "numpy.array(paths, dtype=str)."
        )
    if points.ndim != 3 or points.dtype.kind not in "fiu" or points.shape[2] not in (2, 3):
        raise InputError(
            f"{file}: points is {points.dtype} {list(points.shape)}, not numbers [N, P, D] with "
            "D = 2 or 3. Reshape it, as 136 numbers a face to [N, 68, 2]."
        )
    if not (len(path) == len(points) and points.size):
        raise InputError(
            f"{file}: {len(path):,} paths and points of shape {list(points.shape)}. Write as many "
            "faces as paths, one at least."
        )
    paths, points = path.tolist(), points.astype(np.float32, copy=False)
    _row_numbers(file, paths)
    known = np.isfinite(points).sum(axis=(1, 2))
    for row in np.flatnonzero((known != points[0].size) & ~np.isnan(points).all(axis=(1, 2))):
        raise InputError(
            f"{file}: row {row}: {paths[row]} has {known[row]} of {points[0].size} numbers. Write "
            "all of a face's, or NaN for all."
        )
    return paths, points


def landmarks_of(file: str | Path, paths: Sequence[str]) -> np.ndarray:
    """Looks up the landmarks of pictures in a table.

    Args:
      file: the table.
      paths: M of them, as in the CSV; the same may come several times.

    Returns:
      Float32 [M, P, D], NaN where no face was found.

    Raises:
      InputError: as `read_landmarks`, or the table lacks a picture.
    """
    known, points = read_landmarks(file)
    return points[look_up(file, known, paths)]


def look_up(file: str | Path, known: Sequence[str], paths: Sequence[str]) -> list[int]:
    """Returns the rows of pictures in a table.

    Args:
      file: the table.
      known: its paths.
      paths: M of them, as in the CSV; the same may come several times.

    Raises:
      InputError: the table lacks a picture, or has one twice.
    """
    rows = _row_numbers(file, known)
    missing = [path for path in paths if path not in rows]
    if missing:
        raise InputError(
            f"{file} lacks {len(missing):,} of {len(paths):,} pictures, such as {missing[0]}; its "
            f"own are such as {known[0]}. Make it of this CSV, by ldl-fer landmarks."
        )
    return [rows[path] for path in paths]


def _row_numbers(file: str | Path, paths: Sequence[str]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, name in enumerate(paths):
        if rows.setdefault(name, row) != row:
            raise InputError(
                f"{file}: row {row}: {name} is there already, in row {rows[name]}. Write each once."
            )
    return rows


def arrays_of(file: str | Path, *names: str) -> list[np.ndarray]:
    """Reads arrays of a .npz file; nothing in it is unpickled.

    Raises:
      InputError: it cannot be read, is damaged, lacks one, or has one of Python objects.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"{file} does not exist. Make it by ldl-fer landmarks.")
    if not zipfile.is_zipfile(file):
        raise InputError(f"{file} is no .npz file. Write {_WANTED} by numpy.savez.")
    try:
        with np.load(file, allow_pickle=False) as kept:
            lacking = [name for name in names if name not in kept.files]
            if lacking:
                raise InputError(
                    f"{file} has no array {' and '.join(lacking)}; it has "
                    f"{', '.join(kept.files) or 'none'}. Write {_WANTED}."
                )
            return [kept[name] for name in names]
    except InputError:
        raise
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise _damaged(file, error) from error
        raise InputError(
            f"{file} has an array of Python objects, which could run code. Write path as "
            "numpy.array(paths, dtype=str), and points as numbers."
        ) from error
    except _DAMAGED as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: BaseException) -> InputError:
    return InputError(f"{file} is damaged: {error}. Copy it anew, or delete it and make it again.")
