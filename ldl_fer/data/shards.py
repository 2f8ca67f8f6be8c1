"""Shards: TFRecord files with an offset index beside each, and the samples in them.

A record's frame is its length (8 bytes), the length's CRC (4), the payload, the payload's CRC (4).
The .index file holds a payload's offset and length per record, as little-endian int64:
any record is one read away.
"""

import dataclasses
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.data.manifest import INDEX_ENTRY, Shard

_FRAME_HEADER, _FRAME_FOOTER = 12, 4


class ShardWriter:
    """Appends records to files in a folder, starting a new one where the next would be too large.

    A context manager: the files are closed at its end.
    """

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        """Writes nothing yet.

        Args:
          folder: exists.
          shard_bytes: largest size of a .tfrecord; a larger record gets one of its own.
        """
        self._folder, self._limit = folder, shard_bytes
        self._shards: list[Shard] = []
        self._records: Any = None  # a TFRecordWriter while a shard is open

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self._close()

    def append(self, payload: bytes) -> None:
        """Writes the next record; its sample_id is the number of records before it."""
        frame = _FRAME_HEADER + len(payload) + _FRAME_FOOTER
        if self._records is not None and self._bytes + frame > self._limit:
            self._close()
        if self._records is None:
            self._open()
        entry = INDEX_ENTRY.pack(self._bytes + _FRAME_HEADER, len(payload))
        self._records.write(payload)
        self._index.write(entry)
        self._bytes += frame
        self._count += 1

    def named_by_total(self) -> tuple[Shard, ...]:
        """Renames the closed shards to records-00000-of-00003.tfrecord and so on; returns them."""
        total, named = len(self._shards), []
        for number, shard in enumerate(self._shards):
            name = f"records-{number:05d}-of-{total:05d}.tfrecord"
            named.append(dataclasses.replace(shard, name=name))
            (self._folder / shard.name).rename(self._folder / name)
            (self._folder / shard.index_name).rename(self._folder / named[-1].index_name)
        return tuple(named)

    def _open(self) -> None:
        path = self._folder / f"{len(self._shards):05d}.tfrecord"
        self._index = path.with_suffix(".index").open("wb")
        self._records = tf.io.TFRecordWriter(str(path))
        self._bytes = self._count = 0

    def _close(self) -> None:
        if self._records is None:
            return
        records, self._records = self._records, None
        self._index.close()
        records.close()
        self._shards.append(
            Shard(
                name=f"{len(self._shards):05d}.tfrecord",
                first_sample_id=sum(shard.count for shard in self._shards),
                count=self._count,
                bytes=self._bytes,
            )
        )


class ShardReader:
    """Reads records by sample_id from several threads at once.

    The index is memory-mapped and the files have no shared position (`os.pread`): memory does not
    grow with the number of records, and readers do not disturb each other.
    """

    def __init__(self, folder: Path, shards: tuple[Shard, ...]) -> None:
        """Opens all files; they are closed when the reader is no longer used.

        Raises:
          OSError: if a file is missing.
        """
        self._folder, self._count = folder, sum(shard.count for shard in shards)
        self._first_ids = np.array([shard.first_sample_id for shard in shards], np.int64)
        self._indexes = [
            np.memmap(folder / shard.index_name, "<i8", "r", shape=(shard.count, 2))
            for shard in shards
        ]
        self._files: list[int] = []
        weakref.finalize(self, _close_all, self._files)
        self._files.extend(os.open(folder / shard.name, os.O_RDONLY) for shard in shards)

    def fetch(self, sample_ids: np.ndarray) -> np.ndarray:
        """Reads records, in the order asked for; the same one may be asked for repeatedly.

        Args:
          sample_ids: [M] integers in [0, N).

        Returns:
          [M] objects, the serialized examples (bytes) that `decode_examples` parses.

        Raises:
          ValueError: for a sample_id outside [0, N).
          OSError: if the files changed under the reader.
        """
        ids = np.asarray(sample_ids, np.int64)
        if ids.size and not 0 <= ids.min() <= ids.max() < self._count:
            raise ValueError(
                f"{self._folder}: sample_ids lie in [0, {self._count}); asked for {ids}"
            )
        shards = np.searchsorted(self._first_ids, ids, side="right") - 1
        places = np.empty([len(ids), 2], np.int64)
        for shard in np.unique(shards):
            here = shards == shard
            places[here] = self._indexes[shard][ids[here] - self._first_ids[shard]]
        records = np.empty(len(ids), object)
        for row, (shard, (offset, length)) in enumerate(
            zip(shards.tolist(), places.tolist(), strict=True)
        ):
            record = os.pread(self._files[shard], length, offset)
            if len(record) != length:
                raise OSError(f"{self._folder}: sample {ids[row]} is cut short")
            records[row] = record
        return records


def _close_all(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _schema(num_neighbors: int, num_classes: int) -> dict[str, tf.io.FixedLenFeature]:
    """Returns every feature of a record. A change here is a new `manifest.SCHEMA_VERSION`."""
    feature = tf.io.FixedLenFeature
    return {
        "image": feature([], tf.string),
        "label": feature([], tf.int64),
        "valence_arousal": feature([2], tf.float32),
        "sample_id": feature([], tf.int64),
        "neighbors": feature([num_neighbors], tf.int64),
        "neighbor_labels": feature([num_neighbors], tf.int64),
        "neighbor_valence_arousal": feature([num_neighbors, 2], tf.float32),
        "votes": feature([num_classes], tf.float32),
    }


def encode_example(example: dict[str, Any]) -> bytes:
    """Serializes one sample. Inverse: `decode_examples`.

    A record holds all that a training step needs to know of the sample's neighbors, except their
    images. K is the length of `neighbors`, C that of `votes`.

    Args:
      example: image (bytes, an encoded picture), label (integer in [0, C)), valence_arousal [2] in
        [-1, 1], sample_id (integer), neighbors [K] (sample_ids), neighbor_labels [K],
        neighbor_valence_arousal [K, 2], votes [C] (zeros where there are none).

    Raises:
      ValueError: for a feature that is missing, unknown or of another shape.
    """
    lengths = (len(example.get(name, ())) for name in ("neighbors", "votes"))
    schema = _schema(*lengths)
    if example.keys() != schema.keys():
        raise ValueError(f"an example holds {', '.join(schema)}; not {', '.join(example)}")
    features = {}
    for name, feature in schema.items():
        value = example[name]
        if list(np.shape(value)) != feature.shape:
            raise ValueError(f"{name} has shape {np.shape(value)}, not {tuple(feature.shape)}")
        features[name] = _feature(value, feature.dtype)
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def decode_examples(
    serialized: tf.Tensor,
    num_neighbors: int,
    num_classes: int,
    names: Sequence[str] | None = None,
) -> dict[str, tf.Tensor]:
    """Parses a batch of samples. Inverse of `encode_example`.

    Args:
      serialized: [M] string.
      num_neighbors: K of the records.
      num_classes: C of the records.
      names: the features wanted, to spare the others' parsing; None: all.

    Returns:
      image [M] string (encoded), label [M], valence_arousal [M, 2], sample_id [M],
      neighbors [M, K], neighbor_labels [M, K], neighbor_valence_arousal [M, K, 2], votes [M, C];
      int32 and float32.

    Raises:
      tf.errors.InvalidArgumentError: for another K or C, or bytes that are no such record.
    """
    schema = _schema(num_neighbors, num_classes)
    wanted = schema if names is None else {name: schema[name] for name in names}
    parsed = tf.io.parse_example(serialized, wanted)
    return {
        name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
        for name, value in parsed.items()
    }


def _feature(value: Any, dtype: tf.DType) -> tf.train.Feature:
    if dtype == tf.string:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.ravel(value).tolist()
    if dtype == tf.int64:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
