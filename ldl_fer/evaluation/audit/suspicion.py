"""Scores the doubt about labels by what networks hold of the pictures."""

import numpy as np
import pandas as pd

from ldl_fer.data.annotation_checks import LABEL
from ldl_fer.data.samples import shares


def suspicion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Computes q / (p_y + q): y the label, p the probabilities, q the largest of another class.

    It asks which of two classes it is. 1 - p_y misses labels that were confused in pairs, where a
    network gives both classes a share, and p_y - q those that were flipped at random. Chosen on
    drawn faces, see docs/label_audit.md.

    Args:
      probabilities: [N, C], C >= 2, rows sum to 1.
      labels: [N] integers in [0, C).

    Returns:
      [N] float64 in [0, 1]; above 0.5 where another class is the most probable.
    """
    rows = np.arange(len(labels))
    others = np.array(probabilities, np.float64)
    given = others[rows, labels]
    others[rows, labels] = 0.0
    strongest = others.max(axis=1)
    return strongest / (given + strongest)


def suspicion_of(samples: pd.DataFrame, class_names: tuple[str, ...]) -> np.ndarray:
    """Scores the labels of a run's samples.csv, [N]."""
    probabilities = shares(samples, "probability", class_names)
    return suspicion(probabilities, samples[LABEL].to_numpy())


def suggested_labels(samples: pd.DataFrame, class_names: tuple[str, ...]) -> np.ndarray:
    """Returns the class that the network holds most probable, int64 [N]."""
    return shares(samples, "probability", class_names).argmax(axis=1)
