"""Puts labels from a list into annotations: a line `file label` per row, as SCN and EAC use."""

import posixpath
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import PATH, AnnotationError
from ldl_fer.data.annotations import LABEL, Annotations
from ldl_fer.data.label_confusion import class_numbers
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.raf_db import LABEL_ORDER as RAF_DB_ORDER

CLEAN_LABEL = "clean_expression"
_STRANGE = 20  # lines without a row that are listed one by one
# AffectNet's order is `CLASS_NAMES`, too.
COMMON_ORDERS = {"that of this project and AffectNet": CLASS_NAMES, "RAF-DB's": RAF_DB_ORDER}


def read_label_list(
    path: str | Path,
    annotations: Annotations,
    num_labels: int,
    first_label: int = 0,
    keep_unlisted: bool = False,
    skip_unmatched: bool = False,
) -> np.ndarray:
    """Reads lines `file label` and finds the row of each.

    Args:
      path: the list; the label follows the last blank of a line.
      annotations: N rows. A line's file is a row's path, else its basename, else its basename
        where both are without "_aligned", where only one row has it.
      num_labels, first_label: labels are integers in [first_label, first_label + num_labels).
      keep_unlisted: rows may be without a line.
      skip_unmatched: lines may be without a row.

    Returns:
      Int32 [N], label - first_label; -1 for rows without a line.

    Raises:
      InputError: the list cannot be read, or anything in it is wrong; the error lists all of it.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text. Give lines such as `a.jpg 5`.") from error
    _check_form(path, [line for line in text.splitlines() if line.strip()])
    lookups = []
    for key in (posixpath.normpath, posixpath.basename, _unaligned):
        rows_of = defaultdict(list)
        for row, file in enumerate(annotations.paths):
            rows_of[key(file)].append(row)
        lookups.append((key, dict(rows_of)))

    found, line_of, problems = np.full(len(annotations), -1, np.int32), {}, []
    strange = 0  # lines without a row, whose rows are not a second mistake
    last = first_label + num_labels - 1
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        file, *label = content.strip().rsplit(maxsplit=1)
        if not label:
            strange += 1
            problems.append(f"line {line}: {content.strip()!r} is not `file label`")
            continue
        rows = next((rows[key(file)] for key, rows in lookups if key(file) in rows), [])
        if not rows and skip_unmatched:
            continue
        if not rows:
            strange += 1
            problems.append(
                f"line {line}: no row has the file {file}; correct it or give --skip_unmatched"
            )
        elif len(rows) > 1:
            problems.append(
                f"line {line}: rows {', '.join(map(str, rows[:5]))} have a file named {file}; "
                "write the path of one"
            )
        elif line_of.setdefault(rows[0], line) != line:
            problems.append(f"line {line}: {file} is already in line {line_of[rows[0]]}")
        elif not label[0].isdecimal() or not first_label <= int(label[0]) <= last:
            problems.append(
                f"line {line}: label {label[0]} of {file} is no integer from {first_label} to "
                f"{last}; see --first_label and --label_order"
            )
        else:
            found[rows[0]] = int(label[0]) - first_label
    if strange > _STRANGE and not line_of:
        raise InputError(
            f"{path}: none of its lines has a row of the annotations ({strange:,} lines, "
            f"{len(annotations):,} rows). The first: {problems[0]}. Is it the list of another "
            "data set?"
        )
    if not keep_unlisted and not strange:
        problems += [
            f"no line has row {row} of the annotations, {file}; add one, or keep the label of "
            "such rows by --keep_unlisted"
            for row, file in enumerate(annotations.paths)
            if row not in line_of
        ]
    if problems:
        raise AnnotationError(path, [(None, problem) for problem in problems])
    if not line_of:
        raise InputError(f"{path}: no line has a row of the annotations. Give their own list.")
    return found


def _check_form(path: str | Path, lines: Sequence[str]) -> None:
    """Refuses a CSV: commas or semicolons in all lines, and no label behind a blank in any."""

    def is_cells(line: str) -> bool:
        *_, last = line.split()
        return any(mark in line for mark in ",;") and not last.isdecimal()

    if lines and (PATH in lines[0] or all(map(is_cells, lines))):
        raise InputError(
            f"{path} is a CSV (its first line is {lines[0][:80]!r}), not lines `file label`. "
            "--annotations takes an annotation CSV; for a list, write file and label with a blank "
            "between them, without a header."
        )


def apply_label_list(
    annotations: Annotations, positions: np.ndarray, label_order: Sequence[str]
) -> Annotations:
    """Returns the annotations with the labels of a list, as `relabeled` does.

    Args:
      annotations: N rows.
      positions: integers [N] of `read_label_list`, in [-1, len(label_order)); -1 keeps the
        row's label.
      label_order: names of the classes in the order of the list's numbers.

    Raises:
      InputError: `label_order` has a name that is no class, or one twice.
    """
    order = class_numbers(label_order, annotations.class_names, "--label_order")
    return relabeled(
        annotations, np.where(positions < 0, annotations.labels, np.array(order)[positions])
    )


def order_warning(
    annotations: Annotations, positions: np.ndarray, label_order: Sequence[str]
) -> str | None:
    """Returns a warning if a list changes more than half of the labels it has; else None.

    Arguments are those of `apply_label_list`. The warning names one of `COMMON_ORDERS` if fewer
    labels change by it.
    """
    listed = np.flatnonzero(positions >= 0)
    classes = {name.lower() for name in annotations.class_names}

    def changed(order: Sequence[str]) -> float:
        noisy = apply_label_list(annotations, positions, order)
        return float((noisy.labels != annotations.labels)[listed].mean())

    share = changed(label_order)
    if share <= 0.5:
        return None
    text = f"by --label_order={','.join(label_order)} {share:.1%} of the labels listed change."
    others = {
        name: changed(order)
        for name, order in COMMON_ORDERS.items()
        if len(order) > positions.max() and {name.lower() for name in order} <= classes
    }
    best = min(others, key=others.__getitem__, default=None)
    if best is None or others[best] >= share:
        return f"{text} Check --label_order and --first_label, unless so much noise is meant."
    return (
        f"{text} The list rather looks like --label_order={','.join(COMMON_ORDERS[best])}, {best}: "
        f"{others[best]:.1%} would change."
    )


def relabeled(annotations: Annotations, labels: np.ndarray) -> Annotations:
    """Returns the annotations with other labels; the former ones go to a new `clean_expression`.

    A `clean_expression` that is already there is kept.

    Args:
      annotations: N rows.
      labels: integers [N], class numbers.
    """
    table = annotations.table.copy()
    if CLEAN_LABEL not in table:
        table[CLEAN_LABEL] = annotations.labels
    table[LABEL] = labels.astype(np.int32)
    return Annotations(table, annotations.class_names)


def _unaligned(path: str) -> str:
    stem, extension = posixpath.splitext(posixpath.basename(path))
    return stem.removesuffix("_aligned") + extension
