"""How doubtful each label of a training set is, and what it should rather be."""

import numpy as np
import pandas as pd

RANKINGS = ("probability", "margin", "uncertainty", "target")


def suspicion(samples: pd.DataFrame, class_names: tuple[str, ...], ranking: str) -> np.ndarray:
    """A score in [0, 1] per sample; the highest is the most doubtful label.

    Args:
      samples: of `construction.construct_samples`, N rows.
      class_names: C names.
      ranking: "probability", 1 - p_y, p being the network's probabilities and y the given label: of
        all scores it finds flipped labels best (results/uncertainty). "margin", max_j p_j - p_y:
        finds those best whose suggestion is right. "uncertainty", lambda. "target", 1 - d_y of the
        target distribution (Eq. 6).

    Raises:
      ValueError: the run has no such score: only LDLVA has the latter two.
    """
    rows, labels = np.arange(len(samples)), samples["expression"].to_numpy()
    if ranking == "probability":
        return 1.0 - shares(samples, "probability", class_names)[rows, labels]
    if ranking == "margin":
        probabilities = shares(samples, "probability", class_names)
        return probabilities.max(axis=1) - probabilities[rows, labels]
    if "uncertainty" not in samples or ranking not in RANKINGS:
        raise ValueError(f"these samples cannot be ranked by {ranking}")
    if ranking == "uncertainty":
        return samples["uncertainty"].to_numpy()
    return 1.0 - shares(samples, "target", class_names)[rows, labels]


def suggested_labels(samples: pd.DataFrame, class_names: tuple[str, ...]) -> np.ndarray:
    """The class that the network holds most probable, int64 [N]."""
    return shares(samples, "probability", class_names).argmax(axis=1)


def shares(samples: pd.DataFrame, part: str, class_names: tuple[str, ...]) -> np.ndarray:
    """Columns `part`_<class> as [N, C]; part is "probability", "aggregated" or "target"."""
    return samples[[f"{part}_{name.lower()}" for name in class_names]].to_numpy()
