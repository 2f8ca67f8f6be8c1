"""Reads records: a data set as TFRecord shards, any sample of which is one read away."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.auxiliary import auxiliary_space, reads_plane, space_identity
from ldl_fer.data.columns import Columns, mapped
from ldl_fer.data.manifest import (
    ANNOTATIONS,
    AUXILIARY,
    MANIFEST,
    PIXELS,
    SCHEMA_VERSION,
    read_manifest,
)
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.data.paths import places
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.shards import ShardReader, decode_examples
from ldl_fer.errors import InputError
from ldl_fer.files import with_home
from ldl_fer.networks.encoded_pictures import decode


class Records:
    """A folder of records, open for reading by sample_id.

    Pictures are not loaded: index and pixels are memory-mapped and records are read where they lie,
    so of N samples memory holds the table alone. Reading is safe from several threads at once.

    Attributes:
      folder: where they are.
      manifest: what they are.
    """

    def __init__(self, folder: str | Path, hashed: bool = False, decoded: bool = True) -> None:
        """Opens a folder that `write_records` made.

        Args:
          folder: of the records.
          hashed: as `read_manifest` takes it.
          decoded: whether to take the decoded pictures where there are some; else each is decoded
            when it is read, as those of a set too large for them.

        Raises:
          InputError: if it is no such folder, of another schema version, or not complete.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, hashed)
        self._shards = ShardReader(self.folder, self.manifest.shards)
        pixels = self.folder / PIXELS
        self._pixels = mapped(pixels) if decoded and pixels.is_file() else None

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
            plane=self.num_neighbors > 0 and not self.manifest.space,
        )

    @functools.cached_property
    def _columns(self) -> Columns:
        table = self._annotations
        if table.neighbors is None:
            return Columns(table.labels, np.zeros([len(self), 0]))
        space = self.manifest.space
        places = mapped(self.folder / AUXILIARY) if space else table.valence_arousal
        return Columns(table.labels, table.neighbors, places)

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads samples inside a graph, without Python where the records hold their pixels.

        Args:
          sample_ids: [M] integers in [0, N).
          names: those of `Columns`, and `image`, where all pictures have one size.

        Returns:
          As `Columns`; images are uint8 [M, image_size, image_size, 3].
        """
        found = self._columns(sample_ids, [name for name in names if name != "image"])
        return {name: found[name] if name in found else self._images(sample_ids) for name in names}

    def _images(self, sample_ids):
        if self._pixels is not None:
            return tf.gather(self._pixels, sample_ids)
        assert self.image_size  # else they are no batch
        distinct, place = tf.unique(sample_ids)  # a picture wanted several times is decoded once
        return tf.gather(decode(self.encoded(distinct), self.image_size), place)

    def encoded(self, sample_ids: tf.Tensor) -> tf.Tensor:
        """Reads picture files [M], strings, by sample_id, by one Python call."""
        records = tf.numpy_function(self.fetch, [sample_ids], tf.string, stateful=False)
        records.set_shape(sample_ids.shape)
        shape = self.num_neighbors, len(self.class_names)
        return decode_examples(records, *shape, ["image"])["image"]

    def fetch(self, sample_ids: np.ndarray) -> np.ndarray:
        """Reads serialized examples by sample_id, as `ShardReader.fetch` does."""
        return self._shards.fetch(sample_ids)


def prepare_records(
    csv_path: str | Path,
    image_dir: str | Path,
    records_dir: str | Path,
    *,
    image_size: int | None,
    num_neighbors: int,
    class_names: tuple[str, ...],
    annotations: Annotations | None = None,
    data: DataConfig | None = None,
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
      data: the auxiliary space is read from it; None: that of the defaults.
      progress: show a bar while writing.

    Raises:
      InputError: as `read_annotations`, `auxiliary_space`, `neighbors_of`, `write_records` and
        `Records` do.
    """
    data = data or DataConfig()
    if annotations is None:
        rows = num_neighbors + 1
        plane = num_neighbors > 0 and reads_plane(data)
        annotations = read_annotations(
            csv_path, image_dir, class_names, rows, progress, plane=plane, decode=False
        )
    versions = SCHEMA_VERSION, "neighbors are other pictures"
    space = space_identity(data, csv_path) if num_neighbors else {}
    settings = image_size or None, num_neighbors, *versions, *([space] if space else [])
    identity = annotations.identity(image_dir, *settings)
    folder = Path(records_dir) / f"{Path(csv_path).stem}-{identity}"
    written = False
    if not (folder / MANIFEST).is_file():
        try:
            auxiliary = auxiliary_space(annotations, data, csv_path, progress) if space else None
            write_records(
                annotations,
                image_dir,
                folder,
                image_size=image_size,
                neighbors=neighbors_of(annotations, num_neighbors, auxiliary),
                auxiliary=auxiliary,
                space=space,
                progress=progress,
            )
            written = True
        except InputError:  # or another run has made the same records meanwhile
            if not (folder / MANIFEST).is_file():
                raise
    return Records(folder, hashed=written)
