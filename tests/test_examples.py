"""Encoding and decoding an example are inverses."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.examples import decode_examples, encode_example


def random_example(seed, k=4, c=7):
    random = np.random.default_rng(seed)
    return {
        "image": random.bytes(50),
        "label": int(random.integers(c)),
        "valence_arousal": random.uniform(-1, 1, 2).astype(np.float32),
        "sample_id": int(random.integers(2**31)),
        "neighbors": random.integers(0, 2**31, k).astype(np.int32),
        "neighbor_labels": random.integers(0, c, k).astype(np.int32),
        "neighbor_valence_arousal": random.uniform(-1, 1, [k, 2]).astype(np.float32),
        "votes": random.uniform(0, 10, c).astype(np.float32),
    }


@pytest.mark.parametrize(("k", "c"), [(8, 7), (1, 2), (0, 3)])
def test_round_trip(k, c):
    examples = [random_example(seed, k, c) for seed in range(5)]
    decoded = decode_examples(tf.constant([encode_example(e) for e in examples]), k, c)
    assert decoded.keys() == examples[0].keys()
    for name, values in decoded.items():
        expected = np.stack([e[name] for e in examples])
        np.testing.assert_array_equal(values.numpy(), expected, err_msg=name)
    integers = {"label", "sample_id", "neighbors", "neighbor_labels"}
    for name, values in decoded.items():
        kind = tf.int32 if name in integers else tf.string if name == "image" else tf.float32
        assert values.dtype == kind, name


def test_only_what_is_wanted_is_parsed():
    example = random_example(0, 5, 7)
    serialized = tf.constant([encode_example(example)])
    found = decode_examples(serialized, 5, 7, ["label", "neighbors"])
    assert set(found) == {"label", "neighbors"}
    np.testing.assert_array_equal(found["neighbors"][0], example["neighbors"])


def test_decoding_in_a_graph_knows_its_shapes():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(serialized):
        return decode_examples(serialized, 4, 7)

    outputs = decode.get_concrete_function().structured_outputs
    shapes = {name: output.shape.as_list() for name, output in outputs.items()}
    assert shapes["neighbor_valence_arousal"] == [None, 4, 2]
    assert shapes["votes"] == [None, 7]


@pytest.mark.parametrize(
    "change",
    [
        {"valence_arousal": [0.0, 0.0, 0.0]},
        {"neighbor_labels": [1]},
        {"neighbor_valence_arousal": np.zeros([2, 4])},
        {"label": [1]},
        {"pose": 0.0},
    ],
)
def test_other_shapes_and_names_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        encode_example({**random_example(0), **change})


def test_missing_feature_is_refused():
    example = random_example(0)
    del example["label"]
    with pytest.raises(ValueError, match="label"):
        encode_example(example)


def test_other_sizes_and_other_bytes_are_refused():
    serialized = tf.constant([encode_example(random_example(0, 4, 7))])
    for wrong in [(serialized, 5, 7), (serialized, 4, 6), (tf.constant([b"no example"]), 4, 7)]:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_examples(*wrong)
