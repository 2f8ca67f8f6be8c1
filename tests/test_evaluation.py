"""Metrics against closed forms and loops; predict and evaluate on small networks; the files."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer import evaluation
from ldl_fer.errors import InputError

NAMES = ("Calm", "Glad", "Sad")


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
    found = evaluation.classification_metrics(labels, probabilities)
    assert found == pytest.approx(_by_loops(labels, probabilities), abs=1e-12)


def test_classification_metrics_by_hand():
    # predictions 0 0 1 1, labels 0 1 1 1
    probabilities = np.array([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.1, 0.9]])
    found = evaluation.classification_metrics(np.array([0, 1, 1, 1]), probabilities)
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
    found = evaluation.classification_metrics(np.array([0, 0, 1, 1, 2, 2]), constant)
    assert found["cohen_kappa"] == pytest.approx(0.0, abs=1e-15)
    # 0 / 0 where the labels are constant too: defined as 0, not NaN
    assert evaluation.classification_metrics(np.zeros(6, int), constant)["cohen_kappa"] == 0.0


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
    found = evaluation.classification_metrics(np.array([1, 0]), probabilities)
    assert found["expected_calibration_error"] == pytest.approx(expected, abs=1e-12)


def test_nll_of_a_certain_mistake_is_finite():
    found = evaluation.classification_metrics(np.array([1, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
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
        evaluation.classification_metrics(labels, probabilities)
    with pytest.raises(ValueError, match="."):
        evaluation.confusion(labels, probabilities)


def test_distribution_metrics_of_equal_and_disjoint_rows():
    rows = np.array([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    equal = evaluation.distribution_metrics(rows, rows)
    expected = {"kl": 0.0, "jensen_shannon": 0.0, "chebyshev": 0.0, "cosine": 1.0, "rows": 2}
    assert equal == pytest.approx(expected, abs=1e-12)
    disjoint = evaluation.distribution_metrics(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    # m = (1/2, 1/2): JS = (log 2 + log 2) / 2; KL = log(1 / 1e-12) at the floor
    assert disjoint["jensen_shannon"] == pytest.approx(math.log(2))
    assert disjoint["kl"] == pytest.approx(-math.log(1e-12))
    assert disjoint["chebyshev"] == 1.0
    assert disjoint["cosine"] == 0.0


def test_distribution_metrics_by_hand():
    r, p = (0.5, 0.5), (0.9, 0.1)
    found = evaluation.distribution_metrics(np.array([r]), np.array([p]))
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
    found = evaluation.distribution_metrics(counts, probabilities)
    shares = counts[[0, 2]] / 10
    assert found == pytest.approx(evaluation.distribution_metrics(shares, probabilities[[0, 2]]))
    assert found["rows"] == 2
    assert found["chebyshev"] == pytest.approx((0.4 + 0.3) / 2)  # max |r - p| of rows 0 and 2


@pytest.mark.parametrize(
    "reference", [np.zeros([1, 2]), np.array([[1, -1]]), np.array([[np.nan, 1]]), np.ones([2, 2])]
)
def test_distribution_metrics_refuse(reference):
    with pytest.raises(ValueError, match="."):
        evaluation.distribution_metrics(reference, np.array([[0.5, 0.5]]))


def test_confusion_has_labels_in_rows():
    probabilities = np.eye(3)[[1, 1, 0, 1]]
    found = evaluation.confusion(np.array([0, 0, 0, 1]), probabilities)
    np.testing.assert_array_equal(found, [[1, 2, 0], [0, 1, 0], [0, 0, 0]])


def test_flip_detection_with_ties():
    found = evaluation.flip_detection([1.0, 1.0, 0.0, 2.0], [True, False, False, True])
    # of the 4 pairs of a flipped and another sample three are in order and one is tied
    assert found["roc_auc"] == pytest.approx(3.5 / 4)
    # n = 2: the 2.0 is a hit; the second place goes to one of the two at 1.0, half of them hits
    assert found["precision_at_rate"] == pytest.approx((1 + 0.5) / 2)
    # steps of recall: 1/2 at precision 1, then 1/2 at precision 2/3 (both tied ones come at once)
    assert found["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_flip_detection_extremes():
    flipped = np.arange(10) < 3
    perfect = evaluation.flip_detection(-np.arange(10.0), flipped)
    assert set(perfect.values()) == {1.0}
    inverted = evaluation.flip_detection(np.arange(10.0), flipped)
    assert (inverted["roc_auc"], inverted["precision_at_rate"]) == (0.0, 0.0)
    blind = evaluation.flip_detection(np.zeros(10), flipped)  # chance: 1/2, and the rate 3/10
    assert blind == pytest.approx(
        {"roc_auc": 0.5, "average_precision": 0.3, "precision_at_rate": 0.3}
    )
    for truth in (np.zeros(10, bool), np.ones(10, bool), flipped[:9]):
        with pytest.raises(ValueError, match="flipped"):
            evaluation.flip_detection(np.zeros(10), truth)


@pytest.fixture(scope="module")
def network():
    """Dropout and BatchNorm would show if the network ran in training mode."""
    tf.keras.utils.set_random_seed(3)
    images = tf.keras.Input([4, 4, 3])
    hidden = tf.keras.layers.BatchNormalization()(tf.keras.layers.Flatten()(images))
    features = tf.keras.layers.Dense(5, "relu")(hidden)
    logits = tf.keras.layers.Dense(3)(tf.keras.layers.Dropout(0.5)(features))
    return tf.keras.Model(images, (features, logits))


def _dataset(count=10, batch=4, seed=0):
    random = np.random.default_rng(seed)
    arrays = {
        "image": random.uniform(-1, 1, [count, 4, 4, 3]).astype(np.float32),
        "label": random.integers(0, 3, count).astype(np.int32),
        "sample_id": random.permutation(count).astype(np.int32),
    }
    return arrays, tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


def test_predict_is_the_network_in_evaluation_mode(network, capsys):
    arrays, dataset = _dataset()
    before = [variable.numpy() for variable in network.variables]
    found = evaluation.predict(network, dataset, progress=False, features=True)
    features, logits = (output.numpy() for output in network(arrays["image"], training=False))
    exponential = np.exp(logits.astype(np.float64))
    expected = exponential / exponential.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-5)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found["features"], features, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["labels"], arrays["label"])
    np.testing.assert_array_equal(found["sample_ids"], arrays["sample_id"])
    for old, variable in zip(before, network.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert capsys.readouterr().err == ""


def test_predict_shows_progress(network, capsys):
    _, dataset = _dataset()
    assert "features" not in evaluation.predict(network, dataset)
    assert "3/3" in capsys.readouterr().err  # 10 images in batches of 4


def test_evaluate_joins_votes_by_sample_id(network):
    arrays, dataset = _dataset()
    votes = np.random.default_rng(1).integers(0, 5, [20, 3])
    votes[arrays["sample_id"][2]] = 0
    result = evaluation.evaluate(network, dataset, NAMES, votes, progress=False)
    found = evaluation.predict(network, dataset, progress=False)
    expected = evaluation.classification_metrics(found["labels"], found["probabilities"])
    expected |= evaluation.distribution_metrics(votes[found["sample_ids"]], found["probabilities"])
    assert (result.count, result.vote_count) == (10, expected.pop("rows")) == (10, 9)
    assert result.metrics == pytest.approx(expected)
    assert np.trace(result.confusion) / 10 == pytest.approx(expected["accuracy"])
    plain = evaluation.evaluate(network, dataset, NAMES, progress=False)
    assert plain.vote_count == 0
    assert "kl" not in plain.metrics


def test_evaluate_refuses_what_does_not_fit(network):
    arrays, dataset = _dataset()
    with pytest.raises(InputError, match="empty"):
        evaluation.evaluate(network, dataset.take(0), NAMES, progress=False)
    with pytest.raises(InputError, match="3 classes apart, the data set has 2: Calm, Glad"):
        evaluation.evaluate(network, dataset, NAMES[:2], progress=False)
    with pytest.raises(InputError, match="votes for 5 samples"):
        evaluation.evaluate(network, dataset, NAMES, np.ones([5, 3]), progress=False)
    with pytest.raises(InputError, match="no vote"):
        evaluation.evaluate(network, dataset, NAMES, np.zeros([10, 3]), progress=False)
    arrays["image"][6] = np.nan
    broken = tf.data.Dataset.from_tensor_slices(arrays).batch(4)
    with pytest.raises(InputError, match=f"1 of 10 images.*sample {arrays['sample_id'][6]}:"):
        evaluation.evaluate(network, broken, NAMES, progress=False)


@pytest.fixture
def result():
    matrix = np.array([[3, 1, 0], [2, 1234, 0], [0, 0, 0]])
    return evaluation.Result(NAMES, {"accuracy": 1237 / 1240, "nll": 0.25}, matrix, 1240)


def test_per_class(result):
    found = result.per_class()
    # recall TP / row sum, precision TP / column sum, F1 = 2 TP / (row sum + column sum)
    np.testing.assert_allclose(found["recall"], [3 / 4, 1234 / 1236, np.nan])
    np.testing.assert_allclose(found["precision"], [3 / 5, 1234 / 1235, np.nan])
    np.testing.assert_allclose(found["f1"], [6 / 9, 2468 / 2471, np.nan])
    np.testing.assert_array_equal(found["support"], [4, 1236, 0])


def test_write_result(result, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = evaluation.write_result(result, folder, {"data_path": tmp_path, "select_on_test": True})
    found = json.loads(path.read_text())
    assert path == folder / "result.json"
    assert found["metrics"] == result.metrics
    assert found["confusion"] == result.confusion.tolist()
    assert found["class_names"] == list(NAMES)
    assert (found["count"], found["vote_count"]) == (1240, 0)
    assert found["per_class"]["Calm"] == pytest.approx(
        {"recall": 3 / 4, "precision": 3 / 5, "f1": 6 / 9, "support": 4}
    )
    assert found["per_class"]["Sad"] == {
        "recall": None,
        "precision": None,
        "f1": None,
        "support": 0,
    }
    assert (found["data_path"], found["select_on_test"]) == (str(tmp_path), True)
    assert (folder / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in folder.iterdir()) == ["confusion_matrix.png", "result.json"]


def test_write_result_replaces_whole_files_or_none(result, tmp_path, monkeypatch):
    path = evaluation.write_result(result, tmp_path, {"checkpoint": "a"})
    evaluation.write_result(result, tmp_path, {"checkpoint": "b"})
    assert json.loads(path.read_text())["checkpoint"] == "b"
    with pytest.raises(ValueError, match="metrics"):
        evaluation.write_result(result, tmp_path, {"metrics": 0})

    def fail(figure, partial):
        partial.write_bytes(b"half")
        raise OSError("disk full")

    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(evaluation.plots, "save_figure", fail)
    with pytest.raises(OSError, match="disk full"):
        evaluation.write_result(result, tmp_path, {"checkpoint": "c"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_table_fits_a_terminal(result):
    lines = evaluation.format_table(result).splitlines()
    assert lines[0] == "1,240 images"
    assert lines[2].split() == ["accuracy", "0.9976"]  # 1237 / 1240
    rows = {line.split()[0]: line for line in lines[-3:]}
    assert rows["Calm"].split() == ["Calm", "0.7500", "0.6000", "0.6667", "4"]
    assert rows["Sad"].split() == ["Sad", "-", "-", "-", "0"]
    assert len({len(line) for line in lines[-4:]}) == 1  # aligned with the header
    long = evaluation.Result(
        ("x" * 60, *NAMES[1:]), result.metrics, result.confusion, 1240, vote_count=1239
    )
    table = evaluation.format_table(long)
    assert table.startswith("1,240 images, 1,239 of them with votes\n")
    assert max(map(len, table.splitlines())) <= 80
