"""The annotation CSV: one row per image, checked whole before anything is done with it.

  subDirectory_filePath   path of the image under the image folder, with /
  expression              class number, in the order of `CLASS_NAMES`
  valence, arousal        in [-1, 1]
  knn                     may be absent; row numbers of the neighbors, nearest first, joined by ;
  votes_neutral, ...      may be absent; human votes per class, counts or shares
  annotator               may be absent; who gave the label: an image has a row for each of them

Rows are numbered from 0 in file order without the header: that number is the sample_id, and what
`knn` holds. Further columns are carried along.
"""

import codecs
import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import (
    ANNOTATOR,
    AROUSAL,
    BOX,
    KNOWN,
    LABEL,
    NEIGHBORS,
    PATH,
    VALENCE,
    AnnotationError,
    Problem,
    absent,
    check_columns,
    check_images,
    check_neighbors,
    check_numbers,
    named_pictures,
    numbers,
    vote_columns,
)
from ldl_fer.data.csv_text import csv_cells, with_points
from ldl_fer.files import state_of, write_whole

SOURCE_ROW = "source_row"  # column of a part: the rows' numbers in the whole
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as some spreadsheets save it
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """A checked annotation table. Letters: N rows, C classes, K neighbors.

    Attributes:
      table: every column of the CSV; the row number is the sample_id.
      class_names: C names, in the order of `expression`.
    """

    table: pd.DataFrame
    class_names: tuple[str, ...] = CLASS_NAMES

    def __len__(self) -> int:
        """Returns N."""
        return len(self.table)

    @property
    def paths(self) -> list[str]:
        """Paths of the images under the image folder, N of them."""
        return self.table[PATH].tolist()

    @property
    def labels(self) -> np.ndarray:
        """Int32 [N] in [0, C)."""
        return self.table[LABEL].to_numpy(np.int32)

    @property
    def source_rows(self) -> np.ndarray:
        """Int64 [N], the rows' numbers in the CSV; of a part, those in `source_row`."""
        if SOURCE_ROW in self.table and self.table[SOURCE_ROW].dtype.kind == "i":
            return self.table[SOURCE_ROW].to_numpy(np.int64)
        return np.arange(len(self))

    @property
    def valence_arousal(self) -> np.ndarray:
        """Float32 [N, 2] in [-1, 1], or NaN where they are not known."""
        return self.table[[VALENCE, AROUSAL]].to_numpy(np.float32)

    @property
    def votes(self) -> np.ndarray | None:
        """Float32 [N, C], >= 0, counts or shares as they stand (a row may be all zero).

        None unless every class has its column votes_<class name in lower case>.
        """
        names = vote_columns(self.class_names)
        if not set(names) <= set(self.table.columns):
            return None
        return self.table[names].to_numpy(np.float32)

    @property
    def annotators(self) -> np.ndarray:
        """Int32 [N], who gave each label: numbers of the sorted names, 0 for all without any."""
        if ANNOTATOR not in self.table:
            return np.zeros(len(self), np.int32)
        names = self.table[ANNOTATOR].astype(str)
        return np.unique(names, return_inverse=True)[1].astype(np.int32)

    @functools.cached_property
    def neighbors(self) -> np.ndarray | None:
        """Int32 [N, K] row numbers from the column knn, nearest first; None without it."""
        if NEIGHBORS not in self.table:
            return None
        rows = [row.split(";") for row in self.table[NEIGHBORS]]
        return np.array(rows, dtype=object).astype(np.int32)

    def fingerprint(self) -> str:
        """Returns the SHA-256, hexadecimal, of all columns and class names."""
        names = json.dumps(self.class_names).encode()
        return hashlib.sha256(names + b"\n" + self.as_csv().encode()).hexdigest()

    def identity(self, image_dir: str | Path, *settings: Any) -> str:
        """Returns 12 hexadecimal digits: a hash of all rows, the pictures and settings.

        A picture is known by its place, size and time of change; its pixels are not read.

        Args:
          image_dir: where the paths start; every way to one folder is the same.
          *settings: that JSON can hold.
        """
        folder = Path(image_dir).resolve()
        pictures = [_state(folder / path) for path in self.paths]
        identity = [self.fingerprint(), str(folder), pictures, *settings]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]

    def write(self, path: str | Path) -> None:
        """Writes the table as CSV, whole or not at all.

        Raises:
          InputError: the file cannot be written.
        """
        write_whole(path, self.as_csv())

    def subset(self, rows: Sequence[int] | np.ndarray) -> "Annotations":
        """Returns the given rows in the given order, renumbered from 0, without `knn`."""
        rows = np.asarray(rows, None if len(rows) else int)
        table = self.table.iloc[rows].reset_index(drop=True)
        return Annotations(table.drop(columns=NEIGHBORS, errors="ignore"), self.class_names)

    def whole(self) -> "Annotations":
        """Returns the rows as those of a whole: a column `source_row` speaks of another one."""
        return Annotations(self.table.drop(columns=SOURCE_ROW, errors="ignore"), self.class_names)

    def as_csv(self) -> str:
        """Returns the text of the file that `write` writes."""
        return self.table.to_csv(index=False, lineterminator="\n")


def read_annotations(
    csv_path: str | Path,
    image_dir: str | Path | None = None,
    class_names: Sequence[str] = CLASS_NAMES,
    min_rows: int = 2,
    progress: bool = True,
    knn: bool = True,
    plane: bool = True,
    decode: bool = True,
) -> Annotations:
    """Reads an annotation CSV (UTF-8, with or without BOM, any line ends) and checks all of it.

    Args:
      csv_path: the file. See `csv_text.csv_cells` for separators and blanks.
      image_dir: folder that the paths start from; paths are spelled as the files in it, see
        `picture_names`. None: paths stay as they are, and may lead anywhere.
      class_names: C names, in the order of `expression`.
      min_rows: fewest rows accepted: K + 1 where neighbors are needed.
      progress: show a bar where decoding takes longer than two seconds.
      knn: False drops a knn column unread, for callers that make it anew.
      plane: False: valence and arousal may be missing or `absent`, for callers that need no
        neighbors; they are NaN then.
      decode: whether every image of the folder is opened and decoded.

    Raises:
      AnnotationError: anything is wrong; it lists all that is.
    """
    texts, lines, problems = parse_csv(csv_path)
    if not knn:
        texts.pop(NEIGHBORS, None)
    ragged = {row for row, _ in problems}
    problems += check_columns(texts, plane)
    if len(lines) < min_rows:
        problems.append((None, f"{len(lines)} rows where at least {min_rows} are needed"))
    cells = check_numbers(texts, class_names, plane)
    if PATH in texts:
        found = named_pictures(texts, image_dir)
        if image_dir is not None and decode:
            bad = ragged | {row for row, _ in found}
            found += check_images(texts[PATH], image_dir, bad, progress)
        cells += found
    if NEIGHBORS in texts:
        cells += check_neighbors(texts[NEIGHBORS])
    problems += [problem for problem in cells if problem[0] not in ragged]
    if problems:
        raise AnnotationError(csv_path, problems, lines)
    kinds: dict[str, Callable[[list[str]], Any]] = {
        PATH: list,
        NEIGHBORS: list,
        VALENCE: _where_known,
        AROUSAL: _where_known,
    }
    kinds[LABEL] = lambda cells: numbers(cells).astype(np.int64)
    columns = {name: kinds.get(name, _carried)(cells) for name, cells in texts.items()}
    missing = [name for name in (VALENCE, AROUSAL) if name not in columns]
    return Annotations(
        pd.DataFrame(columns).assign(**dict.fromkeys(missing, np.nan)), tuple(class_names)
    )


def parse_csv(path: str | Path) -> tuple[dict[str, list[str]], list[int], list[Problem]]:
    """Reads a CSV, as `csv_text.csv_cells` does; its numbers get decimal points.

    Returns:
      Cells as text by column, the line where each row starts, and rows of a wrong length.

    Raises:
      AnnotationError: it cannot be read, is no CSV, is empty, or a column appears twice.
    """
    try:
        texts, lines, ragged = csv_cells(read_text(path), KNOWN)
    except ValueError as error:
        if isinstance(error, AnnotationError):
            raise
        raise AnnotationError(path, [(None, str(error))]) from error
    for name in list(texts):
        if name.lower().startswith("votes_") and name.lower() not in texts:
            texts = {name.lower() if n == name else n: cells for n, cells in texts.items()}
    for name, cells in texts.items():
        if name in (LABEL, VALENCE, AROUSAL, *BOX) or name.startswith("votes_"):
            texts[name] = with_points(cells)
        elif name == NEIGHBORS:
            texts[name] = [cell.strip() for cell in cells]
    return texts, lines, list(ragged)


def read_text(path: str | Path) -> str:
    """Reads the text of a CSV.

    Raises:
      AnnotationError: it cannot be read, or is not UTF-8.
    """
    try:
        data = Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise AnnotationError(path, [(None, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        cure = " but UTF-16: save it as UTF-8" if data[:2] in _UTF_16 else ""
        raise AnnotationError(path, [(None, f"line {line} is not UTF-8 text{cure}")]) from error


def _state(path: Path) -> tuple[int, int] | None:
    """Returns what `files.state_of` does; None if the file is not there."""
    try:
        return state_of(path)
    except (OSError, ValueError):  # no file can have that name
        return None


def _where_known(texts: Sequence[str]) -> np.ndarray:
    return np.where(absent(texts), np.nan, numbers(texts))


def _carried(texts: Sequence[str]) -> np.ndarray | Sequence[str]:
    """Returns numbers of a further column where all its cells are plain numbers or empty.

    Else (007, 2.20.1, names) it stays text.
    """
    stripped = [text.strip() for text in texts]
    present = {text for text in stripped if text}
    if not present or not all(_PLAIN_NUMBER.fullmatch(text) for text in present):
        return texts
    if len(present) == len(set(stripped)) and all(text.lstrip("-").isdigit() for text in present):
        return np.array([int(text) for text in stripped], np.int64)
    return numbers(stripped)
