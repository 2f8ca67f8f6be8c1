"""How labels go wrong: a pure function per kind of noise, and the registry of them, `KINDS`.

| kind      | rows that change                                     | their new class              |
|-----------|------------------------------------------------------|------------------------------|
| symmetric | round(rate N), any equally likely                    | any other, equally likely    |
| pair      | round(rate M) of the M rows whose class has a pair   | the pair of their class      |
| confusion | round(rate N), likelier where a class is confused    | by their class's confusions  |
| votes     | round(rate N), likelier where votes doubt the label  | by their votes for others    |
| one_vote  | those whose drawn vote differs from the label        | one human vote, drawn        |

Letters: N rows, C classes. The same arguments give the same labels. Rows are drawn without
replacement, so that the number of changed rows is exact.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.noise_draws import checked_votes, draw_classes, draw_rows, seeded, share, shares


def flip_symmetric(labels: np.ndarray, rate: float, num_classes: int, seed: int) -> np.ndarray:
    """Replaces the labels of round(rate N) rows, drawn without replacement, by other classes.

    Args:
      labels: integers [N] in [0, C).
      rate: part of the rows, in [0, 1].
      num_classes: C, at least 2; each of the other C - 1 classes is equally likely.
      seed: >= 0.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: rate, seed, number of classes or a label is out of range.
    """
    labels, random = seeded(labels, num_classes, seed)
    rows = random.choice(len(labels), share(rate, len(labels)), replace=False)
    noisy = labels.copy()
    noisy[rows] = (noisy[rows] + random.integers(1, num_classes, len(rows))) % num_classes
    return noisy


def flip_pairs(
    labels: np.ndarray,
    rate: float,
    num_classes: int,
    seed: int,
    pairs: np.ndarray | None = None,
) -> np.ndarray:
    """Turns round(rate M) of the M rows whose class has a pair into that pair.

    Args:
      labels, rate, num_classes, seed: as `flip_symmetric`.
      pairs: integers [C], what class c becomes; c itself for a class without a pair. None: c + 1
        modulo C, so that M = N.

    Returns:
      Int32 [N]; exactly round(rate M) rows differ from `labels`.

    Raises:
      InputError: as `flip_symmetric`; or there is a rate, but no row whose class has a pair.
    """
    labels, random = seeded(labels, num_classes, seed)
    if pairs is None:
        pairs = (np.arange(num_classes) + 1) % num_classes
    pairs = np.asarray(pairs, np.int32)
    paired = np.flatnonzero(pairs[labels] != labels)
    count = share(rate, len(paired))
    if rate and len(labels) and not len(paired):
        raise InputError(
            f"none of the {len(labels)} rows has a class with a pair; give pairs of classes that "
            "occur."
        )
    rows = random.choice(paired, count, replace=False)
    noisy = labels.copy()
    noisy[rows] = pairs[labels[rows]]
    return noisy


def flip_by_confusion(
    labels: np.ndarray,
    rate: float | None,
    num_classes: int,
    seed: int,
    confusion: np.ndarray | None,
) -> np.ndarray:
    """Confuses classes as a matrix does.

    The chance that a row of class c changes is min(1, s e_c): e_c is the part of the matrix's row
    c off its diagonal, s scales the expected changes to the number asked. The new class is drawn
    in proportion to the off-diagonal entries of row c.

    Args:
      labels, num_classes, seed: as `flip_symmetric`.
      rate: part of the N rows that changes, in [0, 1]; None: the mean of e_c over the rows.
      confusion: [C, C], >= 0, counts or shares, true class by row. A row of zeros confuses nothing.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: as `flip_symmetric`; no matrix or one of other shape, with negative or infinite
        entries; fewer rows than asked have a class that the matrix confuses.
    """
    labels, random = seeded(labels, num_classes, seed)
    if confusion is None:
        raise InputError("this kind of noise needs a confusion matrix: give --confusion=FILE.")
    confusion = np.asarray(confusion, np.float64)
    if confusion.shape != (num_classes, num_classes):
        raise InputError(
            f"the confusion matrix has shape {list(confusion.shape)}; {num_classes} classes need "
            f"[{num_classes}, {num_classes}]."
        )
    if not (np.isfinite(confusion) & (confusion >= 0)).all():
        raise InputError("the confusion matrix has entries that are no finite numbers >= 0.")
    elsewhere = confusion * (1 - np.eye(num_classes))
    weights = shares(elsewhere.sum(axis=1), confusion.sum(axis=1))[labels]
    count = round(weights.sum()) if rate is None else share(rate, len(labels))
    rows = draw_rows(weights, count, random, "are of a class that the matrix confuses")
    noisy = labels.copy()
    noisy[rows] = draw_classes(elsewhere[labels[rows]], random)
    return noisy


def flip_by_votes(
    labels: np.ndarray, rate: float, num_classes: int, seed: int, votes: np.ndarray | None
) -> np.ndarray:
    """Changes the labels that humans doubt, to what they saw instead: instance-dependent noise.

    The chance that a row changes is min(1, s (1 - q)): q is the part of its votes that its label
    has, s scales the expected changes to the number asked. The new class is drawn in proportion
    to the votes for the other classes. Rows without votes never change.

    Args:
      labels, rate, num_classes, seed: as `flip_symmetric`.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: as `flip_symmetric`; no votes; fewer rows than asked have votes for another class.
    """
    labels, random = seeded(labels, num_classes, seed)
    others = checked_votes(votes, labels, num_classes)
    total = others.sum(axis=1)
    others[np.arange(len(labels)), labels] = 0.0
    weights = shares(others.sum(axis=1), total)
    what = "have votes for another class than their label"
    rows = draw_rows(weights, share(rate, len(labels)), random, what)
    noisy = labels.copy()
    noisy[rows] = draw_classes(others[rows], random)
    return noisy


def draw_one_vote(
    labels: np.ndarray, rate: None, num_classes: int, seed: int, votes: np.ndarray | None
) -> np.ndarray:
    """Labels as a single human would have given them: one vote a row, drawn from its votes.

    Args:
      labels, num_classes, seed: as `flip_symmetric`.
      rate: None; how many rows change is up to the votes.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; rows without votes keep their label.

    Raises:
      InputError: as `flip_symmetric`; there is a rate, or there are no votes.
    """
    labels, random = seeded(labels, num_classes, seed)
    if rate is not None:
        raise InputError(f"one_vote takes no rate, the votes decide; leave out --rate={rate}.")
    votes = checked_votes(votes, labels, num_classes)
    return np.where(votes.any(axis=1), draw_classes(votes, random), labels).astype(np.int32)


class Kind(NamedTuple):
    """A kind of noise.

    Attributes:
      flip: (labels, rate, num_classes, seed) -> noisy labels, with the source as a fifth argument
        where there is one.
      source: "pairs", "confusion" or "votes"; empty for none.
    """

    flip: Callable[..., np.ndarray]
    source: str = ""


KINDS = {
    "symmetric": Kind(flip_symmetric),
    "pair": Kind(flip_pairs, "pairs"),
    "confusion": Kind(flip_by_confusion, "confusion"),
    "votes": Kind(flip_by_votes, "votes"),
    "one_vote": Kind(draw_one_vote, "votes"),
}
