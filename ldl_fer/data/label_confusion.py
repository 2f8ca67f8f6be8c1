"""How faces of each class are labeled: by the votes of humans, or as a confusion matrix has it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.data.annotation_checks import LABEL
from ldl_fer.data.annotations import Annotations, parse_csv, read_annotations
from ldl_fer.data.csv_text import csv_cells, with_points
from ldl_fer.errors import InputError


def label_confusion(annotations: Annotations, path: str = "") -> np.ndarray | None:
    """Returns how often faces of a class (row) are given each label, [C, C], >= 0.

    Args:
      annotations: whose votes are counted where no file is named.
      path: an annotation CSV with votes, or a file as `read_confusion` takes it.

    Returns:
      Float64, rows of any sum; None without a file and without votes.

    Raises:
      InputError: the file cannot be read, or has neither for these classes.
    """
    names = annotations.class_names
    if not path:
        return votes_by_class(annotations)
    if Path(path).suffix == ".json" or LABEL not in parse_csv(path)[0]:
        return read_confusion(path, names)
    table = read_annotations(path, None, names, 1, progress=False, knn=False, plane=False)
    counted = votes_by_class(table)
    if counted is None:
        raise InputError(
            f"{path} has no votes of humans. Give an annotation CSV with a column votes_<class> "
            "for each class, or a confusion matrix: a CSV, or the result.json of ldl-fer evaluate."
        )
    return counted


def votes_by_class(annotations: Annotations) -> np.ndarray | None:
    """Adds up the shares of votes of faces by the class that has most of theirs, [C, C].

    The given label is not looked at: one that was flipped would tell how many are.

    Returns:
      Float64, a face's row having sum 1; None where nobody voted.
    """
    votes = annotations.votes
    if votes is None or not votes.any():
        return None
    voted = votes[votes.any(axis=1)].astype(np.float64)
    shares = voted / voted.sum(axis=1, keepdims=True)
    sums = np.zeros([votes.shape[1]] * 2)
    np.add.at(sums, shares.argmax(axis=1), shares)
    return sums


def read_confusion(path: str | Path, class_names: Sequence[str]) -> np.ndarray:
    """Reads a confusion matrix: a CSV, or a .json with "class_names" and "confusion".

    Args:
      path: the file. The CSV has class names as header and first column; in both, true class by
        row, classes in any order, letters in any case.
      class_names: C names.

    Returns:
      Float64 [C, C], in the order of `class_names`.

    Raises:
      InputError: it cannot be read, its classes are not these, or an entry is no number >= 0.
    """
    try:
        if Path(path).suffix == ".json":
            held = json.loads(Path(path).read_text("utf-8"))
            names = [str(name) for name in held["class_names"]]
            table = pd.DataFrame(held["confusion"], names, names)
        else:
            text = Path(path).read_text(encoding="utf-8-sig")
            cells, _, ragged = csv_cells(text, class_names)
            if ragged:
                raise ValueError("row {} {}".format(*ragged[0]))
            first, *names = cells
            table = pd.DataFrame({n: with_points(cells[n]) for n in names})
            table.index = pd.Index(cells[first])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} holds no confusion matrix ({error!r}). Give a CSV with class names as header "
            "and first column, or the result.json of ldl-fer evaluate."
        ) from error
    for part, names in (("first column", table.index), ("header", table.columns)):
        numbers = class_numbers(names, class_names, f"the {part} of {path}")
        missing = [name for number, name in enumerate(class_names) if number not in numbers]
        if missing:
            raise InputError(f"the {part} of {path} lacks {', '.join(missing)}; add what is so.")
    rows = class_numbers(table.index, class_names, str(path))
    columns = class_numbers(table.columns, class_names, str(path))
    entries = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~(np.isfinite(entries) & (entries >= 0)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{path}: row {table.index[row]}, column {table.columns[column]} is "
            f"{table.iloc[row, column]!r}; write a number >= 0."
        )
    matrix = np.zeros_like(entries)
    matrix[np.ix_(rows, columns)] = entries
    return matrix


def class_numbers(names: Sequence[str], class_names: Sequence[str], where: str) -> list[int]:
    """Returns the number of each class, letters in any case.

    Args:
      names: of classes.
      class_names: C names, in the order of their numbers.
      where: place of the names, for messages.

    Raises:
      InputError: a name that is no class, or a class named twice.
    """
    number_of = {name.lower(): number for number, name in enumerate(class_names)}
    numbers = []
    for name in names:
        number = number_of.get(str(name).strip().lower())
        if number is None:
            raise InputError(
                f"{where} names {name!r}, which is no class; there are: {', '.join(class_names)}."
            )
        if number in numbers:
            raise InputError(f"{where} names {name} twice; name each class once.")
        numbers.append(number)
    return numbers
