"""Votes become labels by each rule."""

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.vote_rules import winners


@pytest.mark.parametrize(
    "votes, majority, plurality, six",
    [
        ([6, 4, 0, 0], 0, 0, 0),
        ([5, 3, 1, 1], 0, 0, -1),  # single votes aside, 5 of 8 is more than half
        ([5, 5, 0, 0], -1, -1, -1),  # a tie
        ([4, 3, 2, 1], -1, 0, -1),  # 4 of 9 is not more than half
        ([4, 2, 2, 1], -1, 0, -1),  # 4 of 8 is just half
        ([1, 1, 1, 0], -1, -1, -1),
        ([1, 0, 0, 0], -1, 0, -1),  # a single vote counts in plurality alone
        ([0, 0, 0, 9], 3, 3, 3),
        ([0, 0, 0, 0], -1, -1, -1),
    ],
)
def test_each_rule_gives_its_label(votes, majority, plurality, six):
    votes = np.array([votes])
    assert winners(votes, "majority").tolist() == [majority]
    assert winners(votes, "plurality").tolist() == [plurality]
    assert winners(votes, "votes", 6).tolist() == [six]


@pytest.mark.parametrize("rule", [("best", None), ("votes", None), ("votes", 0), ("majority", 3)])
def test_wrong_rules_are_refused(rule):
    with pytest.raises(InputError, match="--rule"):
        winners(np.ones([1, 2]), *rule)
