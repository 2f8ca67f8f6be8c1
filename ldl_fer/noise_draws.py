"""Weighted draws of rows and classes, for labels that go wrong."""

import numpy as np

from ldl_fer.errors import InputError


def shares(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """parts / totals, 0 where the total is 0."""
    return np.divide(parts, totals, out=np.zeros_like(parts), where=totals > 0)


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
