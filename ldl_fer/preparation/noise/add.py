"""Adds label noise to annotations, reads its pairs and confusion matrices, reports what changed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.files import csv_cells, with_points
from ldl_fer.preparation.noise.kinds import KINDS
from ldl_fer.preparation.noise.label_list import CLEAN_LABEL, class_numbers, relabeled


def add_noise(
    annotations: Annotations,
    kind: str,
    rate: float | None,
    seed: int,
    pairs: Mapping[str, str] | None = None,
    confusion: np.ndarray | None = None,
) -> Annotations:
    """Returns the annotations with a noisy `expression`, and the clean one in `clean_expression`.

    A `clean_expression` that is already there is kept.

    Args:
      annotations: N rows, C classes.
      kind: a name in `kinds.KINDS`.
      rate: part of the rows, in [0, 1]; None for one_vote, and for confusion's own rate.
      seed: >= 0.
      pairs: for kind pair, class name -> name of the class it becomes; None: the next class.
      confusion: for kind confusion, [C, C], true class by row.

    Raises:
      InputError: an unknown kind, a rate or seed out of range, pairs or a confusion given to
        another kind, and as the kind's function.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of noise; there are: {', '.join(KINDS)}.")
    flip, source = KINDS[kind]
    given = {"pairs": pairs, "confusion": confusion}
    for name, value in given.items():
        if value is not None and name != source:
            raise InputError(f"kind {kind} does not use --{name}; leave it out.")
    if source == "pairs" and pairs is not None:
        given["pairs"] = pair_numbers(pairs, annotations.class_names)
    if source == "votes":
        given["votes"] = annotations.votes
    sources = [given[source]] if source else []
    noisy = flip(annotations.labels, rate, len(annotations.class_names), seed, *sources)
    return relabeled(annotations, noisy)


def noise_report(before: Annotations, after: Annotations) -> dict:
    """Counts what noise did to the labels, ready for JSON.

    Returns:
      rows: N; changed: rows whose label differs from `before`; rate_realized: changed / N;
      rate_total: part of the rows that differ from `clean_expression`; class_names: C names;
      counts: [C][C], rows of a class before (first index) and after (second).
    """
    classes = len(before.class_names)
    pairs = before.labels * classes + after.labels
    clean = after.table[CLEAN_LABEL].to_numpy()
    changed = int((before.labels != after.labels).sum())
    return {
        "rows": len(before),
        "changed": changed,
        "rate_realized": changed / len(before),
        "rate_total": float(np.mean(clean != after.labels)),
        "class_names": list(before.class_names),
        "counts": np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist(),
    }


def parse_pairs(items: Sequence[str]) -> dict[str, str]:
    """Parses ["Fear:Surprise", ...] into {"Fear": "Surprise", ...}.

    Raises:
      InputError: an item of another form, or a class with two pairs.
    """
    pairs = {}
    for item in items:
        first, colon, second = (part.strip() for part in item.partition(":"))
        if not (first and colon and second) or ":" in second:
            raise InputError(f"--pairs has {item!r}; write CLASS:CLASS, such as Fear:Surprise.")
        if first in pairs:
            raise InputError(f"--pairs gives {first} two pairs; a class becomes one other.")
        pairs[first] = second
    return pairs


def pair_numbers(pairs: Mapping[str, str], class_names: Sequence[str]) -> np.ndarray:
    """Returns the class that each class becomes, int32 [C]: itself where it has no pair.

    Args:
      pairs: class name -> name of the class it becomes.
      class_names: C names.

    Raises:
      InputError: a name that is no class, a class with two pairs, or paired with itself.
    """
    numbers = np.arange(len(class_names), dtype=np.int32)
    firsts = class_numbers(list(pairs), class_names, "--pairs")
    for first, name in zip(firsts, pairs.values(), strict=True):
        (second,) = class_numbers([name], class_names, "--pairs")
        if second == first:
            raise InputError(f"--pairs makes {name} its own pair; name another class.")
        numbers[first] = second
    return numbers


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
