"""predict and evaluate on small networks; the files and the table."""

import json

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.evaluation import evaluate, metrics
from ldl_fer.evaluation import result as evaluation_result

NAMES = ("Calm", "Glad", "Sad")


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
    found = evaluate.predict(network, dataset, progress=False, features=True)
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
    assert "features" not in evaluate.predict(network, dataset)
    assert "3/3" in capsys.readouterr().err  # 10 images in batches of 4


def test_evaluate_joins_votes_by_sample_id(network):
    arrays, dataset = _dataset()
    votes = np.random.default_rng(1).integers(0, 5, [20, 3])
    votes[arrays["sample_id"][2]] = 0
    result = evaluate.evaluate(network, dataset, NAMES, votes, progress=False)
    found = evaluate.predict(network, dataset, progress=False)
    expected = metrics.classification_metrics(found["labels"], found["probabilities"])
    expected |= metrics.distribution_metrics(votes[found["sample_ids"]], found["probabilities"])
    assert (result.count, result.vote_count) == (10, expected.pop("rows")) == (10, 9)
    assert result.metrics == pytest.approx(expected)
    assert np.trace(result.confusion) / 10 == pytest.approx(expected["accuracy"])
    plain = evaluate.evaluate(network, dataset, NAMES, progress=False)
    assert plain.vote_count == 0
    assert "kl" not in plain.metrics


def test_evaluate_refuses_what_does_not_fit(network):
    arrays, dataset = _dataset()
    with pytest.raises(InputError, match="empty"):
        evaluate.evaluate(network, dataset.take(0), NAMES, progress=False)
    with pytest.raises(InputError, match="3 classes apart, the data set has 2: Calm, Glad"):
        evaluate.evaluate(network, dataset, NAMES[:2], progress=False)
    with pytest.raises(InputError, match="votes for 5 samples"):
        evaluate.evaluate(network, dataset, NAMES, np.ones([5, 3]), progress=False)
    with pytest.raises(InputError, match="no vote"):
        evaluate.evaluate(network, dataset, NAMES, np.zeros([10, 3]), progress=False)
    arrays["image"][6] = 3e38  # overflows; not NaN, which a fused ReLU makes 0 on some processors
    broken = tf.data.Dataset.from_tensor_slices(arrays).batch(4)
    with pytest.raises(InputError, match=f"1 of 10 images.*sample {arrays['sample_id'][6]}:"):
        evaluate.evaluate(network, broken, NAMES, progress=False)


@pytest.fixture
def result():
    matrix = np.array([[3, 1, 0], [2, 1234, 0], [0, 0, 0]])
    return evaluation_result.Result(NAMES, {"accuracy": 1237 / 1240, "nll": 0.25}, matrix, 1240)


def test_per_class(result):
    found = result.per_class()
    # recall TP / row sum, precision TP / column sum, F1 = 2 TP / (row sum + column sum)
    np.testing.assert_allclose(found["recall"], [3 / 4, 1234 / 1236, np.nan])
    np.testing.assert_allclose(found["precision"], [3 / 5, 1234 / 1235, np.nan])
    np.testing.assert_allclose(found["f1"], [6 / 9, 2468 / 2471, np.nan])
    np.testing.assert_array_equal(found["support"], [4, 1236, 0])


def test_write_result(result, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = evaluation_result.write_result(
        result, folder, {"data_path": tmp_path, "select_on_test": True}
    )
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
    path = evaluation_result.write_result(result, tmp_path, {"checkpoint": "a"})
    evaluation_result.write_result(result, tmp_path, {"checkpoint": "b"})
    assert json.loads(path.read_text())["checkpoint"] == "b"
    with pytest.raises(ValueError, match="metrics"):
        evaluation_result.write_result(result, tmp_path, {"metrics": 0})

    def fail(figure, partial, dpi):
        partial.write_bytes(b"half")
        raise OSError("disk full")

    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(InputError, match="disk full"):
        evaluation_result.write_result(result, tmp_path, {"checkpoint": "c"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_table_fits_a_terminal(result):
    lines = evaluation_result.format_table(result).splitlines()
    assert lines[0] == "1,240 images"
    assert lines[2].split() == ["accuracy", "0.9976"]  # 1237 / 1240
    rows = {line.split()[0]: line for line in lines[-3:]}
    assert rows["Calm"].split() == ["Calm", "0.7500", "0.6000", "0.6667", "4"]
    assert rows["Sad"].split() == ["Sad", "-", "-", "-", "0"]
    assert len({len(line) for line in lines[-4:]}) == 1  # aligned with the header
    long = evaluation_result.Result(
        ("x" * 60, *NAMES[1:]), result.metrics, result.confusion, 1240, vote_count=1239
    )
    table = evaluation_result.format_table(long)
    assert table.startswith("1,240 images, 1,239 of them with votes\n")
    assert max(map(len, table.splitlines())) <= 80
