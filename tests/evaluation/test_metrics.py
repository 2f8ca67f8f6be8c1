"""Metrics against closed forms and loops."""

import math

import numpy as np
import pytest

from ldl_fer.evaluation import metrics


def _random_case(seed):
    random = np.random.default_rng(seed)
    classes, count = random.integers(2, 9), random.integers(1, 60)
    probabilities = random.dirichlet(np.full(classes, 0.5), count)
    labels = random.integers(
        0, random.integers(1, classes + 1), count
    )  # some classes may be absent
    return labels, probabilities


def _by_loops(labels, probabilities):
    """The six metrics from their definitions, one image at a time."""
    count, classes = probabilities.shape
    predicted = [max(range(classes), key=lambda j: row[j]) for row in probabilities]
    recalls, f1s, chance = [], [], 0.0
    for c in range(classes):
        support = sum(y == c for y in labels)
        guessed = sum(p == c for p in predicted)
        hits = sum(p == y == c for p, y in zip(predicted, labels, strict=True))
        if support:
            recalls.append(hits / support)
        if support + guessed:
            f1s.append(2 * hits / (support + guessed))  # = 2 P R / (P + R)
        chance += support / count * guessed / count
    accuracy = sum(p == y for p, y in zip(predicted, labels, strict=True)) / count
    error = 0.0
    for b in range(15):
        inside = [i for i in range(count) if b / 15 < max(probabilities[i]) <= (b + 1) / 15]
        if inside:
            confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
            correct = sum(predicted[i] == labels[i] for i in inside) / len(inside)
            error += len(inside) / count * abs(confidence - correct)
    return {
        "accuracy": accuracy,
        "mean_class_accuracy": sum(recalls) / len(recalls),
        "macro_f1": sum(f1s) / len(f1s),
        "cohen_kappa": (accuracy - chance) / (1 - chance) if chance < 1 else 0.0,
        "nll": -sum(math.log(max(p[y], 1e-12)) for p, y in zip(probabilities, labels, strict=True))
        / count,
        "expected_calibration_error": error,
    }


@pytest.mark.parametrize("seed", range(25))
def test_classification_metrics_equal_loops(seed):
    labels, probabilities = _random_case(seed)
    found = metrics.classification_metrics(labels, probabilities)
    assert found == pytest.approx(_by_loops(labels, probabilities), abs=1e-12)


def test_classification_metrics_by_hand():
    # predictions 0 0 1 1, labels 0 1 1 1
    probabilities = np.array([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    found = metrics.classification_metrics(np.array([0, 1, 1, 1]), probabilities)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["mean_class_accuracy"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)  # 2 TP / (2 TP + FP + FN)
    # chance agreement = 1/4 * 2/4 + 3/4 * 2/4 = 1/2; kappa = (3/4 - 1/2) / (1 - 1/2)
    assert found["cohen_kappa"] == pytest.approx(1 / 2)
    assert found["nll"] == pytest.approx(-math.log(0.8 * 0.3 * 0.6 * 0.9) / 4)
    # every image in a bin of its own: (|0.8 - 1| + |0.7 - 0| + |0.6 - 1| + |0.9 - 1|) / 4
    assert found["expected_calibration_error"] == pytest.approx(1.4 / 4)


def test_kappa_of_a_constant_predictor_is_zero():
    constant = np.tile([0.5, 0.3, 0.2], (6, 1))
    # accuracy = chance = 1/3, so kappa = 0
    found = metrics.classification_metrics(np.array([0, 0, 1, 1, 2, 2]), constant)
    assert found["cohen_kappa"] == pytest.approx(0.0, abs=1e-15)
    # 0 / 0 where the labels are constant too: defined as 0, not NaN
    assert metrics.classification_metrics(np.zeros(6, int), constant)["cohen_kappa"] == 0.0


@pytest.mark.parametrize(
    ("confident", "doubtful", "expected"),
    [
        (0.61, 0.60, (0.61 + 0.40) / 2),  # 0.6 = 9/15 belongs to the bin below: two bins
        (0.60, 0.59, abs(1.19 - 1.0) / 2),  # both in (8/15, 9/15]: errors cancel in part
        (1.00, 0.94, abs(1.94 - 1.0) / 2),  # 1 belongs to the last bin, (14/15, 1]
    ],
)
def test_calibration_bins(confident, doubtful, expected):
    """The more confident image is wrong, the other is right."""
    probabilities = np.array([[confident, 1 - confident], [doubtful, 1 - doubtful]])
    found = metrics.classification_metrics(np.array([1, 0]), probabilities)
    assert found["expected_calibration_error"] == pytest.approx(expected, abs=1e-12)


def test_reliability_by_hand():
    """Confidences 0.61, 0.65 in (9/15, 10/15] and 0.97 in the last bin; the first is wrong."""
    confidence = np.array([0.61, 0.65, 0.97])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    found = metrics.reliability(np.array([1, 0, 0]), probabilities)
    assert found["count"].tolist() == [0] * 9 + [2] + [0] * 4 + [1]
    np.testing.assert_allclose(found["confidence"][[9, 14]], [0.63, 0.97])
    np.testing.assert_allclose(found["accuracy"][[9, 14]], [0.5, 1.0])
    assert np.isnan(np.delete(found["accuracy"], [9, 14])).all()


def test_nll_of_a_certain_mistake_is_finite():
    found = metrics.classification_metrics(np.array([1, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert found["nll"] == pytest.approx((-math.log(1e-12) + 0.0) / 2)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        (np.zeros(0, int), np.zeros([0, 2])),
        (np.array([0, 2]), np.full([2, 2], 0.5)),
        (np.array([0, -1]), np.full([2, 2], 0.5)),
        (np.array([0]), np.full([2, 2], 0.5)),
        (np.array([0]), np.array([[np.nan, 1.0]])),
        (np.array([0]), np.array([[3.0, -2.0]])),
    ],
    ids=["empty", "label too large", "label negative", "lengths", "nan", "logits"],
)
def test_classification_metrics_refuse(labels, probabilities):
    with pytest.raises(ValueError, match="."):
        metrics.classification_metrics(labels, probabilities)
    with pytest.raises(ValueError, match="."):
        metrics.confusion(labels, probabilities)


def test_distribution_metrics_of_equal_and_disjoint_rows():
    rows = np.array([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    equal = metrics.distribution_metrics(rows, rows)
    expected = {"kl": 0.0, "jensen_shannon": 0.0, "chebyshev": 0.0, "cosine": 1.0, "rows": 2}
    expected |= {"clark": 0.0, "canberra": 0.0, "intersection": 1.0}
    assert equal == pytest.approx(expected, abs=1e-12)
    disjoint = metrics.distribution_metrics(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    # m = (1/2, 1/2): JS = (log 2 + log 2) / 2; KL = log(1 / 1e-12) at the floor
    assert disjoint["jensen_shannon"] == pytest.approx(math.log(2))
    assert disjoint["kl"] == pytest.approx(-math.log(1e-12))
    assert disjoint["chebyshev"] == 1.0
    assert disjoint["cosine"] == 0.0
    assert disjoint["clark"] == pytest.approx(math.sqrt(2)) and disjoint["canberra"] == 2.0
    assert disjoint["intersection"] == 0.0


def by_definition(r, p):
    """The measures of one row, term by term, as Geng (2016), Table I, defines them."""
    both = [(a, b) for a, b in zip(r, p, strict=True) if a + b > 0]
    return {
        "kl": math.fsum(a * math.log(a / b) for a, b in both if a > 0),
        "jensen_shannon": math.fsum(
            x * math.log(2 * x / (a + b)) / 2 for a, b in both for x in (a, b) if x > 0
        ),
        "chebyshev": max(abs(a - b) for a, b in both),
        "cosine": math.fsum(a * b for a, b in both) / (math.hypot(*r) * math.hypot(*p)),
        "clark": math.sqrt(math.fsum((a - b) ** 2 / (a + b) ** 2 for a, b in both)),
        "canberra": math.fsum(abs(a - b) / (a + b) for a, b in both),
        "intersection": math.fsum(min(a, b) for a, b in both),
    }


def test_distribution_metrics_are_their_definitions_term_by_term():
    random = np.random.default_rng(0)
    counts = random.multinomial(10, [0.4, 0.3, 0.1, 0.1, 0.05, 0.04, 0.01], 200)
    predicted = random.dirichlet(np.full(7, 0.7), 200)
    predicted[:50, 6] = np.where(counts[:50, 6] == 0, 0.0, predicted[:50, 6])  # zeros in both
    predicted /= predicted.sum(axis=1, keepdims=True)
    found = metrics.distribution_metrics(counts, predicted)
    rows = [by_definition(r, p) for r, p in zip(counts / 10, predicted, strict=True)]
    expected = {name: math.fsum(row[name] for row in rows) / 200 for name in rows[0]}
    assert found == pytest.approx(expected | {"rows": 200}, rel=1e-9)


def test_distribution_metrics_by_hand():
    r, p = (0.5, 0.5), (0.9, 0.1)
    found = metrics.distribution_metrics(np.array([r]), np.array([p]))
    # KL(r || p), not KL(p || r) = 0.368
    assert found["kl"] == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    half_r = 0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3)
    half_p = 0.9 * math.log(0.9 / 0.7) + 0.1 * math.log(0.1 / 0.3)
    assert found["jensen_shannon"] == pytest.approx((half_r + half_p) / 2)
    assert found["chebyshev"] == pytest.approx(0.4)
    assert found["cosine"] == pytest.approx(0.5 / math.sqrt(0.5 * 0.82))  # r.p / (|r| |p|)


def test_distribution_metrics_take_counts_and_leave_out_rows_without_votes():
    counts = np.array([[3, 7, 0], [0, 0, 0], [2, 2, 6]])
    probabilities = np.array([[0.3, 0.3, 0.4], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    found = metrics.distribution_metrics(counts, probabilities)
    shares = counts[[0, 2]] / 10
    assert found == pytest.approx(metrics.distribution_metrics(shares, probabilities[[0, 2]]))
    assert found["rows"] == 2
    assert found["chebyshev"] == pytest.approx((0.4 + 0.3) / 2)  # max |r - p| of rows 0 and 2


@pytest.mark.parametrize(
    "reference", [np.zeros([1, 2]), np.array([[1, -1]]), np.array([[np.nan, 1]]), np.ones([2, 2])]
)
def test_distribution_metrics_refuse(reference):
    with pytest.raises(ValueError, match="."):
        metrics.distribution_metrics(reference, np.array([[0.5, 0.5]]))


def test_confusion_has_labels_in_rows():
    probabilities = np.eye(3)[[1, 1, 0, 1]]
    found = metrics.confusion(np.array([0, 0, 0, 1]), probabilities)
    np.testing.assert_array_equal(found, [[1, 2, 0], [0, 1, 0], [0, 0, 0]])


def test_flip_detection_with_ties():
    found = metrics.flip_detection([1.0, 1.0, 0.0, 2.0], [True, False, False, True])
    # of the 4 pairs of a flipped and another sample three are in order and one is tied
    assert found["roc_auc"] == pytest.approx(3.5 / 4)
    # n = 2: the 2.0 is a hit; the second place goes to one of the two at 1.0, half of them hits
    assert found["precision_at_rate"] == pytest.approx((1 + 0.5) / 2)
    # steps of recall: 1/2 at precision 1, then 1/2 at precision 2/3 (both tied ones come at once)
    assert found["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_flip_detection_extremes():
    flipped = np.arange(10) < 3
    perfect = metrics.flip_detection(-np.arange(10.0), flipped)
    assert set(perfect.values()) == {1.0}
    inverted = metrics.flip_detection(np.arange(10.0), flipped)
    assert (inverted["roc_auc"], inverted["precision_at_rate"]) == (0.0, 0.0)
    blind = metrics.flip_detection(np.zeros(10), flipped)  # chance: 1/2, and the rate 3/10
    assert blind == pytest.approx(
        {"roc_auc": 0.5, "average_precision": 0.3, "precision_at_rate": 0.3}
    )
    for truth in (np.zeros(10, bool), np.ones(10, bool), flipped[:9]):
        with pytest.raises(ValueError, match="flipped"):
            metrics.flip_detection(np.zeros(10), truth)
