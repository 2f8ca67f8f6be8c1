"""The memory bank: what the network last said of every training sample."""

import tensorflow as tf


class NeighborBank(tf.keras.layers.Layer):
    """Latest features and probabilities of all N samples; neighbors are looked up, not recomputed.

    A step reads the rows of its neighbors and writes its own, so a row is as old as the sample's
    last visit: one epoch at most. Rows never written are zeros, and told apart by that.

    Attributes:
      features: [N, V] float16; rounding to 11 bits halves the memory.
      probabilities: [N, C] float32.
    """

    def __init__(self, num_samples: int, size: int, num_classes: int, **kwargs):
        """Makes the layer.

        Args:
          num_samples: N.
          size: V.
          num_classes: C.
          **kwargs: as for any Keras layer.
        """
        super().__init__(dtype="float32", **kwargs)
        self.features = self._rows("features", [num_samples, size], "float16")
        self.probabilities = self._rows("probabilities", [num_samples, num_classes], "float32")

    def _rows(self, name, shape, dtype):
        return self.add_weight(
            name, shape, dtype, "zeros", trainable=False, experimental_autocast=False
        )

    def call(self, sample_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What is known of the samples.

        Args:
          sample_ids: [B, K].

        Returns:
          features [B, K, V] float32, probabilities [B, K, C], and seen [B, K]: 1 for a row that
          was written, else 0.
        """
        features = tf.cast(tf.gather(self.features, sample_ids), tf.float32)
        probabilities = tf.gather(self.probabilities, sample_ids)
        seen = tf.cast(tf.reduce_any(probabilities > 0.0, axis=-1), tf.float32)
        return features, probabilities, seen

    def write(self, sample_ids: tf.Tensor, features: tf.Tensor, probabilities: tf.Tensor) -> None:
        """Replaces the rows of the samples of all replicas, in every replica's copy.

        Args:
          sample_ids: [B], none twice among the replicas.
          features: [B, V].
          probabilities: [B, C], rows sum to 1.
        """
        replica = tf.distribute.get_replica_context()
        rows = {
            "sample_ids": sample_ids,
            "features": tf.cast(features, tf.float16),
            "probabilities": probabilities,
        }
        if replica.num_replicas_in_sync > 1:
            rows = replica.all_gather(rows, axis=0)

        def update(strategy, rows):
            for variable, name in (
                (self.features, "features"),
                (self.probabilities, "probabilities"),
            ):
                strategy.extended.update(variable, _scatter, args=(rows["sample_ids"], rows[name]))

        replica.merge_call(update, args=(rows,))


def _scatter(variable, sample_ids, values):
    return variable.scatter_update(tf.IndexedSlices(values, sample_ids))
