"""Exact metrics of a network on a set of images, and the files and the table that show them."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import rel_entr, softmax
from sklearn import metrics as sk
from tqdm import tqdm

from ldl_fer import plots
from ldl_fer.errors import InputError

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-12  # inside logarithms; a class given less costs 27.6 nats

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
    "cosine": "cosine similarity",
}


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
      class_names: C names.
      metrics: of `classification_metrics`, and of `distribution_metrics` where there are votes.
      confusion: [C, C], images of the row's class that were taken for the column's.
      count: number of images.
      vote_count: number of images with votes, the ones behind the distribution metrics.
    """

    class_names: tuple[str, ...]
    metrics: dict[str, float]
    confusion: np.ndarray
    count: int
    vote_count: int = 0

    def per_class(self) -> dict[str, np.ndarray]:
        """`recall`, `precision`, `f1` in [0, 1] and `support` in images, each [C].

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


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """How well the most probable class, and its probability, match the labels.

    Args:
      labels: [N], integers in [0, C).
      probabilities: [N, C], rows sum to 1.

    Returns:
      accuracy: part of the images whose most probable class is the label, [0, 1].
      mean_class_accuracy: recall, averaged over the classes that occur, [0, 1].
      macro_f1: F1, averaged over the classes that occur or are predicted, [0, 1].
      cohen_kappa: agreement beyond chance, [-1, 1]; 0 if labels and predictions are all one class.
      nll: mean of -log p(label), nats; p is taken to be at least `SMALLEST_PROBABILITY`.
      expected_calibration_error: mean distance of confidence and accuracy over 15 bins of equal
        width, (0, 1/15] ... (14/15, 1], weighted by their images (Guo et al., 2017), [0, 1].

    Raises:
      ValueError: no rows, other shapes, a label out of range, a value that is not a probability.
    """
    labels, probabilities = _checked(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    one_class = len(np.union1d(labels, predicted)) == 1
    given = probabilities[np.arange(len(labels)), labels]
    return {
        "accuracy": float(sk.accuracy_score(labels, predicted)),
        "mean_class_accuracy": float(
            sk.recall_score(labels, predicted, labels=np.unique(labels), average="macro")
        ),
        "macro_f1": float(sk.f1_score(labels, predicted, average="macro", zero_division=0)),
        "cohen_kappa": 0.0 if one_class else float(sk.cohen_kappa_score(labels, predicted)),
        "nll": float(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean()),
        "expected_calibration_error": _calibration_error(
            probabilities.max(axis=1), predicted == labels
        ),
    }


def _calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    # A bin's share of the images times |mean confidence - accuracy| is |sum of differences| / N.
    difference = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(difference).sum() / len(confidence))


def distribution_metrics(reference: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """How far the predicted distributions are from a reference, such as the votes of humans.

    Args:
      reference: [N, C], >= 0, vote counts or distributions; rows are divided by their sums here,
        and rows without any vote are left out.
      probabilities: [N, C], rows sum to 1.

    Returns:
      Means over the rows that are left, with r a reference row and p a predicted one:
      kl: KL(r || p) = sum r log(r / p), nats; p is taken to be at least `SMALLEST_PROBABILITY`.
      jensen_shannon: KL(r || m) / 2 + KL(p || m) / 2, m = (r + p) / 2: the divergence in
        [0, log 2] nats, not its square root, which is called the Jensen-Shannon distance.
      chebyshev: max |r - p|, [0, 1].
      cosine: r . p / (|r| |p|), [0, 1]; 1 is best.
      rows: how many rows are left.

    Raises:
      ValueError: other shapes, a negative or not finite value, no row with a vote.
    """
    reference = np.asarray(reference, np.float64)
    probabilities = np.asarray(probabilities, np.float64)
    if reference.shape != probabilities.shape or reference.ndim != 2:
        raise ValueError(f"reference {reference.shape} and probabilities {probabilities.shape}")
    if not (_finite_and_positive(reference) and _finite_and_positive(probabilities)):
        raise ValueError("a value is negative or not finite")
    used = reference.sum(axis=1) > 0
    if not used.any():
        raise ValueError("no row of the reference has a positive sum")
    r, p = reference[used], probabilities[used]
    r = r / r.sum(axis=1, keepdims=True)
    m = (r + p) / 2
    values = {
        "kl": rel_entr(r, np.maximum(p, SMALLEST_PROBABILITY)).sum(axis=1),
        "jensen_shannon": (rel_entr(r, m) + rel_entr(p, m)).sum(axis=1) / 2,
        "chebyshev": np.abs(r - p).max(axis=1),
        "cosine": (r * p).sum(axis=1) / (np.linalg.norm(r, axis=1) * np.linalg.norm(p, axis=1)),
    }
    return {name: float(value.mean()) for name, value in values.items()} | {"rows": int(used.sum())}


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts of each pair of label (row) and most probable class (column).

    Args:
      labels: [N], integers in [0, C).
      probabilities: [N, C].

    Returns:
      [C, C], integers that sum to N.

    Raises:
      ValueError: as `classification_metrics`.
    """
    labels, probabilities = _checked(labels, probabilities)
    classes = np.arange(probabilities.shape[1])
    return sk.confusion_matrix(labels, probabilities.argmax(axis=1), labels=classes)


def flip_detection(scores: np.ndarray, flipped: np.ndarray) -> dict[str, float]:
    """How well a score, such as lambda, finds the samples whose label was changed.

    Args:
      scores: [N], larger for a label that is trusted less.
      flipped: [N], boolean, the truth.

    Returns:
      roc_auc: chance that a flipped sample scores above one that is not, ties counting half.
      average_precision: area under the precision-recall curve, as a step function.
      precision_at_rate: part of the n top-scored samples that is flipped, n being the number of
        flipped ones; among samples tied at the n-th place, the mean over all choices.

    Raises:
      ValueError: other shapes, scores not finite, or all or none of the samples are flipped.
    """
    scores, flipped = np.asarray(scores, np.float64), np.asarray(flipped, bool)
    if scores.shape != flipped.shape or scores.ndim != 1 or not np.isfinite(scores).all():
        raise ValueError(f"scores {scores.shape} and flipped {flipped.shape}, or scores not finite")
    if flipped.all() or not flipped.any():
        raise ValueError("both flipped samples and others are needed")
    count = flipped.sum()
    threshold = np.sort(scores)[-count]
    above, tied = scores > threshold, scores == threshold
    hits = flipped[above].sum() + (count - above.sum()) * flipped[tied].mean()
    return {
        "roc_auc": float(sk.roc_auc_score(flipped, scores)),
        "average_precision": float(sk.average_precision_score(flipped, scores)),
        "precision_at_rate": float(hits / count),
    }


def predict(network, dataset, progress: bool = True, features: bool = False) -> dict:
    """Runs a network over a data set, once, in evaluation mode.

    Args:
      network: `tf.keras.Model`, images [B, H, W, 3] -> (features [B, V], logits [B, C]).
      dataset: `tf.data.Dataset` of dicts with `image`, `label` and `sample_id`, as
        `pipeline.ordered_dataset` gives them.
      progress: whether to show a progress bar.
      features: whether to keep the features too.

    Returns:
      Arrays in the data set's order: `probabilities` [N, C] float64, `labels` [N], `sample_ids` [N]
      and, if asked for, `features` [N, V] float32.

    Raises:
      InputError: the data set is empty.
    """
    import tensorflow as tf

    run = tf.function(lambda images: network(images, training=False), reduce_retracing=True)
    names = ["probabilities", "labels", "sample_ids"] + ["features"] * features
    parts = {name: [] for name in names}
    total = int(dataset.cardinality())
    bar = tqdm(
        dataset, "evaluation", total if total >= 0 else None, unit="batch", disable=not progress
    )
    for batch in bar:
        batch_features, logits = run(batch["image"])
        parts["probabilities"].append(softmax(logits.numpy().astype(np.float64), axis=-1))
        parts["labels"].append(batch["label"].numpy())
        parts["sample_ids"].append(batch["sample_id"].numpy())
        if features:
            parts["features"].append(batch_features.numpy())
    if not parts["labels"]:
        raise InputError("There are no images to evaluate: the data set is empty.")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def evaluate(
    network,
    dataset,
    class_names: tuple[str, ...],
    votes: np.ndarray | None = None,
    progress: bool = True,
) -> Result:
    """All metrics of a network on a data set.

    Args:
      network, dataset, progress: as `predict` takes them.
      class_names: C names.
      votes: [N, C], votes of humans, the row being the sample_id; a row may be all zeros.

    Raises:
      InputError: the data set is empty, the network's output is not finite or of another number of
        classes, the votes do not fit the data set or there are none.
    """
    found = predict(network, dataset, progress)
    labels, probabilities = found["labels"], found["probabilities"]
    if probabilities.shape[1] != len(class_names):
        raise InputError(
            f"The network tells {probabilities.shape[1]} classes apart, the data set has "
            f"{len(class_names)}: {', '.join(class_names)}. Evaluate it on data of its own classes."
        )
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        raise InputError(
            f"The network's output is not finite for {bad.sum()} of {len(labels)} images, first "
            f"for sample {found['sample_ids'][bad][0]}: its training diverged. Choose an earlier "
            "checkpoint, or train with a smaller --learning_rate."
        )
    metrics, rows = classification_metrics(labels, probabilities), 0
    if votes is not None:
        metrics |= distribution_metrics(_votes_of(found["sample_ids"], votes), probabilities)
        rows = metrics.pop("rows")
    matrix = confusion(labels, probabilities)
    return Result(tuple(class_names), metrics, matrix, len(labels), rows)


def _votes_of(sample_ids: np.ndarray, votes: np.ndarray) -> np.ndarray:
    votes = np.asarray(votes, np.float64)
    if votes.ndim != 2 or len(votes) <= sample_ids.max():
        raise InputError(
            f"There are votes for {len(votes)} samples, but the data set has a sample "
            f"{sample_ids.max()}: they are not of the same annotation file."
        )
    chosen = votes[sample_ids]
    if not chosen.any():
        raise InputError("The votes_* columns hold no vote: fill them or take them out.")
    return chosen


def write_result(
    result: Result, folder: str | Path, extra: Mapping[str, Any] | None = None
) -> Path:
    """Writes result.json and confusion_matrix.png, each whole or not at all.

    Args:
      result: of `evaluate`.
      folder: made if missing; earlier files of these names are replaced.
      extra: what else the JSON holds at its top level: data path, checkpoint, ...

    Returns:
      The path of result.json.

    Raises:
      ValueError: a name in `extra` is one of the result's own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
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
    }
    taken = content.keys() & (extra or {}).keys()
    if taken:
        raise ValueError(f"extra uses names of the result itself: {', '.join(sorted(taken))}")
    content = dict(extra or {}) | content
    text = json.dumps(content, indent=2, default=str, allow_nan=False) + "\n"
    with _whole(folder / "confusion_matrix.png") as partial:
        plots.save_figure(plots.confusion_matrix(result.confusion, result.class_names), partial)
    with _whole(folder / "result.json") as partial:
        partial.write_text(text)
    return folder / "result.json"


def format_table(result: Result) -> str:
    """The result for a terminal: metrics, then a row per class. At most 80 columns."""
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


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}")
    if not len(labels):
        raise ValueError("there are no rows")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels are in [0, {probabilities.shape[1]}), found {labels.max()}")
    if not _finite_and_positive(probabilities) or probabilities.max() > 1.0 + 1e-5:
        raise ValueError("a value is not a probability")
    return labels, probabilities


def _finite_and_positive(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0.0).all())


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` if the block succeeds."""
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
