"""Frames, offsets, and reading any record from several threads."""

import os
import threading

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.shards import ShardReader, ShardWriter


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
