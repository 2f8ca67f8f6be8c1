"""Chooses each method's free scalar by `tuning`, and gives it to the methods of other experiments.

chosen.csv has a row per method: method (as --method takes it), setting, value.
"""

import dataclasses
from pathlib import Path

import pandas as pd

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.experiments.tables import Experiment

COLUMNS = ["method", "setting", "value"]


def chosen(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """Chooses the setting of each method with the highest mean over noises and seeds.

    Args:
      experiment: one that `chooses`; its figure's metric counts.
      runs: of `runner.measured`. Settings that lack a noise which others of the method have are
        not compared.

    Returns:
      Columns `COLUMNS`; of equal ones the first.
    """
    metric, rows = experiment.figure.metric, []
    settings = {(v.method, v.setting): v.settings for v in experiment.variants}
    for title, of_method in runs.groupby("method", sort=False):
        means = of_method.pivot_table(metric, "setting", "noise", sort=False).dropna().mean(axis=1)
        if len(means):
            best = settings[title, means.idxmax()]
            scalar = next(name for name in best if name != "method")
            rows.append((best["method"], scalar, best[scalar]))
    return pd.DataFrame(rows, columns=COLUMNS)


def tuned(experiment: Experiment, path: str | Path) -> Experiment:
    """Gives the methods of an experiment the settings of a chosen.csv.

    Raises:
      InputError: the file cannot be read, or a row names a method, setting or value that there is
        not.
    """
    try:
        rows = pd.read_csv(path)[COLUMNS].to_dict("records")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"--tuned={path}: {error}. It is the chosen.csv that `ldl-fer experiments tuning` "
            f"writes, with columns {', '.join(COLUMNS)}."
        ) from error
    values: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows, 2):
        settings = {row["setting"]: row["value"]}
        try:
            Config().replace(method=row["method"], **settings)
        except InputError as error:
            raise InputError(f"--tuned={path}, line {number}: {error}") from error
        values[row["method"]] = settings
    variants = []
    for variant in experiment.variants:
        method = variant.settings.get("method", Config().method)
        settings = {**variant.settings, **values.get(method, {})}
        variants.append(dataclasses.replace(variant, settings=settings))
    return dataclasses.replace(experiment, variants=tuple(variants))
