"""Turns ten people's votes into one label, or none.

majority   Emotions with a single vote are set aside as slips; the label has more than half of the
           votes left (Barsoum et al., ICMI 2016, and the code published with it).
plurality  The label has the most votes.
votes      The label has the most votes, and at least `min_votes`.

All that people could vote for takes part, unknown and no-face too. A tie gives no label.
"""

import numpy as np

from ldl_fer.errors import InputError

RULES = ("majority", "plurality", "votes")


def check_rule(rule: str, min_votes: int | None) -> None:
    """Raises InputError for an unknown rule, and unless min_votes goes with rule votes."""
    if rule not in RULES:
        raise InputError(f"--rule={rule}: there are {', '.join(RULES)}.")
    if (rule == "votes") != (min_votes is not None) or (min_votes is not None and min_votes < 1):
        raise InputError("--rule=votes goes with --min_votes=N, at least 1; no other rule does.")


def winners(votes: np.ndarray, rule: str, min_votes: int | None = None) -> np.ndarray:
    """Returns the label that each row's votes give.

    Args:
      votes: [N, V] counts.
      rule: one of `RULES`.
      min_votes: above 0; with rule votes only.

    Returns:
      Int [N], column of the winner; -1 where the rule finds none.

    Raises:
      InputError: as `check_rule`.
    """
    check_rule(rule, min_votes)
    counted = np.where(votes > 1, votes, 0) if rule == "majority" else votes
    most = counted.max(axis=1)
    decided = (most > 0) & ((counted == most[:, np.newaxis]).sum(axis=1) == 1)
    if rule == "majority":
        decided &= 2 * most > counted.sum(axis=1)
    if rule == "votes":
        decided &= most >= min_votes
    return np.where(decided, counted.argmax(axis=1), -1)
