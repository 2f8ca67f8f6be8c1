"""Which faces a figure shows, and what it says of them."""

import numpy as np
import pandas as pd

from ldl_fer.audit.training_set import TrainingSet
from ldl_fer.pictures import named_when_unreadable
from ldl_fer.pixels import decoded_image

_HIGH = 0.25  # part of the samples that counts as of high lambda


def mixed(uncertainty: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Samples drawn at random, half of them from the quarter of the highest lambda.

    Args:
      uncertainty: [N], lambda.
      count: how many.
      seed: of the draw.

    Returns:
      Their sample_ids, by falling lambda; fewer than `count` where N is small.
    """
    order = np.argsort(uncertainty, kind="stable")
    low, high = np.split(order, [len(order) - max(round(_HIGH * len(order)), 1)])
    chosen = np.concatenate([drawn(high, -(-count // 2), seed), drawn(low, count // 2, seed)])
    return chosen[np.argsort(-uncertainty[chosen], kind="stable")]


def drawn(ids: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` of some sample_ids, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(ids)[:count])


def vote_shares(votes: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Shares [M, C] of the votes of some rows, zeros where nobody voted; None without any."""
    if votes is None or not votes[rows].any():
        return None
    return votes[rows] / np.maximum(votes[rows].sum(axis=1, keepdims=True), 1e-9)


def pictures(training: TrainingSet, ids: np.ndarray) -> list[np.ndarray]:
    """The faces of some samples, RGB uint8 [H, W, 3] each, as they are.

    Raises:
      InputError: one cannot be read.
    """
    cure = "Name the folder of the training pictures by --train_image_dir"
    found, paths = [], training.annotations.paths
    for row in training.rows[ids].tolist():
        with named_when_unreadable(paths[row], cure, row):
            found.append(decoded_image(training.picture(row)))
    return found


def caption(row: pd.Series, names: tuple[str, ...]) -> str:
    """Given label and lambda of a sample; on a second line the clean label, if it is another."""
    text = rf"{names[row['expression']]}, $\lambda$ {row['uncertainty']:.2f}"
    clean = row.get("clean_expression")
    if clean is not None and clean != row["expression"]:
        text += f"\nclean: {names[int(clean)]}"
    return text
