"""Formats rows per split and class beside the published ones."""

from ldl_fer.preparation.datasets.data_set import DataSet
from ldl_fer.preparation.datasets.reader import Reader


def count_table(reader: Reader, data_set: DataSet) -> str:
    """Formats a line per class, sums, and rows left out; a count that differs is starred."""
    names = next(iter(data_set.splits.values())).class_names
    columns: list[list[str]] = [["", *names, "all"]]
    differs = False
    for split in data_set.splits:
        counts, other = data_set.counts(split), reader.published(split, names)
        columns.append([split, *(f"{n:,}" for n in counts), f"{sum(counts):,}"])
        if set(other) == {None}:
            continue
        pairs = [*zip(counts, other, strict=True)]
        known = [count for count in other if count is not None]
        if len(known) == len(other):
            pairs.append((sum(counts), sum(known)))
        cells = ["-" if o is None else f"{o:,}{' ' if o == n else '*'}" for n, o in pairs]
        columns.append(["published ", *cells, *["- "] * (len(names) + 1 - len(cells))])
        differs |= any(cell.endswith("*") for cell in cells)
    widths = [max(map(len, column)) for column in columns]
    text = []
    for first, *cells in zip(*columns, strict=True):
        right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        text.append("  ".join([first.ljust(widths[0]), *right]).rstrip())
    if differs:
        text.append("* not the number of rows here")
    for (split, reason), rows in data_set.left_out.items():
        text.append(f"left out of {split}: {rows:,} ({reason})")
    return "\n".join(text)
