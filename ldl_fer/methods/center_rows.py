"""The rows of a batch that the class centers see, and their loss by sample.

  L_i = mean over the sample's R rows of 1/2 w ||v - mu_y||^2,  w = 1 - lambda     Eq. 10

Le et al., WACV 2023. The paper has one row per sample, its own; the released code adds those of
the K neighbors and takes the mean over all B (1 + K) rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.layers import ClassCenters
from ldl_fer.methods.targets import Neighbors


class CenterRows(NamedTuple):
    """R rows per sample, the first its own."""

    features: tf.Tensor  # [B, R, V]
    labels: tf.Tensor  # [B, R]
    weights: tf.Tensor  # [B, R], 1 - lambda

    @classmethod
    def of_batch(
        cls,
        batch: dict[str, tf.Tensor],
        features: tf.Tensor,
        neighbors: Neighbors | None,
        uncertainty: Callable[[tf.Tensor], tf.Tensor],
    ) -> "CenterRows":
        """Makes a row for each sample and, unless None, for each of its neighbors.

        Args:
          batch: `label`, `sample_id` [B]; with neighbors also `neighbors`, `neighbor_labels`
            [B, K] of `batches.batch_spec`.
          features: [B, V], the batch's own.
          neighbors: the network's outputs for the neighbors.
          uncertainty: sample_ids -> lambda.
        """
        weights = 1.0 - uncertainty(batch["sample_id"])
        own = cls(*(values[:, tf.newaxis] for values in (features, batch["label"], weights)))
        if neighbors is None:
            return own
        weights = 1.0 - uncertainty(batch["neighbors"])
        return own.with_neighbors(neighbors, batch["neighbor_labels"], weights)

    def with_neighbors(
        self, neighbors: Neighbors, labels: tf.Tensor, weights: tf.Tensor
    ) -> "CenterRows":
        """Adds the neighbors' rows behind.

        Args:
          neighbors: the network's outputs for them.
          labels: [B, K], their given labels.
          weights: [B, K], their 1 - lambda.
        """
        others = neighbors.features, labels, weights
        return CenterRows(*(tf.concat(both, axis=1) for both in zip(self, others, strict=True)))

    def flat(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """[B R, V], [B R], [B R]."""
        flat = tf.reshape(self.features, [-1, self.features.shape[-1]])
        return flat, tf.reshape(self.labels, [-1]), tf.reshape(self.weights, [-1])

    def loss(self, centers: ClassCenters, separation: bool) -> tf.Tensor:
        """Computes Eq. 10, [B]: the mean over a sample's R rows, plus the separation if asked."""
        features, labels, weights = self.flat()
        loss = equations.center_loss(features, centers(labels), weights)
        loss = tf.reduce_mean(tf.reshape(loss, tf.shape(self.labels)), axis=1)
        return loss + centers.separation() if separation else loss
