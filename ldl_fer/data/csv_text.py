"""The text of a CSV: its separator, its cells, its decimal points."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

_SEPARATORS = ",;\t|"
_SAID_SEPARATOR = re.compile(r"\"?sep=(.)\"?\r?\n?")  # first line of some spreadsheets' CSVs
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+")


def csv_separator(lines: Iterable[str], known: Iterable[str] = ()) -> str:
    """Returns what separates the cells of a CSV: comma, semicolon, tab or |.

    Args:
      lines: its first lines. The header, or a line sep=; before it, decides.
      known: names of columns to look for, in any case; a comma where none is found.
    """
    first, second = (list(itertools.islice(filter(str.strip, lines), 2)) + ["", ""])[:2]
    said = _SAID_SEPARATOR.fullmatch(first)
    header, names = second if said else first, {name.casefold() for name in known}

    def found(separator: str) -> int:
        try:
            cells = next(csv.reader([header], delimiter=separator), [])
        except csv.Error:  # who reads the cells says so
            return 0
        return sum(cell.strip(' "').casefold() in names for cell in cells)

    return said[1] if said else max(_SEPARATORS, key=found)


def csv_cells(
    text: str, known: Sequence[str] = ()
) -> tuple[dict[str, list[str]], list[int], list[tuple[int, str]]]:
    """Reads a CSV as text, without looking at what its cells mean.

    Blanks around the columns' names do not count, nor do columns without a name and cells, or rows
    without cells at the end.

    Args:
      text: of the file.
      known: names of columns by which `csv_separator` decides; in another case they are the same.

    Returns:
      Cells by column, N of each; the line where each row starts, from 1; and (row, text) of rows
      that have another number of cells than the header.

    Raises:
      ValueError: it is no CSV, is empty, or a column appears twice; the text says so.
    """
    separator = csv_separator(io.StringIO(text, newline=""), known)
    header_line = next(filter(str.strip, io.StringIO(text, newline="")), "")
    rows, lines, line = list[list[str]](), list[int](), 1
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        skipinitialspace=bool(re.search(r'[,;\t|] +"', header_line)),
        strict=True,
    )
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {line} is not CSV: {error}") from error
    if _SAID_SEPARATOR.fullmatch(header_line):
        del rows[0], lines[0]
    while rows and not "".join(rows[-1]).strip():
        rows.pop()
    if not rows:
        raise ValueError("is empty")
    spelled = {name.casefold(): name for name in known}
    header, *rows = rows
    header = [spelled.get(name.strip().casefold(), name.strip()) for name in header]
    while (
        len(header) > 1 and not header[-1] and all(not "".join(r[len(header) - 1 :]) for r in rows)
    ):
        header.pop()
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise ValueError(", ".join(f"column {name!r} appears twice" for name in repeated))
    width, ragged = len(header), list[tuple[int, str]]()
    for number, row in enumerate(rows):
        while len(row) > width and not row[-1]:
            row.pop()
        if len(row) != width:
            ragged.append((number, f"has {len(row)} fields where the header has {width}"))
            rows[number] = (row + [""] * width)[:width]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width
    return dict(zip(header, columns, strict=True)), lines[1 : len(rows) + 1], ragged


def with_points(cells: Sequence[str]) -> list[str]:
    """Returns cells of numbers as Python reads them: decimal commas as points, - for the sign −.

    Commas stay where they may separate thousands in all cells that have one.
    """
    cells = [cell.replace("\u2212", "-") for cell in cells]
    commas = [cell.strip() for cell in cells if "," in cell]
    if not commas or all(map(_THOUSANDS.fullmatch, commas)):
        return cells
    fits = map(_DECIMAL_COMMA.fullmatch, map(str.strip, cells))
    return [c.replace(",", ".") if fit else c for c, fit in zip(cells, fits, strict=True)]
