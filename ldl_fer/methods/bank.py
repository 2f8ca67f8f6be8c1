"""The memory bank: the network's latest features and probabilities of every training sample.

Not in the paper, which runs the network on the neighbors' images in each step; see
`--neighbors=forward`.
"""

import contextlib
from typing import Any

import tensorflow as tf

from ldl_fer.methods.replicas import write_rows


class NeighborBank(tf.keras.layers.Layer):
    """Latest features and probabilities of all N samples; neighbors are looked up, not recomputed.

    A step reads the rows of its neighbors and writes its own, so a row is as old as the sample's
    last visit: less than two epochs, as a sample may come first in one and last in the next, and
    an epoch more for each that leaves the sample's batch out (`pipeline.steps_per_epoch`); more of
    frequent classes where --sampling shows them less. Before the first step every row is written
    once (`Classifier.visit`).

    Attributes:
      features: [N, V] float16; rounding to 11 bits halves the memory.
      probabilities: [N, C] float32.
      on_host: whether one copy lies in the host's memory for all replicas of the machine, instead
        of one on each replica's device.
    """

    def __init__(
        self, num_samples: int, size: int, num_classes: int, on_host: bool = False, **kwargs: Any
    ) -> None:
        """Makes the layer: in the strategy's scope, or outside of it if `on_host`.

        Args:
          num_samples: N.
          size: V.
          num_classes: C.
          on_host: see the class.
          **kwargs: as for any Keras layer.
        """
        super().__init__(dtype="float32", **kwargs)
        self.on_host = on_host
        with self._device():
            self.features = self._rows("features", [num_samples, size], "float16")
            self.probabilities = self._rows("probabilities", [num_samples, num_classes], "float32")

    @staticmethod
    def bytes_needed(num_samples: int, size: int, num_classes: int) -> int:
        """Memory of one copy: N (2 V + 4 C)."""
        return num_samples * (2 * size + 4 * num_classes)

    def _rows(self, name, shape, dtype):
        return self.add_weight(
            name, shape, dtype, "zeros", trainable=False, experimental_autocast=False
        )

    def _device(self):
        return tf.device("CPU:0") if self.on_host else contextlib.nullcontext()

    def call(self, sample_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the rows of the samples.

        Args:
          sample_ids: [B, K].

        Returns:
          features [B, K, V] float32 and probabilities [B, K, C].
        """
        with self._device():
            features = tf.gather(self.features, sample_ids)
            probabilities = tf.gather(self.probabilities, sample_ids)
        return tf.cast(features, tf.float32), probabilities

    def write(
        self,
        sample_ids: tf.Tensor,
        features: tf.Tensor,
        probabilities: tf.Tensor,
        applied: tf.Tensor | None = None,
    ) -> None:
        """Replaces the rows of the samples of all replicas, in every copy.

        Args:
          sample_ids: [B]; none occurs twice, on any replica.
          features: [B, V].
          probabilities: [B, C], rows sum to 1.
          applied: as `replicas.write_rows` takes it.
        """
        values = [
            (self.features, tf.cast(features, tf.float16)),
            (self.probabilities, probabilities),
        ]
        write_rows(sample_ids, values, self.on_host, applied)
