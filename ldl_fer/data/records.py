"""Reads records: a data set as TFRecord shards, any sample of which is one read away."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.manifest import ANNOTATIONS, MANIFEST, SCHEMA_VERSION, read_manifest
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.data.paths import places
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.shards import ShardReader, decode_examples
from ldl_fer.errors import InputError
from ldl_fer.files import with_home


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
        """K, neighbors of a sample."""
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

    def pictures(self, image_dir: str = "") -> set[str]:
        """Returns the places of all samples' pictures, in the folder that they were made from.

        Args:
          image_dir: is not needed.
        """
        paths = pd.read_csv(self.folder / ANNOTATIONS, usecols=[PATH], dtype=str)[PATH]
        return places(with_home(self.manifest.settings["image_dir"]), paths)

    def annotations(self) -> Annotations:
        """Returns the table of all samples, neighbors included; reads it when first called."""
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
        """Reads serialized examples by sample_id, as `ShardReader.fetch` does."""
        return self._shards.fetch(sample_ids)

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads features of samples inside a graph, by one Python call a batch.

        Args:
          sample_ids: [M] integers in [0, N).
          names: the features wanted.

        Returns:
          As `decode_examples`.
        """
        records = tf.numpy_function(self.fetch, [sample_ids], tf.string, stateful=False)
        records.set_shape(sample_ids.shape)
        return decode_examples(records, self.num_neighbors, len(self.class_names), names)


def prepare_records(
    csv_path: str | Path,
    image_dir: str | Path,
    records_dir: str | Path,
    *,
    image_size: int | None,
    num_neighbors: int,
    class_names: tuple[str, ...],
    annotations: Annotations | None = None,
    progress: bool = True,
) -> Records:
    """Opens the records of a CSV, and writes them where no earlier call has.

    An earlier call counts if content and settings were the same: the folder's name is the CSV's
    with a hash of the annotations, the image folder's path, its pictures' sizes and times of
    change, the settings and the schema version.

    Args:
      csv_path: annotations; read unless `annotations` are given, and then only a name.
      image_dir: where their paths start.
      records_dir: where such folders are kept.
      image_size: height and width of the stored pictures, pixels; None or 0 keeps each its own.
      num_neighbors: K.
      class_names: C names in the order of `expression`.
      annotations: take these instead of what `csv_path` holds, for a part of it.
      progress: show a bar while writing.

    Raises:
      InputError: as `read_annotations`, `neighbors_of`, `write_records` and `Records` do.
    """
    if annotations is None:
        rows = num_neighbors + 1
        plane = num_neighbors > 0
        annotations = read_annotations(
            csv_path, image_dir, class_names, rows, progress, plane=plane, decode=False
        )
    versions = SCHEMA_VERSION, "neighbors are other pictures"
    identity = annotations.identity(image_dir, image_size or None, num_neighbors, *versions)
    folder = Path(records_dir) / f"{Path(csv_path).stem}-{identity}"
    if not (folder / MANIFEST).is_file():
        try:
            write_records(
                annotations,
                image_dir,
                folder,
                image_size=image_size,
                neighbors=neighbors_of(annotations, num_neighbors),
                progress=progress,
            )
        except InputError:  # or another run has made the same records meanwhile
            if not (folder / MANIFEST).is_file():
                raise
    return Records(folder)
