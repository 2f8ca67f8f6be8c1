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

import csv
import dataclasses
import functools
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from ldl_fer.annotation_checks import (
    ANNOTATOR,
    AROUSAL,
    LABEL,
    NEIGHBORS,
    PATH,
    VALENCE,
    Problem,
    check_columns,
    check_neighbors,
    check_numbers,
    check_paths,
    numbers,
    vote_columns,
)
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.settings import CLASS_NAMES

SOURCE_ROW = "source_row"  # column of a part: the rows' numbers in the whole
_SHOWN = 20
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")


class AnnotationError(InputError):
    """What is wrong with an annotation CSV, all of it.

    Attributes:
      problems: list of (row number or None, text), by row; None is for the file as a whole.
    """

    def __init__(
        self, path: str | Path, problems: Sequence[Problem], lines: Sequence[int] = ()
    ) -> None:
        """`lines`: the line in the file where each row starts, counted from 1."""
        self.problems = sorted(problems, key=lambda p: -1 if p[0] is None else p[0])
        count = len(self.problems)
        text = [f"{path}: {count:,} problem{'s' if count > 1 else ''}"]
        folded: dict[str, list[int | None]] = {}
        for row, problem in self.problems:
            folded.setdefault(problem, []).append(row)
        for problem, rows in list(folded.items())[:_SHOWN]:
            first = "" if rows[0] is None else f"row {rows[0]} (line {lines[rows[0]]}): "
            again = f", and so in {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
            text.append(f"  {first}{problem}{again}")
        left = count - sum(map(len, list(folded.values())[:_SHOWN]))
        if left:
            text.append(f"  and {left:,} more")
        text.append("Correct the file (or the flag that names it) and run again.")
        if any(problem.startswith(NEIGHBORS) for problem in folded):
            text.append("`python -m ldl_fer.neighbors` makes the column knn anew.")
        empty = [f"column {name} is missing" for name in (VALENCE, AROUSAL)]
        empty += [f"{name} is ''" for name in (VALENCE, AROUSAL)]
        if any(problem.startswith(tuple(empty)) for problem in folded):
            text.append(
                "`python -m ldl_fer.affect` fills in valence and arousal, from which neighbors are "
                "found; --method=cross_entropy trains without."
            )
        super().__init__("\n".join(text))


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
        """N."""
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

    @functools.cached_property
    def neighbors(self) -> np.ndarray | None:
        """Int32 [N, K] row numbers from the column knn, nearest first; None without it."""
        if NEIGHBORS not in self.table:
            return None
        rows = [row.split(";") for row in self.table[NEIGHBORS]]
        return np.array(rows, dtype=object).astype(np.int32)

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all columns and the class names; the same in any process."""
        names = json.dumps(self.class_names).encode()
        return hashlib.sha256(names + b"\n" + self.as_csv().encode()).hexdigest()

    def write(self, path: str | Path) -> None:
        """Writes the table as CSV, whole or not at all.

        Raises:
          InputError: the file cannot be written.
        """
        write_whole(path, self.as_csv())

    def subset(self, rows: Sequence[int] | np.ndarray) -> "Annotations":
        """The given rows in the given order, renumbered from 0, without `knn` (old numbers)."""
        rows = np.asarray(rows, None if len(rows) else int)
        table = self.table.iloc[rows].reset_index(drop=True)
        return Annotations(table.drop(columns=NEIGHBORS, errors="ignore"), self.class_names)

    def as_csv(self) -> str:
        """The text of the file that `write` writes."""
        return self.table.to_csv(index=False, lineterminator="\n")


def read_annotations(
    csv_path: str | Path,
    image_dir: str | Path | None = None,
    class_names: Sequence[str] = CLASS_NAMES,
    min_rows: int = 2,
    progress: bool = True,
    knn: bool = True,
    plane: bool = True,
) -> Annotations:
    """Reads an annotation CSV (UTF-8, with or without BOM, any line ends) and checks all of it.

    Args:
      csv_path: the file.
      image_dir: folder that the paths start from; every image is opened and decoded.
        None: images are not looked at.
      class_names: C names, in the order of `expression`.
      min_rows: fewest rows accepted: K + 1 where neighbors are needed.
      progress: show a bar where decoding takes longer than two seconds.
      knn: False drops a knn column unread, for callers that make it anew.
      plane: False: valence and arousal may be absent or empty, for callers that need no neighbors;
        they are NaN then.

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
        cells += check_paths(texts[PATH], image_dir, progress, texts.get(ANNOTATOR))
    if NEIGHBORS in texts:
        cells += check_neighbors(texts[NEIGHBORS])
    problems += [problem for problem in cells if problem[0] not in ragged]
    if problems:
        raise AnnotationError(csv_path, problems, lines)
    kinds: dict[str, Callable[[list[str]], Any]] = {
        PATH: list,
        NEIGHBORS: list,
        VALENCE: numbers,
        AROUSAL: numbers,
    }
    kinds[LABEL] = lambda cells: numbers(cells).astype(np.int64)
    columns = {name: kinds.get(name, _carried)(cells) for name, cells in texts.items()}
    absent = [name for name in (VALENCE, AROUSAL) if name not in columns]
    return Annotations(
        pd.DataFrame(columns).assign(**dict.fromkeys(absent, np.nan)), tuple(class_names)
    )


def split_annotations(
    annotations: Annotations, fraction: float, seed: int
) -> tuple[Annotations, Annotations]:
    """Holds out a part of the rows, stratified by class.

    Args:
      annotations: what is split.
      fraction: of the rows, between 0 and 1, that are held out.
      seed: >= 0; the same seed is the same split.

    Returns:
      training and validation part, each in the order of the rows and with their former numbers
      in the column `source_row`. A class with less than one row for either part stays whole in
      the training part.

    Raises:
      InputError: the fraction is not between 0 and 1, or no class is large enough.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"the held-out fraction is {fraction}; it must lie between 0 and 1.")
    labels = annotations.labels
    counts = np.bincount(labels, minlength=len(annotations.class_names))
    large = counts * min(fraction, 1.0 - fraction) >= 1.0
    rows, classes = np.flatnonzero(large[labels]), int(large.sum())
    if not classes:
        raise InputError(
            f"no class has enough rows to hold out {fraction} of them (the largest has "
            f"{counts.max()}). Give a validation CSV or a larger fraction."
        )
    size = min(max(round(fraction * len(rows)), classes), len(rows) - classes)
    _, held_out = train_test_split(rows, test_size=size, random_state=seed, stratify=labels[rows])
    mask = np.zeros(len(annotations), bool)
    mask[held_out] = True
    numbered = annotations.table.assign(**{SOURCE_ROW: np.arange(len(annotations))})
    whole = Annotations(numbered, annotations.class_names)
    return whole.subset(np.flatnonzero(~mask)), whole.subset(np.flatnonzero(mask))


def parse_csv(path: str | Path) -> tuple[dict[str, list[str]], list[int], list[Problem]]:
    """Cells as text by column, the line where each row starts, rows of a wrong length."""
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise AnnotationError(path, [(None, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AnnotationError(path, [(None, f"line {line} is not UTF-8 text")]) from error
    rows, lines, line = [], [], 1
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise AnnotationError(path, [(None, f"line {line} is not CSV: {error}")]) from error
    if not rows:
        raise AnnotationError(path, [(None, "is empty")])
    header, *rows = rows
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise AnnotationError(path, [(None, f"column {name!r} appears twice") for name in repeated])
    width, problems = len(header), list[Problem]()
    for number, row in enumerate(rows):
        if len(row) != width:
            problems.append((number, f"has {len(row)} fields where the header has {width}"))
            rows[number] = (row + [""] * width)[:width]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width
    return dict(zip(header, columns, strict=True)), lines[1:], problems


def _carried(texts: Sequence[str]) -> np.ndarray | Sequence[str]:
    """Numbers where the cells are plain numbers or empty; else (007, 2.20.1, names) the text."""
    present = {text for text in texts if text}
    if not present or not all(_PLAIN_NUMBER.fullmatch(text) for text in present):
        return texts
    if len(present) == len(set(texts)) and all(text.lstrip("-").isdigit() for text in present):
        return np.array([int(text) for text in texts], np.int64)
    return numbers(texts)
