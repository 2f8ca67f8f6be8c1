"""Measures how well predicted valence and arousal agree with given ones, with intervals."""

import warnings
from typing import Any

import numpy as np
from scipy.stats import bootstrap

TITLES = {"ccc": "CCC", "pearson": "Pearson", "rmse": "RMSE", "sign_agreement": "same sign"}
MEASURES = tuple(TITLES)
AXES = ("valence", "arousal", "mean")
SPREAD = "standard_deviation"  # of the given values
RESAMPLES = 1000
CONFIDENCE = 0.95
_RESAMPLED_VALUES = 4_000_000  # numbers held at once


def concordance(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns Lin's concordance correlation coefficient (Biometrics 45, 1989), in [-1, 1].

      ccc = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2)

    with means m, variances and covariance s, divided by N as Lin has it. Below Pearson's r where
    the scale or the mean differs. NaN where both are the same constant.

    Args:
      x, y: floats of one shape, such as [N] or [R, N].
      axis: along which the N values lie.

    Returns:
      That shape without the axis.
    """
    mean_x, mean_y = x.mean(axis, keepdims=True), y.mean(axis, keepdims=True)
    covariance = ((x - mean_x) * (y - mean_y)).mean(axis)
    shift = (mean_x - mean_y).squeeze(axis) ** 2
    return _divide(2 * covariance, x.var(axis) + y.var(axis) + shift)


def pearson(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns Pearson's correlation s_xy / (s_x s_y), in [-1, 1]; NaN where either is constant.

    Arguments and shapes are those of `concordance`.
    """
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    return _divide((x * y).mean(axis), x.std(axis) * y.std(axis))


def rmse(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the root mean squared difference, in the values' unit (half the width of [-1, 1]).

    Arguments and shapes are those of `concordance`.
    """
    return np.sqrt(((x - y) ** 2).mean(axis))


def sign_agreement(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the share of values with the same sign, in [0, 1]; zero agrees with zero alone.

    Arguments and shapes are those of `concordance`.
    """
    return (np.sign(x) == np.sign(y)).mean(axis)


def agreement(
    given: np.ndarray, predicted: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> dict:
    """Measures CCC, Pearson, RMSE and equal signs, for valence, arousal and as their mean.

    Args:
      given, predicted: [N, 2], valence and arousal.
      seed: of the resampling.
      resamples: draws of N rows with replacement; the 95 % interval is from the 2.5th to the
        97.5th percentile of their values (Efron, 1979). It is of the choice of rows alone, not
        of another training.

    Returns:
      {"rows": N, measure: {axis: {"value", "low", "high"}}, "standard_deviation": {axis: of the
      given values}} of Python floats; None where a value is undefined, as correlations with a
      constant are. The standard deviation is the RMSE of the best constant.

    Raises:
      ValueError: other shapes, fewer than two rows, or values that are not finite.
    """
    given, predicted = np.asarray(given, np.float64), np.asarray(predicted, np.float64)
    if given.shape != predicted.shape or given.ndim != 2 or given.shape[1] != 2 or len(given) < 2:
        raise ValueError(f"given {given.shape} and predicted {predicted.shape}, not both [N, 2]")
    if not (np.isfinite(given).all() and np.isfinite(predicted).all()):
        raise ValueError("a value is not finite")
    columns = (*given.T, *predicted.T)
    values = _measures(*columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of undefined values, which become None
        interval = bootstrap(
            columns,
            _measures,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, _RESAMPLED_VALUES // len(given)),
            confidence_level=CONFIDENCE,
            method="percentile",
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    found = zip(values.tolist(), interval.low.tolist(), interval.high.tolist(), strict=True)
    cells = [
        {name: _or_none(x) for name, x in zip(("value", "low", "high"), row, strict=True)}
        for row in found
    ]
    made: dict[str, Any] = {"rows": len(given)}
    for number, measure in enumerate(MEASURES):
        start = number * len(AXES)
        made[measure] = dict(zip(AXES, cells[start : start + len(AXES)], strict=True))
    spread = given.std(axis=0)
    made[SPREAD] = dict(zip(AXES, [*spread.tolist(), float(spread.mean())], strict=True))
    return made


def worse_than_constant(found: dict) -> list[str]:
    """Returns a sentence for each axis on which a constant would do better.

    Args:
      found: of `agreement`. A constant, the mean, has the given values' standard deviation as RMSE.
    """
    return [
        f"the RMSE of {axis}, {found['rmse'][axis]['value']:.2f}, exceeds the standard deviation "
        f"of the given values, {found[SPREAD][axis]:.2f}: worse than a constant"
        for axis in AXES[:2]
        if found["rmse"][axis]["value"] > found[SPREAD][axis]
    ]


def agreement_table(found: dict) -> str:
    """Formats `agreement`'s result for a terminal: a line per measure, under 90 columns."""
    rows = f"{found['rows']:,} rows"
    width = max(map(len, (rows, *TITLES.values())))
    lines = [f"{rows:<{width}}" + "".join(f"{axis:>24}" for axis in AXES)]
    for measure, title in TITLES.items():
        lines.append(f"{title:<{width}}" + "".join(f"{_cell(found[measure][a]):>24}" for a in AXES))
    title, (first, *others) = "standard deviation", (f"{found[SPREAD][a]:.3f}" for a in AXES)
    lines.append(f"{title}{first:>{width + 24 - len(title)}}" + "".join(f"{x:>24}" for x in others))
    return "\n".join(lines)


def _measures(valence, arousal, predicted_valence, predicted_arousal, axis=-1):
    """Returns [12, ...]: measures one after the other, each for valence, arousal and their mean."""
    made = []
    for measure in (concordance, pearson, rmse, sign_agreement):
        of_valence = measure(valence, predicted_valence, axis)
        of_arousal = measure(arousal, predicted_arousal, axis)
        made += [of_valence, of_arousal, (of_valence + of_arousal) / 2]
    return np.stack(made)


def _divide(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 1e-15)


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _cell(cell: dict) -> str:
    if cell["value"] is None:
        return "undefined"
    if cell["low"] is None:
        return f"{cell['value']:.3f}"
    return f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
