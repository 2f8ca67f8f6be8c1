"""Makes labels wrong: a pure function for each kind of noise, and `KINDS`, their registry.

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
    labels, random = _seeded(labels, num_classes, seed)
    rows = random.choice(len(labels), _share(rate, len(labels)), replace=False)
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
      pairs: integers [C], the class that c becomes; c itself for a class without a pair. None:
        c + 1 modulo C, so that M = N.

    Returns:
      Int32 [N]; exactly round(rate M) rows differ from `labels`.

    Raises:
      InputError: as `flip_symmetric`; or there is a rate, but no row whose class has a pair.
    """
    labels, random = _seeded(labels, num_classes, seed)
    if pairs is None:
        pairs = (np.arange(num_classes) + 1) % num_classes
    pairs = np.asarray(pairs, np.int32)
    paired = np.flatnonzero(pairs[labels] != labels)
    count = _share(rate, len(paired))
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
    """Replaces labels as a confusion matrix does.

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
    labels, random = _seeded(labels, num_classes, seed)
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
    weights = _shares(elsewhere.sum(axis=1), confusion.sum(axis=1))[labels]
    count = round(weights.sum()) if rate is None else _share(rate, len(labels))
    rows = _draw_rows(weights, count, random, "are of a class that the matrix confuses")
    noisy = labels.copy()
    noisy[rows] = _draw_classes(elsewhere[labels[rows]], random)
    return noisy


def flip_by_votes(
    labels: np.ndarray, rate: float, num_classes: int, seed: int, votes: np.ndarray | None
) -> np.ndarray:
    """Replaces labels that humans doubt by what they saw instead: instance-dependent noise.

    The chance that a row changes is min(1, s (1 - q)): q is the part of its votes that its label
    has, s scales the expected changes to the number asked. The new class is drawn in proportion
    to the votes for the other classes. Rows without votes never change.

    Args:
      labels, rate, num_classes, seed: as `flip_symmetric`.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: as `flip_symmetric`; no votes; fewer rows than asked have votes for another
        class.
    """
    labels, random = _seeded(labels, num_classes, seed)
    others = _checked_votes(votes, labels, num_classes)
    total = others.sum(axis=1)
    others[np.arange(len(labels)), labels] = 0.0
    weights = _shares(others.sum(axis=1), total)
    what = "have votes for another class than their label"
    rows = _draw_rows(weights, _share(rate, len(labels)), random, what)
    noisy = labels.copy()
    noisy[rows] = _draw_classes(others[rows], random)
    return noisy


def draw_one_vote(
    labels: np.ndarray, rate: None, num_classes: int, seed: int, votes: np.ndarray | None
) -> np.ndarray:
    """Replaces each label by one of the row's votes, drawn: as a single human would have said.

    Args:
      labels, num_classes, seed: as `flip_symmetric`.
      rate: None; how many rows change is up to the votes.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; rows without votes keep their label.

    Raises:
      InputError: as `flip_symmetric`; there is a rate, or there are no votes.
    """
    labels, random = _seeded(labels, num_classes, seed)
    if rate is not None:
        raise InputError(f"one_vote takes no rate, the votes decide; leave out --rate={rate}.")
    votes = _checked_votes(votes, labels, num_classes)
    return np.where(votes.any(axis=1), _draw_classes(votes, random), labels).astype(np.int32)


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


def _checked_votes(votes: np.ndarray | None, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Copies votes [N, C] as float64.

    Raises:
      InputError: there are none, or they have another shape.
    """
    if votes is None:
        raise InputError(
            "this kind of noise needs human votes: a column votes_<class in lower case> for each "
            f"of the {num_classes} classes."
        )
    votes = np.array(votes, np.float64)
    if votes.shape != (len(labels), num_classes):
        raise InputError(
            f"the votes have shape {list(votes.shape)}; {len(labels)} rows of {num_classes} "
            f"classes need [{len(labels)}, {num_classes}]."
        )
    return votes


def _seeded(
    labels: np.ndarray, num_classes: int, seed: int
) -> tuple[np.ndarray, np.random.Generator]:
    """Checks the arguments of every kind; returns int32 labels [N] and a generator of that seed.

    Raises:
      InputError: a label, the number of classes or the seed is out of range.
    """
    labels = np.asarray(labels)
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be at least 0.")
    if num_classes < 2:
        raise InputError(f"{num_classes} classes: noise needs at least 2 to choose from.")
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        row = outside[0]
        raise InputError(f"row {row} has label {labels[row]}; it must lie in [0, {num_classes}).")
    return labels.astype(np.int32), np.random.default_rng(seed)


def _share(rate: float | None, rows: int) -> int:
    """Returns how many rows change: round(rate rows), in [0, rows].

    Raises:
      InputError: there is no rate, or it is not in [0, 1].
    """
    if rate is None:
        raise InputError("this kind of noise needs a rate, such as --rate=0.3.")
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"the noise rate is {rate}; it must lie in [0, 1].")
    return round(rate * rows)


def _shares(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Divides parts by totals, floats of one shape; 0 where the total is 0."""
    return np.divide(parts, totals, out=np.zeros_like(parts), where=totals > 0)


def _draw_rows(
    weights: np.ndarray, count: int, random: np.random.Generator, what: str
) -> np.ndarray:
    """Draws exactly `count` rows, each with chance min(1, s weight), s set by the count.

    Pareto sampling (Rosen, On sampling with probability proportional to size, J. Stat. Plan.
    Inference 62, 1997): of the odds of uniform numbers over the odds of the chances, the smallest.
    `Generator.choice(..., replace=False, p=...)` draws one row after the other instead, so that
    its chances are not in proportion to the weights and none is ever sure.

    Args:
      weights: [N], >= 0; rows of weight 0 are not drawn.
      count: of rows.
      random: source of the draws.
      what: names, for the message, a property of the rows of a weight above 0.

    Returns:
      Row numbers, integers [count], none twice.

    Raises:
      InputError: fewer rows than that have a weight above 0.
    """
    possible = np.count_nonzero(weights)
    if possible < count:
        most = np.floor(possible / len(weights) * 1e4) / 1e4
        raise InputError(
            f"{count} of {len(weights)} labels are to change, but only {possible} rows {what}. "
            f"Give a rate of at most {most:g}."
        )
    chances, uniform = _chances(weights, count), random.random(len(weights))
    with np.errstate(divide="ignore", invalid="ignore"):  # a chance of 0: infinite or NaN, last
        ranks = uniform / (1 - uniform) * (1 - chances) / chances
    return np.argsort(ranks, kind="stable")[:count]


def _chances(weights: np.ndarray, count: int) -> np.ndarray:
    """Returns min(1, s weights) with s such that they sum to `count`."""
    sure = np.zeros(len(weights), bool)
    while True:
        rest = weights[~sure].sum()
        scaled = weights * ((count - sure.sum()) / rest if rest else 0.0)
        over = ~sure & (scaled >= 1)
        if not over.any():
            return np.where(sure, 1.0, scaled)
        sure |= over


def _draw_classes(weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws a class per row of `weights` [M, C], >= 0, in proportion to them.

    Returns:
      Integers [M] in [0, C); 0 for a row of zeros.
    """
    bounds = np.cumsum(weights, axis=1)
    points = random.random(len(weights)) * bounds[:, -1]
    return (bounds > points[:, None]).argmax(axis=1)
