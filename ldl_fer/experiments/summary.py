"""Summarizes runs by means and standard errors, and writes the files that show them."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer.errors import InputError
from ldl_fer.experiments.figures import KEYS, draw, title_of
from ldl_fer.experiments.plan import Planned
from ldl_fer.experiments.tables import Experiment
from ldl_fer.experiments.tuning import chosen
from ldl_fer.files import made_folder, write_whole
from ldl_fer.plots import save_figure

PUBLISHED = Path(__file__).with_name("published.csv")
_NO_METRICS = [*KEYS, "seed", "seconds", "parameters", "commit", "run_dir"]


def summarize(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Computes means over runs, in the order of the runs.

    Args:
      experiment: of the runs.
      runs: of `runner.measured`.

    Returns:
      Columns method, dataset, noise, setting, metric, mean, stderr (standard deviation of the
      runs over the square root of their number; empty for one run), runs (how many), and
      published: the number that a paper prints for the same thing, the LDLVA paper's first.
    """
    metrics = [name for name in runs.columns if name not in _NO_METRICS]
    long = runs.melt(KEYS, metrics, "metric", "value").dropna(subset="value")
    groups = long.groupby([*KEYS, "metric"], sort=False)["value"]
    table = groups.agg(["mean", "sem", "count"]).reset_index()
    table = table.rename(columns={"sem": "stderr", "count": "runs"})
    keys = [*KEYS, "metric"]
    printed = published(experiment).drop_duplicates(keys).rename(columns={"value": "published"})
    return table.merge(printed[[*keys, "published"]], how="left", on=keys)


def kept_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the runs.csv of `write_results`, if there is one: run folder's name -> its rows.

    Raises:
      InputError: it is damaged.
    """
    file = folder / "runs.csv"
    if not file.exists():
        return {}
    try:
        table = pd.read_csv(file, dtype={"setting": str}, keep_default_na=False, na_values=[""])
        table = table.fillna({"setting": ""})
        names = table["run_dir"].map(lambda path: Path(path).name)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{file} is damaged: {error}. Move it away or give --results_dir."
        ) from error
    return {
        name: [{k: v for k, v in row.items() if v == v} for row in rows.to_dict("records")]
        for name, rows in table.groupby(names, sort=False)
    }


def published(experiment: Experiment) -> pd.DataFrame:
    """Reads what papers print for an experiment, the LDLVA paper's numbers first.

    Returns:
      Columns method, dataset, noise, setting, metric, value, stderr (NaN: not printed), source.
      Those of the experiments that it repeats, if it repeats any.
    """
    text = {"setting": str, "noise": str}
    table = pd.read_csv(PUBLISHED, dtype=text, keep_default_na=False, na_values={"stderr": [""]})
    wanted = experiment.repeats or [experiment.name]
    return table[table["experiment"].isin(wanted)].drop(columns="experiment")


def published_table(experiment: Experiment) -> str:
    """Returns what papers print in Markdown: a row per source and system, a column per data set."""
    table = published(experiment)
    named = [key for key in ("noise", "setting") if table[key].nunique() > 1]
    cells = [
        f"{row.value:.3f}" + ("" if np.isnan(row.stderr) else f" ± {row.stderr:.3f}")
        for row in table.itertuples()
    ]
    wide = table.assign(cell=cells).pivot_table(
        "cell", ["source", *named, "method"], "dataset", "first", sort=False
    )
    return _markdown_table(wide.reset_index().fillna("-"))


def _markdown_table(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def command_line_of(arguments: Sequence[str]) -> str:
    """Returns the command for the record, its absolute paths relative to the current folder.

    Args:
      arguments: of `ldl-fer experiments`, "--flag=value" or alone; `--summarize` is left out.
    """
    words = [_relative(word) for word in arguments if word != "--summarize"]
    return f"ldl-fer experiments {shlex.join(words)}"


def _relative(word: str) -> str:
    found = re.fullmatch(r"(--?\w+=)?(/.*)", word, re.DOTALL)
    return (found[1] or "") + os.path.relpath(found[2]) if found else word


def write_results(
    experiment: Experiment,
    runs: pd.DataFrame,
    folder: Path,
    command: str,
    planned: int,
    finished: Sequence[Planned] = (),
) -> list[str]:
    """Writes runs.csv, summary.csv, summary.md and figures, and chosen.csv if it `chooses`.

    Paths of run folders are written relative to the current folder.

    Args:
      experiment: of the runs.
      runs: of `runner.measured`.
      folder: made if missing.
      command: how the results were made, for the record: `command_line_of`.
      planned: how many runs the experiment has, finished or not.
      finished: runs whose folders are here. Figures of the runs themselves are drawn of these, and
        left as they are where a method that they show has rows of other runs.

    Returns:
      Names of the files.
    """
    made_folder(folder)
    summary = summarize(experiment, runs)
    runs = runs.assign(run_dir=runs["run_dir"].map(_relative))
    texts = {
        "runs.csv": runs.to_csv(index=False, float_format="%.6g"),
        "summary.csv": summary.to_csv(index=False, float_format="%.6g"),
        "summary.md": _markdown(experiment, runs, summary, command, planned),
    }
    if experiment.chooses:
        texts["chosen.csv"] = chosen(experiment, runs).to_csv(index=False)
    for name, text in texts.items():
        write_whole(folder / name, text)
    files, here = list(texts), {_relative(str(one.run.folder)) for one in finished}
    for number, shown in enumerate((experiment.figure, *experiment.more)):
        rows = runs[runs["method"].isin(shown.methods)] if shown.methods else runs
        whole = set(rows["run_dir"]) <= here
        figure = draw(experiment, shown, summary, finished if whole else ())
        if figure is not None:
            files.append(f"{experiment.name}{f'-{shown.x}' if number else ''}.png")
            save_figure(figure, folder / files[-1])
    return files


def _markdown(
    experiment: Experiment, runs: pd.DataFrame, summary: pd.DataFrame, command: str, planned: int
) -> str:
    once = runs.drop_duplicates("run_dir")
    short = once["commit"].astype(str).str.replace(r"^(\w{12})\w*", r"\1", regex=True)
    commits = ", ".join(dict.fromkeys(short))
    seeds = ", ".join(str(seed) for seed in sorted(once["seed"].unique()))
    missing = f" of {planned} planned" if len(once) < planned else ""
    return "\n".join(
        [
            f"# {title_of(experiment)}",
            "",
            experiment.question,
            "",
            table_of(experiment, summary),
            "",
            *_by_noise(summary),
            *_tuned(experiment),
            f"Mean ± standard error over the seeds {seeds}; {len(once)} runs{missing}, "
            f"{once['seconds'].sum() / 3600:.1f} hours of training, commit {commits}.",
            "",
            "```sh",
            command,
            "```",
            "",
            *_what_papers_print(experiment),
        ]
    )


def _tuned(experiment: Experiment) -> list[str]:
    """Returns a line with the settings of the methods that have others than their papers'."""
    texts = []
    for variant in () if experiment.chooses else experiment.variants:
        beside = {k: v for k, v in variant.settings.items() if k != "method"}
        if "method" in variant.settings and beside:
            given = ", ".join(f"{name} {value:g}" for name, value in beside.items())
            texts.append(" ".join(filter(None, (variant.method, variant.setting, given))))
    return ["Settings: " + "; ".join(texts) + ".", ""] if texts else []


def _what_papers_print(experiment: Experiment) -> list[str]:
    if published(experiment).empty:
        return []
    words = "Test accuracy on other faces, with other networks: what papers print for this table."
    return ["## Published", "", words, "", published_table(experiment), ""]


def table_of(experiment: Experiment, summary: pd.DataFrame) -> str:
    """Returns the table in Markdown: a row per method, data set, noise and setting."""
    metrics = [name for name in experiment.metrics if (summary["metric"] == name).any()]
    shown = [key for key in KEYS if key == "method" or summary[key].nunique() > 1]
    printed = bool(summary["published"].notna().any())
    header = [*shown, *metrics] + ["published"] * printed
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for key, rows in summary.groupby(KEYS, sort=False):
        named = dict(zip(KEYS, key, strict=True))
        cells = [named[name] for name in shown]
        by_metric = rows.set_index("metric")
        cells += [_cell(by_metric, name) for name in metrics]
        if printed:
            found = by_metric["published"].dropna()
            cells.append(", ".join(f"{m} {v:g}" for m, v in found.items()))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_noise(summary: pd.DataFrame) -> list[str]:
    """Returns accuracies once more, a row per method, where several methods met three noises."""
    methods, noises = summary["method"].unique(), summary["noise"].unique()
    if len(methods) < 2 or len(noises) < 3 or summary[["dataset", "setting"]].nunique().max() > 1:
        return []
    means = summary.pivot_table("mean", ["method", "noise"], "metric", sort=False)
    if not {"accuracy", "accuracy_last"} <= set(means):
        return []
    cells = [
        f"{100 * row.accuracy:.1f} / {100 * row.accuracy_last:.1f}" for row in means.itertuples()
    ]
    wide = pd.Series(cells, means.index).unstack().loc[methods, noises].fillna("-")
    table = wide.rename_axis(columns=None).reset_index()
    return ["Accuracy / accuracy_last in percent:", "", _markdown_table(table), ""]


def _cell(by_metric: pd.DataFrame, name: str) -> str:
    if name not in by_metric.index:
        return "-"
    mean, stderr = by_metric.loc[name, ["mean", "stderr"]]
    return f"{mean:.3f}" if np.isnan(stderr) else f"{mean:.3f} ± {stderr:.3f}"
