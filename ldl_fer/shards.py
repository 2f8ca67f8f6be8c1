"""TFRecord files with an offset index beside each, so that any record is one read away.

A record's frame is its length (8 bytes), the length's CRC (4), the payload, the payload's CRC (4).
The .index file holds a payload's offset and length per record, as little-endian int64.
"""

import dataclasses
import os
import struct
import weakref
from pathlib import Path
from typing import Any

import numpy as np

_INDEX_ENTRY = struct.Struct("<qq")
_FRAME_HEADER, _FRAME_FOOTER = 12, 4


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records; its index lies beside it."""

    name: str  # of the .tfrecord
    first_sample_id: int
    count: int
    bytes: int  # of the .tfrecord

    @property
    def index_name(self) -> str:
        return str(Path(self.name).with_suffix(".index"))

    @property
    def index_bytes(self) -> int:
        return self.count * _INDEX_ENTRY.size


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
        entry = _INDEX_ENTRY.pack(self._bytes + _FRAME_HEADER, len(payload))
        self._records.write(payload)
        self._index.write(entry)
        self._bytes += frame
        self._count += 1

    def named_by_total(self) -> tuple[Shard, ...]:
        """The closed shards, renamed records-00000-of-00003.tfrecord and so on."""
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
        import tensorflow as tf

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
        """`Records.fetch`."""
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
