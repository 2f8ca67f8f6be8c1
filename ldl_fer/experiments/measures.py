"""Measures finished runs, from their files alone.

A measure is a function of `Finished` in `MEASURES`, named by `Experiment.measure`.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.stats import entropy, spearmanr

from ldl_fer.data.annotation_checks import vote_columns
from ldl_fer.data.samples import neighbor_numbers, shares
from ldl_fer.evaluation.audit.suspicion import suspicion
from ldl_fer.evaluation.metrics import distribution_metrics, flip_detection
from ldl_fer.evaluation.temperature import scaled
from ldl_fer.experiments.linear_folds import FOLDS
from ldl_fer.experiments.tables import Variant
from ldl_fer.methods.baselines import smoothed_label
from ldl_fer.preparation.noise.label_list import CLEAN_LABEL

LAST_EPOCHS = 5  # whose mean test accuracy SCN, RUL and EAC report

Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run that is done.

    Attributes:
      variant: its method and settings.
      samples: its samples.csv.
      results: test set -> ("best" or "last" epoch, or "scaled" -> metrics), the latter of the best
        epoch by `temperature`.
      last_epochs: test set -> mean accuracy after each of the last five epochs.
      log: its log.csv, a row per epoch.
      class_names: C names.
      smoothing: of label smoothing.
      cross_validated: [N, C], predictions of trainings of the method that did not see the sample;
        None where the experiment does not need them.
      linear: [N, C], of linear classifiers that did not see it; None beside other methods than
        plain training.
      temperature: fits the validation labels; None where the experiment does not need it.
    """

    variant: Variant
    samples: pd.DataFrame
    results: Mapping[str, Mapping[str, Values]]
    last_epochs: Mapping[str, float]
    log: pd.DataFrame
    class_names: tuple[str, ...]
    smoothing: float
    cross_validated: np.ndarray | None = None
    linear: np.ndarray | None = None
    temperature: float | None = None

    @property
    def labels(self) -> np.ndarray:
        """Labels trained on, [N]."""
        return self.samples["expression"].to_numpy()

    @property
    def flipped(self) -> np.ndarray:
        """Whether each of them was changed, bool [N]."""
        return self.labels != self.samples[CLEAN_LABEL].to_numpy()

    @property
    def votes(self) -> np.ndarray | None:
        """Human votes, [N, C], or None."""
        names = vote_columns(self.class_names)
        return self.samples[names].to_numpy(float) if set(names) <= set(self.samples) else None

    def per_class(self, part: str) -> np.ndarray:
        """Returns a distribution of each sample, [N, C]; `part` as `data.samples.shares` has it."""
        return shares(self.samples, part, self.class_names)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Numbers of one row of a table.

    Attributes:
      method, dataset, setting: which row.
      values: metric -> number.
    """

    method: str
    dataset: str
    setting: str
    values: Values


def test(run: Finished) -> Iterator[Measured]:
    """Yields metrics on every test set, at the best epoch and the last ones, and flips found."""
    for dataset, epochs in run.results.items():
        values = dict(epochs["best"])
        values |= {f"{name}_last": v for name, v in epochs["last"].items()}
        values["accuracy_last5"] = run.last_epochs[dataset]
        score = run.samples.get("uncertainty")
        if score is not None and score.nunique() > 1 and _some(run.flipped):
            values["flips_auc"] = flip_detection(score, run.flipped)["roc_auc"]
        yield Measured(run.variant.method, dataset, run.variant.setting, values)


def validation(run: Finished) -> Iterator[Measured]:
    """Yields accuracy on the validation faces, at the best epoch and the mean of the last five."""
    accuracy, dataset = run.log["val_accuracy"], next(iter(run.results))
    values = {
        "validation_accuracy": float(accuracy.max()),
        "validation_accuracy_last5": float(accuracy.tail(LAST_EPOCHS).mean()),
    }
    yield Measured(run.variant.method, dataset, run.variant.setting, values)


def votes(run: Finished) -> Iterator[Measured]:
    """Yields distances of distributions from the human votes, of training and of test faces."""
    name, reference = run.variant.method, run.votes
    dataset = next(iter(run.results))
    if reference is not None:
        one_hot = np.eye(len(run.class_names))[run.labels]
        made = {f"{name}: softmax": run.per_class("probability")}
        if run.temperature is not None:
            made[f"{name}: scaled softmax"] = scaled(made[f"{name}: softmax"], run.temperature)
        if run.variant.settings["method"] == "cross_entropy":
            made["one-hot label"] = one_hot
        if run.variant.settings["method"] == "label_smoothing":
            made["smoothed label"] = smoothed_label(tf.constant(one_hot), run.smoothing).numpy()
        if "uncertainty" in run.samples:
            made[f"{name}: target d"] = run.per_class("target")
            made[f"{name}: neighbors' d~"] = run.per_class("aggregated")
        for method, distributions in made.items():
            values = distribution_metrics(reference, distributions)
            del values["rows"]
            yield Measured(method, dataset, "training faces", values)
    for dataset, epochs in run.results.items():
        yield Measured(name, dataset, "test faces", dict(epochs["best"]))
        if "scaled" in epochs:
            yield Measured(f"{name}: scaled", dataset, "test faces", dict(epochs["scaled"]))


def uncertainty(run: Finished) -> Iterator[Measured]:
    """Yields how well scores find flipped labels, and follow the entropy of votes on clean ones."""
    name, dataset = run.variant.method, next(iter(run.results))
    rows = np.arange(len(run.labels))
    issues = {}

    def doubt(probabilities):
        return 1 - probabilities[rows, run.labels]

    own = run.per_class("probability")
    scores = {f"{name}: 1 - p(label)": doubt(own), f"{name}: suspicion": suspicion(own, run.labels)}
    if run.linear is not None:
        for kind in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
            method = f"cleanlab: {kind}"
            scores[method] = 1 - _label_quality(run.labels, run.linear, kind)
        issues["cleanlab: self_confidence"] = _issues(run.labels, run.linear)
        scores[f"linear: suspicion, {FOLDS} folds"] = suspicion(run.linear, run.labels)
    if "uncertainty" in run.samples:
        scores[f"{name}: lambda"] = run.samples["uncertainty"].to_numpy()
        scores[f"{name}: 1 - d(label)"] = doubt(run.per_class("target"))
        scores[f"{name}: 1 - d~(label)"] = doubt(run.per_class("aggregated"))
    if run.cross_validated is not None:
        scores[f"{name}: 1 - p(label), {FOLDS} folds"] = doubt(run.cross_validated)
        both = (own + run.cross_validated) / 2  # as `ldl-fer audit --folds` ranks
        scores[f"{name}: suspicion, with {FOLDS} folds"] = suspicion(both, run.labels)
    said = run.votes
    if said is not None:
        kept = ~run.flipped & (said.sum(axis=1) > 0)
        entropies = entropy(said[kept], axis=1)
    for method, score in scores.items():
        values = {}
        if _some(run.flipped):
            values |= flip_detection(score, run.flipped)
        if _some(run.flipped) and method in issues:
            found = issues[method]
            hits = float((found & run.flipped).sum())
            values["issues_precision"] = hits / max(found.sum(), 1)
            values["issues_recall"] = hits / run.flipped.sum()
        if said is not None:
            values["entropy_correlation"] = float(spearmanr(score[kept], entropies).statistic)
        yield Measured(method, dataset, run.variant.setting, values)


def auxiliary(run: Finished) -> Iterator[Measured]:
    """Yields what `test` does; how often neighbors share clean labels; and d~ against the votes."""
    clean = run.samples[CLEAN_LABEL].to_numpy()
    neighbors = neighbor_numbers(run.samples, "neighbors", int)
    values = {"label_agreement": float(np.mean(clean[neighbors] == clean[:, np.newaxis]))}
    if run.votes is not None:
        values["kl_neighbors"] = distribution_metrics(run.votes, run.per_class("aggregated"))["kl"]
    for row in test(run):
        yield dataclasses.replace(row, values=row.values | values)


MEASURES: Mapping[str, Callable[[Finished], Iterator[Measured]]] = {
    "test": test,
    "validation": validation,
    "votes": votes,
    "uncertainty": uncertainty,
    "auxiliary": auxiliary,
}


def read_metrics(result_json: Path) -> Values:
    """Reads the metrics of a result.json."""
    return json.loads(result_json.read_text())["metrics"]


def _some(flipped: np.ndarray) -> bool:
    return bool(flipped.any() and not flipped.all())


def _label_quality(labels: np.ndarray, probabilities: np.ndarray, kind: str) -> np.ndarray:
    from cleanlab.rank import get_label_quality_scores

    return get_label_quality_scores(labels, probabilities, method=kind)


def _issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    from cleanlab.filter import find_label_issues

    return find_label_issues(labels, probabilities, n_jobs=1)
