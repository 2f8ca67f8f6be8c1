"""A CSV as cells of text by column, and the columns that are carried along."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldl_fer.annotation_checks import (
    Problem,
    numbers,
)
from ldl_fer.annotation_error import AnnotationError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as some spreadsheets save it
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")


def read_text(path: str | Path) -> str:
    """The text of a CSV.

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


def parse_csv(path: str | Path) -> tuple[dict[str, list[str]], list[int], list[Problem]]:
    """Cells as text by column, the line where each row starts, rows of a wrong length."""
    rows, lines, line = [], [], 1
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
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


def carried(texts: Sequence[str]) -> np.ndarray | Sequence[str]:
    """A column that nothing is known of: numbers where all cells are plain numbers or empty.

    Else (007, 2.20.1, names) the text.
    """
    present = {text for text in texts if text}
    if not present or not all(_PLAIN_NUMBER.fullmatch(text) for text in present):
        return texts
    if len(present) == len(set(texts)) and all(text.lstrip("-").isdigit() for text in present):
        return np.array([int(text) for text in texts], np.int64)
    return numbers(texts)
