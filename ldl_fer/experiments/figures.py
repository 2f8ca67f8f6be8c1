"""Draws the figures of an experiment, from its summary or from the files of its runs."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldl_fer.data.annotation_checks import vote_columns
from ldl_fer.data.samples import shares
from ldl_fer.experiments.plan import Planned
from ldl_fer.experiments.tables import CLEAN, Experiment, Noise
from ldl_fer.experiments.tables import Figure as Shown
from ldl_fer.plots import Figure, captioned
from ldl_fer.preparation.noise.label_list import CLEAN_LABEL

KEYS = ["method", "dataset", "noise", "setting"]
_FEWEST = 30  # images of a bin whose accuracy is shown
_PANEL = 2.6  # inches
_MATRIX = "Blues"


def draw(
    experiment: Experiment, shown: Shown, summary: pd.DataFrame, finished: Sequence[Planned] = ()
) -> Figure | None:
    """Draws one figure of an experiment.

    Args:
      experiment: of the summary.
      shown: one of its figures.
      summary: of `summary.summarize`.
      finished: runs whose folders are here, for figures of these.

    Returns:
      The figure; None where it is one of runs, and none of them is here.
    """
    if shown.methods:
        summary = summary[summary["method"].isin(shown.methods)]
        finished = [one for one in finished if one.variant.method in shown.methods]
    if shown.x in _OF_RUNS:
        return _OF_RUNS[shown.x](finished) if finished else None
    return _of_summary(experiment, shown, summary)


def _of_summary(experiment: Experiment, shown: Shown, summary: pd.DataFrame) -> Figure:
    """Draws a row of dots per method, or lines over noises or settings."""
    rows = summary[summary["metric"] == shown.metric]
    groups = [key for key in KEYS if key != shown.x]
    groups = [key for key in groups if rows[key].nunique() > 1] or ["dataset"]
    ticks = list(dict.fromkeys(rows[shown.x]))
    dots = shown.x == "method"
    figure = Figure(figsize=(7.5, max(4.5, 1 + 0.26 * len(ticks) * dots)), layout="constrained")
    axes = figure.subplots()
    grouped = rows.groupby(groups, sort=False)
    for key, group in grouped:
        places = [ticks.index(tick) for tick in group[shown.x]]
        error = group["stderr"] if group["stderr"].notna().any() else None  # of one seed
        label = ", ".join(str(part) or "-" for part in key)
        if dots:
            axes.errorbar(group["mean"], places, xerr=error, fmt="o", label=label)
        else:
            axes.errorbar(places, group["mean"], error, marker="o", capsize=3, label=label)
    if dots:
        axes.set_yticks(range(len(ticks)), ticks)
        axes.grid(axis="y", alpha=0.3)
        axes.invert_yaxis()
        axes.set_xlabel(shown.text)
    else:
        axes.set_xticks(range(len(ticks)), ticks, rotation=15, ha="right")
        axes.set_ylabel(shown.text)
    axes.set_title(title_of(experiment))
    if grouped.ngroups > 1:
        figure.legend(fontsize=8, loc="outside right upper")
    return figure


def title_of(experiment: Experiment) -> str:
    """Returns an experiment's name, and the table or figure of the paper that it repeats."""
    return experiment.name + (f": {experiment.source} of the paper" if experiment.source else "")


def reliability(finished: Sequence[Planned]) -> Figure:
    """Draws accuracy over confidence, a panel per noise and a line per method, of all seeds.

    Args:
      finished: runs; their networks of the best epoch on the first test set count, and bins of 30
        images and more.
    """
    noises = _distinct(one.noise for one in finished)
    columns = 2 if len(noises) == 4 else min(3, len(noises))
    rows = -(-len(noises) // columns)
    size = (_PANEL * max(columns, 2), _PANEL * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = grid.ravel()
    for axes in panels[len(noises) :]:
        axes.axis("off")
    for axes, noise in zip(panels, noises, strict=False):
        axes.plot([0, 1], [0, 1], color="#9aa0a6", linestyle="--", label="as confident as right")
        for name in _distinct(map(_name, finished)):
            bins = [_bins(one) for one in finished if (_name(one), one.noise) == (name, noise)]
            if not bins:
                continue
            count = np.sum([part["count"] for part in bins], axis=0)
            many, points = count >= _FEWEST, []
            for value in ("confidence", "accuracy"):  # NaN where a bin is empty
                sums = np.nansum([part["count"] * part[value] for part in bins], axis=0)
                points.append(sums[many] / count[many])
            axes.plot(*points, marker="o", markersize=3, label=name)
        axes.set_title(_title(noise), fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("confidence")
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy")
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, fontsize=8, ncols=3, loc="outside lower center")
    return figure


def _bins(one: Planned) -> dict[str, np.ndarray]:
    file = one.result(next(iter(one.tests)), "best") / "result.json"
    bins = json.loads(file.read_text())["reliability"]
    return {name: np.array(values, float) for name, values in bins.items()}


def distributions(finished: Sequence[Planned]) -> Figure:
    """Draws mean distributions of the training faces of each clean label, beside people's votes.

    Args:
      finished: runs on faces with votes; a row of matrices per noise: the votes, then each method's
        softmax, and the targets d that LDLVA made.
    """
    noises = _distinct(one.noise for one in finished)
    rows = [_matrices([one for one in finished if one.noise == noise]) for noise in noises]
    titles = _distinct(title for matrices in rows for title in matrices)
    columns = len(titles)
    names = finished[0].config.data.class_names
    figure = Figure(figsize=(_PANEL * columns + 0.6, _PANEL * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for noise, matrices, panels in zip(noises, rows, grid, strict=True):
        panels[0].set_ylabel(_title(noise))
        for title, axes in zip(titles, panels, strict=True):
            axes.set_title(title, fontsize=9)
            if title in matrices:
                _show_matrix(axes, matrices[title], names)
            else:  # not finished with this noise
                axes.set(xticks=[], yticks=[])
    return figure


def _matrices(runs: Sequence[Planned]) -> dict[str, np.ndarray]:
    """Returns title -> mean distributions [C, C] of all seeds, a row per clean label."""
    found: dict[str, list[np.ndarray]] = {}
    for one in runs:
        samples, names = one.run.samples, one.config.data.class_names
        made = {}
        if set(vote_columns(names)) <= set(samples):
            votes = shares(samples, "votes", names)
            made["people"] = pd.DataFrame(votes).div(votes.sum(axis=1), axis=0).to_numpy()
        made[_name(one)] = shares(samples, "probability", names)
        if "uncertainty" in samples:
            made[f"{_name(one)}: d"] = shares(samples, "target", names)
        for title, values in made.items():
            means = pd.DataFrame(values).groupby(samples[CLEAN_LABEL].to_numpy()).mean()
            found.setdefault(title, []).append(means.reindex(range(len(names))).to_numpy())
    return {title: np.mean(matrices, axis=0) for title, matrices in found.items()}


def _show_matrix(axes: Axes, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    axes.imshow(matrix, cmap=_MATRIX, vmin=0, vmax=1)
    for row, column in np.argwhere(np.isfinite(matrix)):
        color = "white" if matrix[row, column] > 0.5 else "black"
        text = f"{100 * matrix[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=color)
    letters = [name[:3] for name in captioned(class_names)]
    axes.set_xticks(range(len(letters)), letters, fontsize=6, rotation=45)
    axes.set_yticks(range(len(letters)), letters, fontsize=6)


def _distinct(values):
    """Returns values without repetition, in their order."""
    return list(dict.fromkeys(values))


def _title(noise: Noise) -> str:
    return "clean labels" if noise == CLEAN else str(noise)


def _name(one: Planned) -> str:
    return ", ".join(part for part in (one.variant.method, one.variant.setting) if part)


_OF_RUNS = {"confidence": reliability, "class": distributions}
