"""Orders in which data sets number the classes, and what published counts say of an order."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.reader import Reader, one_name

_NEAR, _FAR = 0.05, 0.15  # part of the rows by which counts differ


class OtherOrder(NamedTuple):
    """An order that published counts fit better than the given one.

    Attributes:
      title: whose order it is.
      order: C numbers of classes: the meaning of labels 0, 1, ...
      evidence: the end of a sentence that says why.
      reader: of the data set whose counts they are.
      as_given: part of the rows, in [0, 1], by which the counts differ as given.
    """

    title: str
    order: tuple[int, ...]
    evidence: str
    reader: Reader
    as_given: float


def known_orders(class_names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Returns the orders in which other data sets number the same classes.

    Args:
      class_names: C names.

    Returns:
      Name of the order -> C numbers of classes: the meaning of labels 0, 1, ... in it. Without the
      order of `class_names` itself; of equal orders the first.
    """
    names = [one_name(name) for name in class_names]
    orders = {reader.title: reader.label_order for reader in READERS.values()}
    orders["the alphabet, as loaders number class folders"] = tuple(sorted(names))
    found = {}
    for title, order in orders.items():
        first = [one_name(name) for name in order][: len(names)]
        if sorted(first) == sorted(names) and first != names:
            numbers = tuple(names.index(name) for name in first)
            if numbers not in found.values():
                found[title] = numbers
    return found


def published_of(reader: Reader, split: str, class_names: Sequence[str]) -> np.ndarray | None:
    """Returns published counts, int64 [C], in the order given; None unless all are known."""
    counts = reader.published(split, class_names)
    if None in counts or len(counts) != len(reader.all_published(split)):
        return None
    return np.array(counts, np.int64)


def read_in(order: Sequence[int], counts: np.ndarray) -> np.ndarray:
    """Returns rows per class, int [C], if labels 0, 1, ... mean the classes of `order`."""
    return counts[np.argsort(order)]


def order_by_counts(
    split: str, counts: np.ndarray, class_names: Sequence[str], data_set: str | None = None
) -> OtherOrder | None:
    """Looks for an order in which the rows per class are those of a published data set.

    Args:
      split: train, val, test or all.
      counts: int [C], rows of label 0, 1, ...
      class_names: C names, the order as given.
      data_set: its name in `READERS`; None: all are compared.

    Returns:
      The order; None if the order given fits, or no other does.
    """
    for reader in [READERS[data_set]] if data_set else READERS.values():
        published = published_of(reader, split, class_names)
        if published is None:
            continue
        as_given = _difference(counts, published)
        distinct = len(set(published.tolist())) == len(published)
        if distinct and as_given > 0 and sorted(counts) == sorted(published):
            order = tuple(int(np.flatnonzero(published == count)[0]) for count in counts)
            titles = [t for t, known in known_orders(class_names).items() if known == order]
            evidence = f"the counts are exactly those published of {reader.title}, so read"
            return OtherOrder((*titles, "another")[0], order, evidence, reader, as_given)
        for title, order in known_orders(class_names).items():
            other = _difference(read_in(order, counts), published)
            if other < _NEAR and as_given > _FAR:
                evidence = (
                    f"so read, the classes have the shares published of {reader.title} but for "
                    f"{other:.1%} of the rows, as given but for {as_given:.1%}"
                )
                return OtherOrder(title, order, evidence, reader, as_given)
    return None


def _difference(counts: np.ndarray, published: np.ndarray) -> float:
    """Returns half the sum of absolute differences of the shares, in [0, 1]."""
    total = max(int(counts.sum()), 1)
    return float(0.5 * np.abs(counts / total - published / published.sum()).sum())
