"""What the class centers see of a batch."""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.layers import NO_CLASS
from ldl_fer.neighbor_pass import Neighbors


class CenterRows(NamedTuple):
    """R rows per sample, the first its own."""

    center_features: tf.Tensor  # [B, R, V]
    center_labels: tf.Tensor  # [B, R]
    center_weights: tf.Tensor  # [B, R], 1 - lambda

    @classmethod
    def own(cls, features: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> "CenterRows":
        """A row per sample: [B, V], [B], [B] -> R = 1."""
        return cls(*(values[:, tf.newaxis] for values in (features, labels, weights)))

    def with_neighbors(
        self, neighbors: Neighbors, labels: tf.Tensor, weights: tf.Tensor
    ) -> "CenterRows":
        """Rows of the neighbors behind; those not seen yet have no class and no weight.

        Args:
          neighbors: what the network says of them.
          labels: [B, K], their given labels.
          weights: [B, K], their 1 - lambda.
        """
        seen = neighbors.seen > 0.0
        others = (
            neighbors.features,
            tf.where(seen, labels, NO_CLASS),
            tf.where(seen, weights, 0.0),
        )
        return CenterRows(*(tf.concat(both, axis=1) for both in zip(self, others, strict=True)))

    def flat(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """[B R, V], [B R], [B R]."""
        features, labels, weights = self
        flat = tf.reshape(features, [-1, features.shape[-1]])
        return flat, tf.reshape(labels, [-1]), tf.reshape(weights, [-1])
