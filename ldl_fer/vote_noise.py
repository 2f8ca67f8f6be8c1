"""Noise out of human votes: labels that people doubt, or as a single one would have given them."""

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.noise_draws import draw_classes, draw_rows, seeded, share, shares


def flip_by_votes(
    labels: np.ndarray, rate: float, num_classes: int, seed: int, votes: np.ndarray | None
) -> np.ndarray:
    """Changes the labels that humans doubt, to what they saw instead: instance-dependent noise.

    The chance that a row changes is min(1, s (1 - q)): q is the part of its votes that its label
    has, s scales the expected changes to the number asked. The new class is drawn in proportion
    to the votes for the other classes. Rows without votes never change.

    Args:
      labels, rate, num_classes, seed: as `noise_kinds.flip_symmetric`.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: as `noise_kinds.flip_symmetric`; no votes; fewer rows than asked have votes for
        another class.
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
      labels, num_classes, seed: as `noise_kinds.flip_symmetric`.
      rate: None; how many rows change is up to the votes.
      votes: [N, C], >= 0, counts or shares.

    Returns:
      Int32 [N]; rows without votes keep their label.

    Raises:
      InputError: as `noise_kinds.flip_symmetric`; there is a rate, or there are no votes.
    """
    labels, random = seeded(labels, num_classes, seed)
    if rate is not None:
        raise InputError(f"one_vote takes no rate, the votes decide; leave out --rate={rate}.")
    votes = checked_votes(votes, labels, num_classes)
    return np.where(votes.any(axis=1), draw_classes(votes, random), labels).astype(np.int32)


def checked_votes(votes: np.ndarray | None, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """A copy of the votes.

    Args:
      votes: [N, C], counts or shares; None: there are none.
      labels: [N].
      num_classes: C.

    Returns:
      [N, C] float64.

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
