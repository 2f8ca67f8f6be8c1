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
from ldl_fer.data.manifest import (
    ANNOTATIONS,
    AUXILIARY,
    MANIFEST,
    SCHEMA_VERSION,
    read_manifest,
)
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.data.paths import places
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.shards import ShardReader, decode_examples
from ldl_fer.errors import InputError
from ldl_fer.files import with_home

# Where places in the auxiliary space are read: features of a record, or the rows of a file.
_IN_PLANE = {"auxiliary": "valence_arousal", "neighbor_auxiliary": "neighbor_valence_arousal"}
_ROWS = {"auxiliary": "sample_id", "neighbor_auxiliary": "neighbors"}


class Records:
    """A folder of records, open for reading by sample_id.

    Nothing is loaded: the index is memory-mapped and records are read where they lie, so memory
    does not grow with N. Reading is safe from several threads at once.

    Attributes:
      folder: where they are.
      manifest: what they are.
    """

    def __init__(self, folder: str | Path, hashed: bool = False) -> None:
        """Opens a folder that `write_records` made.

        Args:
          folder: of the records.
          hashed: as `read_manifest` takes it.

        Raises:
          InputError: if it is no such folder, of another schema version, or not complete.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder, hashed)
        self._shards = ShardReader(self.folder, self.manifest.shards)
        space = self.manifest.space
        self._places = np.load(self.folder / AUXILIARY, mmap_mode="r") if space else None

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
            plane=self.num_neighbors > 0 and self._places is None,
        )

    def fetch(self, sample_ids: np.ndarray) -> np.ndarray:
        """Reads serialized examples by sample_id, as `ShardReader.fetch` does."""
        return self._shards.fetch(sample_ids)

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads features of samples inside a graph, by one Python call a batch.

        Args:
          sample_ids: [M] integers in [0, N).
          names: the features wanted: those of a record, `auxiliary` and `neighbor_auxiliary`.

        Returns:
          As `decode_examples`; places in the auxiliary space are [M, D] and [M, K, D].
        """
        records = tf.numpy_function(self.fetch, [sample_ids], tf.string, stateful=False)
        records.set_shape(sample_ids.shape)
        stored = _IN_PLANE if self._places is None else _ROWS
        wanted = {stored.get(name, name) for name in names}
        read = decode_examples(records, self.num_neighbors, len(self.class_names), sorted(wanted))
        found = {}
        for name in names:
            values = read[stored.get(name, name)]
            in_file = self._places is not None and name in _ROWS
            found[name] = _looked_up(self._places, values) if in_file else values
        return found


def _looked_up(places: np.ndarray | None, ids: tf.Tensor) -> tf.Tensor:
    """Reads places in the auxiliary space by sample_id, float32 [..., D]."""
    assert places is not None  # only then rows are looked up
    made = tf.numpy_function(lambda ids: np.asarray(places[ids]), [ids], tf.float32, stateful=False)
    made.set_shape([*ids.shape, places.shape[1]])
    return made


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
