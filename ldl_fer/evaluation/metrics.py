"""Computes exact metrics: functions of NumPy arrays, in double precision."""

import numpy as np
from scipy.special import rel_entr
from sklearn import metrics as sk

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = 1e-12  # inside logarithms; a class given less costs 27.6 nats


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Measures how well the most probable class, and its probability, match the labels.

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
    bins = reliability(labels, probabilities)
    gaps = np.abs(bins["confidence"] - bins["accuracy"])
    return {
        "accuracy": float(sk.accuracy_score(labels, predicted)),
        "mean_class_accuracy": float(
            sk.recall_score(labels, predicted, labels=np.unique(labels), average="macro")
        ),
        "macro_f1": float(sk.f1_score(labels, predicted, average="macro", zero_division=0)),
        "cohen_kappa": 0.0 if one_class else float(sk.cohen_kappa_score(labels, predicted)),
        "nll": float(-np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean()),
        "expected_calibration_error": float(np.nansum(bins["count"] * gaps) / len(labels)),
    }


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Compares confidence with accuracy, by bins of confidence (a reliability diagram).

    Args:
      labels, probabilities: as `classification_metrics` takes them.

    Returns:
      Of the 15 bins of equal width, (0, 1/15] ... (14/15, 1], each [15]: `count` of images, their
      mean `confidence` and `accuracy` in [0, 1], NaN where there are none.

    Raises:
      ValueError: as `classification_metrics`.
    """
    labels, probabilities = _checked(labels, probabilities)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    inner_edges = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    bins = np.digitize(confidence, inner_edges, right=True)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)

    def mean(values):
        total = np.bincount(bins, values, CALIBRATION_BINS)
        return np.divide(total, count, out=np.full(CALIBRATION_BINS, np.nan), where=count > 0)

    return {"count": count, "confidence": mean(confidence), "accuracy": mean(correct)}


def distribution_metrics(reference: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Measures how far predicted distributions are from a reference, such as human votes.

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
      clark: sqrt(sum ((r - p) / (r + p))^2), [0, sqrt C]; a class that neither has adds 0.
      canberra: sum |r - p| / (r + p), [0, C]; a class that neither has adds 0.
      intersection: sum min(r, p), [0, 1]; 1 is best. (These six but jensen_shannon: Geng, 2016.)
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
    gap = np.abs(r - p)
    relative = np.divide(gap, r + p, out=np.zeros_like(gap), where=r + p > 0)
    values = {
        "kl": rel_entr(r, np.maximum(p, SMALLEST_PROBABILITY)).sum(axis=1),
        "jensen_shannon": (rel_entr(r, m) + rel_entr(p, m)).sum(axis=1) / 2,
        "chebyshev": gap.max(axis=1),
        "cosine": (r * p).sum(axis=1) / (np.linalg.norm(r, axis=1) * np.linalg.norm(p, axis=1)),
        "clark": np.sqrt((relative**2).sum(axis=1)),
        "canberra": relative.sum(axis=1),
        "intersection": np.minimum(r, p).sum(axis=1),
    }
    return {name: float(value.mean()) for name, value in values.items()} | {"rows": int(used.sum())}


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts each pair of label (row) and most probable class (column).

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
    """Measures how well a score, such as lambda, finds the samples whose label was changed.

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


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}")
    if not len(labels):
        raise ValueError("there are no rows")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(
            f"labels are in [0, {probabilities.shape[1]}), found {labels.min()} to {labels.max()}"
        )
    if not _finite_and_positive(probabilities) or probabilities.max() > 1.0 + 1e-5:
        raise ValueError("a value is not a probability")
    return labels, probabilities


def _finite_and_positive(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0.0).all())
