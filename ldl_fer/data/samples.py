"""Reads samples.csv of a run, which `ldl_fer.training.samples` writes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.data.annotation_checks import PATH


def read_samples(path: str | Path) -> pd.DataFrame:
    """Reads the table, a row per sample; names of pictures are texts, whatever they look like."""
    return pd.read_csv(path, dtype={PATH: str})


def columns_of_runs(class_names: Sequence[str]) -> list[str]:
    """Returns the columns that a training adds to its annotations, whatever its method."""
    parts = ("probability", "aggregated", "target")
    of_classes = [name for part in parts for name in share_columns(part, class_names)]
    return [*of_classes, "uncertainty", "neighbors", "calibration", "contribution"]


def share_columns(part: str, class_names: Sequence[str]) -> list[str]:
    """Returns the columns of a distribution, `part` as `shares` has it, in order of the classes."""
    return [f"{part}_{name.lower()}" for name in class_names]


def shares(samples: pd.DataFrame, part: str, class_names: Sequence[str]) -> np.ndarray:
    """Returns a distribution of each sample, from the columns `part`_<class>.

    Args:
      samples: N rows.
      part: "probability", "aggregated" or "target"; or "votes", which are numbers of people.
      class_names: C names.

    Returns:
      [N, C] float64, rows sum to 1 but for the rounding of the file.
    """
    return samples[share_columns(part, class_names)].to_numpy(float)


def neighbor_numbers(samples: pd.DataFrame, column: str, kind: type = float) -> np.ndarray:
    """Returns numbers of each sample's K neighbors, which its cell joins by ";".

    Args:
      samples: N rows.
      column: "neighbors", "calibration" or "contribution".
      kind: int or float.

    Returns:
      [N, K] of that kind.
    """
    cells = samples[column].astype(str)
    return np.array([cell.split(";") for cell in cells], object).astype(kind)
