"""Checks cells and rows per class, against published counts and what a training needs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.label_orders import published_of, read_in
from ldl_fer.preparation.datasets.reader import Reader
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, Finding
from ldl_fer.preparation.doctor.split import Split

UNBALANCED = 20  # times as many rows in the largest class as in the smallest
FEW = 10  # rows of a class, below which nothing is learned or measured
_SIZE_FITS = 0.01  # relative difference of the number of rows


def check_cells(splits: Sequence[Split]) -> list[Finding]:
    """Lists cells that training would refuse."""
    rows = tuple(
        split.row(r, text) for split in splits for r, text in split.problems if r is not None
    )
    whole = [f"{split.name}: {text}" for split in splits for r, text in split.problems if r is None]
    if not rows:
        return [Finding("cells", FINE, "all cells of the CSV files are as they should be.")]
    return [
        Finding(
            "cells",
            MISTAKE,
            f"{len(rows)} cells that training refuses.",
            " ".join([*(f"{text}." for text in whole), "Correct these rows of the CSV."]),
            rows,
        )
    ]


def check_classes(splits: Sequence[Split]) -> list[Finding]:
    """Looks for classes that are absent or rare, or much larger than others."""
    findings = []
    for split in splits:
        names, counts = split.class_names, split.counts
        listed = _listed(names, counts)
        values = {"split": split.name, "rows": len(split), "counts": counts.tolist()}
        absent = [name for name, count in zip(names, counts, strict=True) if not count]
        few = [name for name, count in zip(names, counts, strict=True) if 0 < count < FEW]
        if absent:
            findings.append(
                Finding(
                    "classes",
                    MISTAKE if split.name == "train" else DOUBTFUL,
                    f"{split.name} has no row of {', '.join(absent)} ({listed}).",
                    "Add rows, or name only the classes that there are by --class_names (with "
                    "the numbers in `expression` changed accordingly).",
                    values=values,
                )
            )
        if few:
            findings.append(
                Finding(
                    "classes",
                    DOUBTFUL,
                    f"{split.name} has fewer than {FEW} rows of {', '.join(few)} ({listed}).",
                    "Nothing can be said of so few; add rows.",
                    values=values,
                )
            )
        if split.name == "train" and not absent and counts.max() > UNBALANCED * counts.min():
            findings.append(
                Finding(
                    "classes",
                    DOUBTFUL,
                    f"train has {counts.max() / counts.min():.0f} times as many rows of "
                    f"{names[counts.argmax()]} as of {names[counts.argmin()]} ({listed}).",
                    "Train with --class_weights=balanced, and look at the macro F1.",
                    values=values,
                )
            )
        elif not absent and not few:
            text = f"{split.name}: {len(split)} rows ({listed})."
            findings.append(Finding("classes", FINE, text, values=values))
    return findings


def check_published(
    splits: Sequence[Split],
    data_set: str | None = None,
    orders: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Finding]:
    """Compares counts with the published ones.

    Args:
      splits: of the data set.
      data_set: its name in `READERS`; None: all whose number of rows fits within 1 %.
      orders: split -> classes that labels 0, 1, ... rather mean, where `check_label_order` found
        another order to be meant; counts are compared in it.
    """
    findings = []
    for split in splits:
        for reader in [READERS[data_set]] if data_set else READERS.values():
            published = published_of(reader, split.name, split.class_names)
            if published is None:
                continue
            if data_set or abs(len(split) - published.sum()) <= _SIZE_FITS * published.sum():
                found = _compared(split, reader, published, bool(data_set), orders.get(split.name))
                findings += [found] if found else []
    if data_set and not findings:
        text = f"no counts of {READERS[data_set].title} are known for these splits and classes."
        findings.append(Finding("published counts", FINE, text))
    return findings


def _compared(
    split: Split,
    reader: Reader,
    published: np.ndarray,
    asked: bool,
    read_as: Sequence[str] | None,
) -> Finding | None:
    names, counts, so_read = split.class_names, split.counts, ""
    other = read_in([names.index(name) for name in read_as], counts) if read_as else counts
    if abs(other - published).sum() < abs(counts - published).sum():
        counts, so_read = other, ", if the numbers are read in the order found (see label order)"
    values = {
        "split": split.name,
        "data_set": reader.name,
        "counts": counts.tolist(),
        "published": published.tolist(),
    }
    if (counts == published).all():
        text = f"{split.name}: {len(split)} rows, class by class as published of {reader.title}"
        text += f"{so_read}."
        return Finding("published counts", FINE, text, values=values)
    differences = [
        f"{name} {count} instead of {wanted}"
        for name, count, wanted in zip(names, counts, published, strict=True)
        if count != wanted
    ]
    if asked:
        text = f"{split.name} differs from {reader.title} as published: {', '.join(differences)}"
        text += f"{so_read}."
        cure = "Find the rows that are missing or too many, or the labels that were changed."
        return Finding("published counts", DOUBTFUL, text, cure, values=values)
    if read_as:
        return None  # The finding on the order says what there is to say.
    text = (
        f"{split.name} has the size of {reader.title} but not its classes, and is taken for "
        f"another data set. If it is this one, give --dataset={reader.name}."
    )
    return Finding("published counts", FINE, text, values=values)


def _listed(names: Sequence[str], counts: np.ndarray) -> str:
    return ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
