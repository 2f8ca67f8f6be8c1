"""Island Loss (Cai et al., FG 2018): classes as islands, far from each other in angle.

  L_C  = 1/2 ||v^i - mu_{y^i}||^2                               Wen et al., ECCV 2016
  L_IL = L_C + lambda_1 sum_j sum_{k != j} (cos(mu_j, mu_k) + 1)
  L    = CE(l, f(x^i)) + lambda L_IL

Features get a gradient of L_C only. The centers move by

  Delta_j = sum_{i: y^i = j} (mu_j - v^i) / (1 + n_j) + lambda_1 / (C - 1) sum_{k != j} dcos/dmu_j

No code of the authors is public; the constants (lambda 0.01, lambda_1 10, rate 0.5) and the step of
the centers are as remembered of the paper, and a public re-implementation has the same constants.
There, and here, centers start from N(0, 1): at zero their angles are undefined. L_C is a mean over
the batch, where the paper has a sum.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.centers import PulledCenters
from ldl_fer.methods.classifier import Batch, Classifier


def center_angles(centers: tf.Tensor) -> tf.Tensor:
    """Computes sum_j sum_{k != j} (cos(mu_j, mu_k) + 1).

    Args:
      centers: [C, V], none of them zero.

    Returns:
      Scalar in [0, 2 C (C - 1)].
    """
    cosines = _cosines(centers)
    classes = tf.cast(tf.shape(centers)[0], centers.dtype)
    pairs = classes * (classes - 1.0)
    return tf.reduce_sum(cosines) - tf.linalg.trace(cosines) + pairs


def angle_push(centers: tf.Tensor) -> tf.Tensor:
    """Computes sum_{k != j} dcos(mu_j, mu_k)/dmu_j of each center, half of the sum's gradient.

      sum_{k != j} (u_k - cos(mu_j, mu_k) u_j) / |mu_j|,   u = mu / |mu|

    Args:
      centers: [C, V], none of them zero.

    Returns:
      [C, V].
    """
    norms = tf.norm(centers, axis=1, keepdims=True)
    directions = centers / norms
    cosines = _cosines(centers)
    # k = j adds u_j - 1 u_j = 0.
    others = tf.reduce_sum(directions, axis=0) - directions * tf.reduce_sum(
        cosines, axis=1, keepdims=True
    )
    return others / norms


def _cosines(centers):
    tf.debugging.assert_shapes([(centers, ("C", "V"))])
    directions = centers / tf.norm(centers, axis=1, keepdims=True)
    return tf.matmul(directions, directions, transpose_b=True)


class IslandLossRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    island_loss: tf.Tensor  # [B]


class IslandLoss(Classifier):
    """Minimizes CE + lambda L_IL.

    Attributes:
      centers: mu.
    """

    LOSSES = ("loss", "classification_loss", "island_loss")

    def add_parts(self) -> None:
        rate = self.config.island_loss.island_center_rate
        self.centers = PulledCenters(
            self.num_classes, self.feature_size, rate, deviation=1.0, name="centers"
        )

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"centers": self.centers}

    def losses(self, batch: Batch, neighbors: None) -> IslandLossRows:
        settings, label = self.config.island_loss, batch["label"]
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        distance = equations.center_loss(
            features, self.centers(label), tf.ones_like(classification)
        )
        island = distance + settings.island_angle_weight * center_angles(self.centers.centers)
        loss = classification + settings.island_weight * island
        return IslandLossRows(features, logits, loss, classification, island)

    def sums_of_step(self, batch: Batch, rows: IslandLossRows) -> tuple[tf.Tensor, ...]:
        pull = self.centers(batch["label"]) - rows.features
        return self.centers.sums(pull, batch["label"])

    def after_step(
        self,
        batch: Batch,
        rows: IslandLossRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Moves the centers."""
        weight = self.config.island_loss.island_angle_weight / max(self.num_classes - 1, 1)
        push = weight * angle_push(self.centers.centers)
        self.centers.update(sums[0], sums[1], push, applied)
