"""Random draws of rows and classes, for noise of a given rate."""

import numpy as np

from ldl_fer.errors import InputError


def seeded(
    labels: np.ndarray, num_classes: int, seed: int
) -> tuple[np.ndarray, np.random.Generator]:
    """The labels as int32 and the random numbers, after a check of the arguments of all kinds."""
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
    """round(rate rows)."""
    if rate is None:
        raise InputError("this kind of noise needs a rate, such as --rate=0.3.")
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"the noise rate is {rate}; it must lie in [0, 1].")
    return round(rate * rows)


def shares(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """parts / totals, 0 where the total is 0."""
    return np.divide(parts, totals, out=np.zeros_like(parts), where=totals > 0)


def checked_votes(votes: np.ndarray | None, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """A float64 copy [N, C] of the votes."""
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


def draw_rows(
    weights: np.ndarray, count: int, random: np.random.Generator, what: str
) -> np.ndarray:
    """Exactly `count` different rows, each with the chance min(1, s weight), s set by the count.

    Pareto sampling (Rosen, On sampling with probability proportional to size, J. Stat. Plan.
    Inference 62, 1997): of the odds of uniform numbers over the odds of the chances, the smallest.
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
    """A class per row of `weights` [M, C], in proportion to them; 0 for a row of zeros."""
    bounds = np.cumsum(weights, axis=1)
    points = random.random(len(weights)) * bounds[:, -1]
    return (bounds > points[:, None]).argmax(axis=1)
