"""Reads records: a data set as TFRecord shards, any sample of which is one read away."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.annotations import Annotations, read_annotations
from ldl_fer.examples import decode_examples
from ldl_fer.manifest import ANNOTATIONS, read_manifest
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
