"""A data set seen through a frozen backbone: its pooled maps in place of its pictures."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ldl_fer.annotations import Annotations
from ldl_fer.pooled_maps_cache import VIEWS, PooledMaps
from ldl_fer.prepared_records import neighbors_of


class PooledRecords:
    """What `records.Records` is for pictures: any sample is one look-up away, by sample_id.

    Attributes:
      pooled: N samples' maps, the mirrored picture's second.
      image_size: of the pictures that were pooled, pixels.
      num_neighbors: K.
      class_names: C names.
    """

    def __init__(
        self, annotations: Annotations, pooled: PooledMaps, image_size: int, num_neighbors: int
    ) -> None:
        """Finds the neighbors of the annotated samples.

        Raises:
          InputError: if there are not more than K of them.
        """
        self._annotations = annotations
        self.pooled = pooled
        self.image_size = image_size
        self.num_neighbors = num_neighbors
        self.class_names = annotations.class_names
        neighbors = neighbors_of(annotations, num_neighbors)
        labels, points = annotations.labels, annotations.valence_arousal
        self._columns = {
            "sample_id": np.arange(len(annotations), dtype=np.int32),
            "label": labels,
            "valence_arousal": points,
            "neighbors": neighbors,
            "neighbor_labels": labels[neighbors],
            "neighbor_valence_arousal": points[neighbors],
        }

    def __len__(self) -> int:
        return len(self._annotations)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """C numbers of samples, adding up to N."""
        counts = np.bincount(self._annotations.labels, minlength=len(self.class_names))
        return tuple(counts.tolist())

    def annotations(self) -> Annotations:
        """The table of all samples."""
        return self._annotations

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Columns of some samples, [M] ids; `image` is their pooled maps, [M, 2, P]."""
        columns = [self.pooled if name == "image" else self._columns[name] for name in names]
        kinds = [self._spec(name) for name in names]
        values = tf.numpy_function(
            lambda ids: [column[ids] for column in columns],
            [sample_ids],
            [dtype for dtype, _ in kinds],
            stateful=False,
        )
        values = tf.nest.flatten(values)  # eagerly, a single one comes without a list
        for value, (_, shape) in zip(values, kinds, strict=True):
            value.set_shape([*sample_ids.shape, *shape])
        return dict(zip(names, values, strict=True))

    def _spec(self, name):
        if name == "image":
            return np.float32, (VIEWS, self.pooled.size)
        column = self._columns[name]
        return column.dtype, column.shape[1:]
