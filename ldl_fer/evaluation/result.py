"""Shows the result of an evaluation: result.json, a table, confusion matrix, reliability."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer import plots
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole

_TITLES = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "macro_f1": "macro F1",
    "cohen_kappa": "Cohen's kappa",
    "nll": "negative log-likelihood (nats)",
    "expected_calibration_error": "expected calibration error",
    "kl": "KL(votes || network) (nats)",
    "jensen_shannon": "Jensen-Shannon divergence (nats)",
    "chebyshev": "Chebyshev distance",
    "clark": "Clark distance",
    "canberra": "Canberra distance",
    "intersection": "intersection",
    "cosine": "cosine similarity",
}


@dataclass(frozen=True)
class Result:
    """The result of an evaluation; printed, it is `format_table`.

    Attributes:
      class_names: C names.
      metrics: of `classification_metrics`, and of `distribution_metrics` where there are votes.
      confusion: [C, C], images of the row's class that were taken for the column's.
      reliability: of `metrics.reliability`.
      count: number of images.
      vote_count: number of images with votes, the ones behind the distribution metrics.
    """

    class_names: tuple[str, ...]
    metrics: dict[str, float]
    confusion: np.ndarray
    reliability: Mapping[str, np.ndarray]
    count: int
    vote_count: int = 0

    def __str__(self) -> str:
        return format_table(self)

    @property
    def table(self) -> pd.DataFrame:
        """A row per class, see `per_class`."""
        return pd.DataFrame(self.per_class(), index=pd.Index(self.class_names, name="class"))

    def figure(self) -> plots.Figure:
        """Draws the confusion matrix."""
        return plots.confusion_matrix(self.confusion, self.class_names)

    def per_class(self) -> dict[str, np.ndarray]:
        """Computes `recall`, `precision`, `f1` in [0, 1] and `support` in images, each [C].

        NaN where undefined: recall of a class without images, precision of one never predicted,
        F1 of one that is both.
        """
        hits, support = np.diag(self.confusion), self.confusion.sum(axis=1)
        predicted = self.confusion.sum(axis=0)
        return {
            "recall": _divide(hits, support),
            "precision": _divide(hits, predicted),
            "f1": _divide(2 * hits, support + predicted),
            "support": support,
        }


def write_result(
    result: Result, folder: str | os.PathLike, extra: Mapping[str, Any] | None = None
) -> Path:
    """Writes result.json, confusion_matrix.png and reliability.png, each whole or not at all.

    Args:
      result: of `evaluate`.
      folder: made if missing; earlier files of these names are replaced.
      extra: further entries of the JSON at its top level: data path, checkpoint, ...

    Returns:
      The path of result.json.

    Raises:
      InputError: they cannot be written.
      ValueError: a name in `extra` is one of the result's own.
    """
    folder = Path(folder)
    per_class = {name: values.tolist() for name, values in result.per_class().items()}
    content = {
        "metrics": result.metrics,
        "count": result.count,
        "vote_count": result.vote_count,
        "class_names": list(result.class_names),
        "per_class": {
            name: {key: _or_none(values[j]) for key, values in per_class.items()}
            for j, name in enumerate(result.class_names)
        },
        "confusion": result.confusion.tolist(),
        "reliability": {
            name: [_or_none(value) for value in values.tolist()]
            for name, values in result.reliability.items()
        },
    }
    taken = content.keys() & (extra or {}).keys()
    if taken:
        raise ValueError(f"extra uses names of the result itself: {', '.join(sorted(taken))}")
    content = dict(extra or {}) | content
    text = json.dumps(content, indent=2, default=str, allow_nan=False) + "\n"
    plots.save_figure(result.figure(), folder / "confusion_matrix.png")
    plots.save_figure(plots.reliability(result.reliability), folder / "reliability.png")
    write_whole(folder / "result.json", text)
    return folder / "result.json"


def former_result(folder: str | Path) -> str:
    """Returns the place of a folder's result.json and what it is of; empty where there is none.

    Raises:
      InputError: what is there is no result of an evaluation.
    """
    file = Path(folder) / "result.json"
    if not file.exists():
        return ""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        accuracy = held["metrics"]["accuracy"]
        return f"{file}, of {held.get('data_path')} (accuracy {accuracy:.4f})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is there and is no result of an evaluation, or damaged; it would be lost. "
            "Name another --output_dir."
        ) from error


def format_table(result: Result) -> str:
    """Formats a result for a terminal: metrics, then a row per class. At most 80 columns."""
    votes = f", {result.vote_count:,} of them with votes" if result.vote_count else ""
    lines = [f"{result.count:,} images{votes}", ""]
    lines += [f"{_TITLES.get(name, name):<34}{v:>10.4f}" for name, v in result.metrics.items()]
    width = min(max(map(len, ("class", *result.class_names))), 34)
    lines += ["", f"{'class':<{width}}" + "".join(f"{name:>11}" for name in result.per_class())]
    for name, *values in zip(result.class_names, *result.per_class().values(), strict=True):
        *rates, support = values
        cells = "".join(f"{'-':>11}" if np.isnan(v) else f"{v:>11.4f}" for v in rates)
        lines.append(f"{name[:width]:<{width}}{cells}{support:>11,}")
    return "\n".join(lines)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
