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
from ldl_fer.noise_draws import draw_classes, draw_rows, seeded, share, shares
from ldl_fer.vote_noise import draw_one_vote, flip_by_votes


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
