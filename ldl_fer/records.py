"""Makes and reads records: a data set as TFRecord shards, any sample of which is one read away.

    python -m ldl_fer.records --annotations=train.csv --image_dir=images \\
        --output_dir=data/records/train --image_size=48 --num_neighbors=8

The CSV has the columns subDirectory_filePath, expression, valence, arousal and, optionally, knn and
votes_*. Pictures that already are image_size x image_size, 8-bit, gray or RGB, upright JPEG or PNG
are copied byte by byte; others are resized to that square once (their aspect ratio is not kept) and
encoded again. The folder appears when it is complete: it holds .tfrecord files of standard framing,
an offset index beside each, manifest.json and annotations.csv.

`train.py` and `evaluate.py` make records themselves when they are given a CSV.
"""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import flags

from ldl_fer import command_line
from ldl_fer.annotations import Annotations, read_annotations
from ldl_fer.examples import decode_examples
from ldl_fer.manifest import ANNOTATIONS, Manifest, read_manifest
from ldl_fer.record_writer import write_records
from ldl_fer.settings import DataConfig
from ldl_fer.shards import ShardReader


class Records:
    """A folder of records, open for reading by sample_id.

    Nothing is loaded: the index is memory-mapped and records are read where they lie, so memory
    does not grow with N. Reading is safe from several threads at once.

    Attributes:
      folder: where they are.
      manifest: what they are.
    """

    def __init__(self, folder: str | Path) -> None:
        """Opens a folder that `write_records` made.

        Raises:
          InputError: if it is no such folder, of another schema version, or not complete.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._shards = ShardReader(self.folder, self.manifest.shards)

    def __len__(self) -> int:
        return self.manifest.count

    @property
    def num_neighbors(self) -> int:
        """K."""
        return self.manifest.num_neighbors

    @property
    def image_size(self) -> int | None:
        """Height and width of every picture, pixels; None: each has its own."""
        return self.manifest.image_size

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names."""
        return self.manifest.class_names

    @property
    def class_counts(self) -> tuple[int, ...]:
        """C numbers of samples, adding up to N."""
        return self.manifest.class_counts

    def annotations(self) -> Annotations:
        """The table of all samples, neighbors included; read when first asked for."""
        return self._annotations

    @functools.cached_property
    def _annotations(self) -> Annotations:
        path = self.folder / ANNOTATIONS
        return read_annotations(
            path,
            class_names=self.class_names,
            min_rows=1,
            progress=False,
            plane=self.num_neighbors > 0,
        )

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
        return self._shards.fetch(sample_ids)

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Features of some samples inside a graph, as `decode_examples`: one Python call a batch.

        Args:
          sample_ids: [M] integers in [0, N).
          names: the features wanted.
        """
        records = tf.numpy_function(self.fetch, [sample_ids], tf.string, stateful=False)
        records.set_shape(sample_ids.shape)
        return decode_examples(records, self.num_neighbors, len(self.class_names), names)


def main() -> None:
    from ldl_fer.prepared_records import neighbors_of  # which stands on this module

    settings = flags.FLAGS
    annotations = read_annotations(
        settings.annotations,
        None,
        tuple(settings.class_names),
        settings.num_neighbors + 1,
        plane=settings.num_neighbors > 0,
    )
    manifest = write_records(
        annotations,
        settings.image_dir,
        settings.output_dir,
        image_size=settings.image_size,
        neighbors=neighbors_of(annotations, settings.num_neighbors),
        shard_bytes=settings.shard_megabytes * 1_000_000,
        workers=settings.workers,
        overwrite=settings.overwrite,
    )
    print(_summary(manifest, settings.output_dir))


def _summary(manifest: Manifest, folder: str) -> str:
    size = f"{manifest.image_size}x{manifest.image_size} pixels" if manifest.image_size else "as is"
    megabytes = sum(shard.bytes for shard in manifest.shards) / 1e6
    counts = zip(manifest.class_names, manifest.class_counts, strict=True)
    return "\n".join(
        [
            f"{folder}: {manifest.count} samples, {manifest.num_neighbors} neighbors each",
            f"  images   {size}, {manifest.images_copied} copied, "
            f"{manifest.count - manifest.images_copied} re-encoded",
            f"  shards   {len(manifest.shards)}, {megabytes:.1f} MB",
            f"  classes  {', '.join(f'{name} {count}' for name, count in counts)}",
            f"  votes    {'yes' if manifest.has_votes else 'none'}",
        ]
    )


def _define_flags() -> None:
    data = DataConfig()
    flags.DEFINE_string("annotations", None, "CSV of the samples.", required=True)
    flags.DEFINE_string("image_dir", None, "Folder that the CSV's paths start from.", required=True)
    flags.DEFINE_string("output_dir", None, "Folder to make.", required=True)
    flags.DEFINE_integer(
        "image_size", data.image_size, "Height and width, pixels; 0 keeps pictures.", 0
    )
    flags.DEFINE_integer("num_neighbors", data.num_neighbors, "K, neighbors per sample.", 0)
    flags.DEFINE_list("class_names", list(data.class_names), "Names in the order of `expression`.")
    flags.DEFINE_integer("shard_megabytes", 150, "Largest size of a .tfrecord, MB.", 1)
    flags.DEFINE_integer("workers", os.cpu_count(), "Threads that read and convert pictures.", 1)
    flags.DEFINE_bool("overwrite", False, "Replace records that are in --output_dir already.")


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
