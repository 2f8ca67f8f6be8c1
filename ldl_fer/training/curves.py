"""Draws the curves of a training: losses and accuracy by epoch."""

from typing import TYPE_CHECKING

from ldl_fer import plots

if TYPE_CHECKING:
    import pandas as pd

_ACCURACY, _VALIDATION = "accuracy", "val_"


def draw_curves(log: "pd.DataFrame", best: int | None = None) -> plots.Figure:
    """Draws the losses of a log on the left, its accuracies on the right.

    Args:
      log: of a run's log.csv; `epoch` counts from 0, here from 1.
      best: the epoch of the best network, from 1; None: none is marked.
    """
    figure = plots.Figure(figsize=(9.0, 3.2), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    epochs = log["epoch"] + 1
    for name in log.columns.drop(["epoch", "lr", "learning_rate"], errors="ignore"):
        axes = accuracies if name.removeprefix(_VALIDATION) == _ACCURACY else losses
        style = "--" if name.startswith(_VALIDATION) else "-"
        label = name.replace(_VALIDATION, "validation ").replace("_", " ")
        axes.plot(epochs, log[name], style, marker=".", label=label)
    if best is not None:
        accuracies.axvline(best, color="#9aa0a6", linewidth=1, label="best network")
    for axes, title in ((losses, "loss"), (accuracies, "accuracy")):
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    return figure
