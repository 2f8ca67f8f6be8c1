"""What is known of samples beside their pictures, looked up by sample_id inside a graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf


class Columns:
    """Labels, neighbors and places in the auxiliary space of N samples, in memory."""

    def __init__(
        self,
        labels: np.ndarray,
        neighbors: np.ndarray,
        places: np.ndarray | tf.Tensor | None = None,
    ) -> None:
        """Takes them.

        Args:
          labels: [N] in [0, C).
          neighbors: sample_ids [N, K].
          places: [N, D]; None: nobody asks for them.
        """
        with tf.init_scope(), tf.device("CPU"):
            self._labels = tf.constant(labels, tf.int32)
            self._neighbors = tf.constant(neighbors, tf.int32)
            self._places = None if places is None else tf.convert_to_tensor(places, tf.float32)

    def __call__(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Looks columns up.

        Args:
          sample_ids: [M] integers in [0, N).
          names: the columns wanted.

        Returns:
          sample_id [M], label [M], neighbors [M, K], neighbor_labels [M, K], int32;
          auxiliary [M, D], neighbor_auxiliary [M, K, D], float32.
        """
        ids = tf.cast(sample_ids, tf.int32)
        of_neighbors = any(name.startswith("neighbor") for name in names)
        neighbors = tf.gather(self._neighbors, ids) if of_neighbors else None
        made = {
            "sample_id": lambda: ids,
            "label": lambda: tf.gather(self._labels, ids),
            "auxiliary": lambda: tf.gather(self._places, ids),
            "neighbors": lambda: neighbors,
            "neighbor_labels": lambda: tf.gather(self._labels, neighbors),
            "neighbor_auxiliary": lambda: tf.gather(self._places, neighbors),
        }
        return {name: made[name]() for name in names}


def mapped(path: str | Path) -> tf.Tensor:
    """Opens a .npy file as a tensor whose memory is the file: nothing is read before it is used."""
    array = np.load(path, mmap_mode="c")  # DLPack hands on nothing that is read-only
    with tf.init_scope():
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
