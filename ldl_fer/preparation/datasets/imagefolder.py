"""Hugging Face's imagefolder: a table of labels beside the pictures.

    ROOT/train/metadata.csv    or metadata.jsonl; file_name,label    and so in ROOT/test, ...
    ROOT/train/1.png
or, one table for all,
    ROOT/metadata.csv          file_name is train/1.png, or 1.png where there are no splits

The label is the column `label`, `emotion` or `expression`, or --label_column; what numbers mean is
said by --map=0=Angry,1=Disgust. Columns `valence` and `arousal` are read if they are there. Without
a table, folders called by classes are read by class_folders.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer.data.annotation_checks import AROUSAL, PATH, VALENCE, AnnotationError, absent, numbers
from ldl_fer.data.annotations import read_text
from ldl_fer.data.csv_text import csv_cells, with_points
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.class_folders import SPLIT_OF, SPLITS
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import found, lines_of
from ldl_fer.preparation.datasets.table_labels import OPTIONS, ORDER, with_classes
from ldl_fer.preparation.datasets.table_labels import label_column as column_of_labels

_FILES = ("file_name", "image_file_name")
_TABLES = ("metadata.csv", "metadata.jsonl")


def imagefolder_rows(
    root: Path, splits: tuple[str, ...], map: Sequence[str], label_column: str
) -> Rows:
    """Reads the rows of the tables; see `Reader.rows`.

    Args:
      map: entries VALUE=Class.
      label_column: its name; empty: a usual one.

    Raises:
      InputError: there is no table, it lacks a column, or a cell of it is wrong.
    """
    tables = _tables(root)
    parts = [_table(root, path, split, label_column) for path, split in tables.items()]
    table = pd.concat(parts, ignore_index=True)
    there = {split: split in set(table[SPLIT]) or None for split in (*SPLITS, ALL)}
    chosen = wanted_splits(there, splits, root, "rows of its tables") if splits else there
    table = table[table[SPLIT].isin(chosen)]
    return Rows(with_classes(table, map, (), root))


def _tables(root: Path) -> dict[Path, str | None]:
    """Returns each table and its split, None where the names of its files say it."""
    whole = found(root, _TABLES)
    if whole:
        return {whole: None}
    folders = sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower() in SPLIT_OF)
    there = [(found(folder, _TABLES), SPLIT_OF[folder.name.lower()]) for folder in folders]
    tables: dict[Path, str | None] = {table: split for table, split in there if table}
    if not tables:
        raise InputError(
            f"{root}: neither it nor a folder train, val or test in it has {' or '.join(_TABLES)}. "
            "Folders called by classes are read by class_folders."
        )
    return tables


def _table(root: Path, path: Path, split: str | None, label: str) -> pd.DataFrame:
    """Reads paths, labels as text, and valence and arousal of one table."""
    cells, lines = _of_json(path) if path.suffix == ".jsonl" else _of_csv(path)
    names = next((name for name in _FILES if name in cells), None)
    if names is None:
        raise InputError(f"{path} has no column {_FILES[0]}; it has {', '.join(cells)}.")
    start = path.parent.relative_to(root)
    columns: dict[str, Any] = {
        PATH: [(start / name.strip()).as_posix() for name in cells[names]],
        ORIGINAL: [text.strip() for text in cells[column_of_labels([*cells], label, path)]],
    }
    words = [SPLIT_OF.get(name.partition("/")[0].lower(), ALL) for name in columns[PATH]]
    columns[SPLIT] = (
        [split] * len(words) if split else [ALL] * len(words) if ALL in words else words
    )
    problems = []
    for name in (VALENCE, AROUSAL) if {VALENCE, AROUSAL} <= set(cells) else ():
        texts = with_points(cells[name])
        columns[name] = values = np.where(absent(texts), np.nan, numbers(texts))
        for row in np.flatnonzero(~absent(texts) & ~(abs(values) <= 1)):
            text = f"line {lines[row]}: {name} is {texts[row]!r}, not in [-1, 1]"
            problems.append((None, text))
    if problems:
        raise AnnotationError(path, problems)
    return pd.DataFrame(columns)


def _of_csv(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    try:
        cells, lines, ragged = csv_cells(read_text(path), (*_FILES, VALENCE, AROUSAL))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} {error}") from error
    if ragged:
        raise AnnotationError(path, [(None, f"line {lines[n]} {text}") for n, text in ragged])
    return cells, lines


def _of_json(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    rows = dict[int, dict]()
    for line, text in lines_of(path):
        try:
            rows[line] = dict(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            raise InputError(f"{path}: line {line} is no JSON object. Download it again.") from None
    names = {name: None for row in rows.values() for name in row}
    cells = {
        name: ["" if row.get(name) is None else str(row[name]) for row in rows.values()]
        for name in names
    }
    return cells, [*rows]


READER = Reader(
    name="imagefolder",
    title="a Hugging Face imagefolder",
    rows=imagefolder_rows,
    label_order=ORDER,
    published_counts={},
    options=OPTIONS,
)
