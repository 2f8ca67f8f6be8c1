"""Random draws of rows and classes, for noise of a given rate."""

import numpy as np

from ldl_fer.errors import InputError


def seeded(
    labels: np.ndarray, num_classes: int, seed: int
) -> tuple[np.ndarray, np.random.Generator]:
    """What all kinds of noise begin with: the labels and the random numbers, arguments checked.

    Args:
      labels: integers [N] in [0, C).
      num_classes: C, at least 2.
      seed: >= 0.

    Returns:
      The labels as int32 [N], and a generator of that seed.

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


def share(rate: float | None, rows: int) -> int:
    """How many of some rows change: round(rate rows), in [0, rows].

    Raises:
      InputError: there is no rate, or it is not in [0, 1].
    """
    if rate is None:
        raise InputError("this kind of noise needs a rate, such as --rate=0.3.")
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"the noise rate is {rate}; it must lie in [0, 1].")
    return round(rate * rows)


def shares(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """parts / totals, 0 where the total is 0; float arrays of one shape, and so the result."""
    return np.divide(parts, totals, out=np.zeros_like(parts), where=totals > 0)


def draw_rows(
    weights: np.ndarray, count: int, random: np.random.Generator, what: str
) -> np.ndarray:
    """Exactly `count` different rows, each with the chance min(1, s weight), s set by the count.

    Pareto sampling (Rosen, On sampling with probability proportional to size, J. Stat. Plan.
    Inference 62, 1997): of the odds of uniform numbers over the odds of the chances, the smallest.

    Args:
      weights: [N], >= 0; rows of weight 0 are not drawn.
      count: how many.
      random: where the draws are from.
      what: what the rows of a weight above 0 do, for the message.

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
    """min(1, s weights) with s such that they sum to `count`."""
    sure = np.zeros(len(weights), bool)
    while True:
        rest = weights[~sure].sum()
        scaled = weights * ((count - sure.sum()) / rest if rest else 0.0)
        over = ~sure & (scaled >= 1)
        if not over.any():
            return np.where(sure, 1.0, scaled)
        sure |= over


def draw_classes(weights: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A class per row of `weights` [M, C], >= 0, in proportion to them; 0 for a row of zeros.

    Returns:
      Integers [M] in [0, C).
    """
    bounds = np.cumsum(weights, axis=1)
    points = random.random(len(weights)) * bounds[:, -1]
    return (bounds > points[:, None]).argmax(axis=1)
