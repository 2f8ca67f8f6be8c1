"""predict and evaluate on small networks."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.evaluation import evaluate, metrics

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
    assert "3 of 3" in capsys.readouterr().err  # 10 images in batches of 4


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
    cooler = evaluate.evaluate(network, dataset, NAMES, progress=False, temperature=0.5)
    squares = found["probabilities"] ** 2  # softmax(z / 0.5)
    squares /= squares.sum(axis=1, keepdims=True)
    sharpened = metrics.classification_metrics(found["labels"], squares)
    assert cooler.metrics == pytest.approx(sharpened, rel=1e-5)
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
