"""How doubtful each label of a training set is, and what it should rather be."""

import numpy as np
import pandas as pd

from ldl_fer.samples_csv import shares


def suspicion(samples: pd.DataFrame, class_names: tuple[str, ...], ranking: str) -> np.ndarray:
    """A score in [0, 1] per sample; the highest is the most doubtful label.

    Args:
      samples: of `construction.construct_samples`, N rows.
      class_names: C names.
      ranking: "probability", 1 - p_y, p being the network's probabilities and y the given label: of
        all scores it finds flipped labels best (results/uncertainty). "margin", max_j p_j - p_y:
        finds those best whose suggestion is right.

    Returns:
      [N] float64.

    Raises:
      ValueError: another ranking.
    """
    probabilities = shares(samples, "probability", class_names)
    given = probabilities[np.arange(len(samples)), samples["expression"].to_numpy()]
    if ranking == "probability":
        return 1.0 - given
    if ranking == "margin":
        return probabilities.max(axis=1) - given
    raise ValueError(f"samples are not ranked by {ranking}, but by probability or margin")


def suggested_labels(samples: pd.DataFrame, class_names: tuple[str, ...]) -> np.ndarray:
    """The class that the network holds most probable, int64 [N]."""
    return shares(samples, "probability", class_names).argmax(axis=1)
