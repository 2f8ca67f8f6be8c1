"""Frames, offsets, and reading any record from several threads."""

import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.data.shards import ShardReader, ShardWriter, decode_examples, encode_example


def write(folder, payloads, shard_bytes):
    folder.mkdir()
    with ShardWriter(folder, shard_bytes) as writer:
        for payload in payloads:
            writer.append(payload)
    return writer.named_by_total()


@pytest.fixture
def payloads():
    random = np.random.default_rng(0)
    return [random.bytes(length) for length in random.integers(0, 400, 300)]


def test_offsets_in_several_shards(tmp_path, payloads):
    shards = write(tmp_path / "s", payloads, 8_000)
    assert len(shards) > 5
    assert [s.first_sample_id for s in shards] == np.cumsum([0] + [s.count for s in shards])[
        :-1
    ].tolist()
    assert all(s.bytes <= 8_000 for s in shards)
    ids = np.random.default_rng(1).integers(0, len(payloads), 2_000)
    assert ShardReader(tmp_path / "s", shards).fetch(ids).tolist() == [payloads[i] for i in ids]


def test_tensorflow_reads_the_same_with_valid_checksums(tmp_path, payloads):
    shards = write(tmp_path / "s", payloads, 8_000)
    files = [str(tmp_path / "s" / shard.name) for shard in shards]
    assert list(tf.data.TFRecordDataset(files).as_numpy_iterator()) == payloads


def test_files_are_named_by_number_and_total(tmp_path, payloads):
    shards = write(tmp_path / "s", payloads[:3], 1)  # too small for any record: one in each
    expected = [
        f"records-0000{n}-of-00003.{kind}" for n in range(3) for kind in ("index", "tfrecord")
    ]
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == expected
    assert [shard.count for shard in shards] == [1, 1, 1]
    # payload after 8 + 4 bytes, a frame is 16 bytes longer than its payload
    index = np.fromfile(tmp_path / "s" / shards[0].index_name, "<i8")
    assert index.tolist() == [12, len(payloads[0])]
    assert shards[0].bytes == len(payloads[0]) + 16
    assert shards[0].index_bytes == 16


def test_order_repetition_and_nothing(tmp_path, payloads):
    reader = ShardReader(tmp_path / "s", write(tmp_path / "s", payloads, 8_000))
    ids = [7, 299, 7, 0, 150]
    fetched = reader.fetch(np.array(ids, np.int32))
    assert fetched.dtype == object
    assert fetched.tolist() == [payloads[i] for i in ids]
    assert reader.fetch(np.array([], np.int32)).shape == (0,)


@pytest.mark.parametrize("sample_id", [-1, 300])
def test_ids_out_of_range(tmp_path, payloads, sample_id):
    reader = ShardReader(tmp_path / "s", write(tmp_path / "s", payloads, 8_000))
    with pytest.raises(ValueError, match=r"\[0, 300\)"):
        reader.fetch([0, sample_id])


def test_file_cut_short_under_the_reader(tmp_path, payloads):
    shards = write(tmp_path / "s", payloads, 8_000)
    reader = ShardReader(tmp_path / "s", shards)
    with (tmp_path / "s" / shards[-1].name).open("r+b") as file:
        file.truncate(shards[-1].bytes - 5)
    with pytest.raises(OSError, match="sample 299 is cut short"):
        reader.fetch([299])


def test_many_threads_read_at_once(tmp_path, payloads):
    reader = ShardReader(tmp_path / "s", write(tmp_path / "s", payloads, 8_000))
    wrong, start = [], threading.Barrier(8)

    def read(seed):
        start.wait()
        random = np.random.default_rng(seed)
        for _ in range(40):
            ids = random.integers(0, len(payloads), 100)
            if reader.fetch(ids).tolist() != [payloads[i] for i in ids]:
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=[seed]) for seed in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_files_are_closed_with_the_reader(tmp_path, payloads):
    reader = ShardReader(tmp_path / "s", write(tmp_path / "s", payloads, 8_000))
    files = list(reader._files)
    del reader
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


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
