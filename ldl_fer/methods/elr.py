"""ELR, early-learning regularization (Liu et al., NeurIPS 2020): keeps what was learned early.

  t_i <- b t_i + (1 - b) p_i                 at each visit, no gradient
  L   = CE(l_i, p_i) + lambda log(1 - p_i . t_i)

Wrong labels are learned late. The second term pulls predictions to what they were, t, before that.
From memory of the paper: t starts at zero, and p is clipped to [1e-4, 1 - 1e-4], so that the
logarithm is finite.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.replicas import shared_variable, write_rows

_CLIP = 1e-4


def moved_memory(memory: tf.Tensor, probabilities: tf.Tensor, momentum: float) -> tf.Tensor:
    """Computes b t + (1 - b) p: [B, C], [B, C] -> [B, C], without a gradient.

    Args:
      memory: t.
      probabilities: p, rows sum to 1.
      momentum: b, in [0, 1]; 0.7 in the paper for CIFAR-10.
    """
    tf.debugging.assert_shapes([(memory, ("B", "C")), (probabilities, ("B", "C"))])
    return tf.stop_gradient(momentum * memory + (1.0 - momentum) * probabilities)


def early_learning_regularization(logits: tf.Tensor, memory: tf.Tensor) -> tf.Tensor:
    """Computes log(1 - p . t), p = softmax(logits), clipped.

    Args:
      logits: [B, C].
      memory: t, [B, C], rows sum to at most 1.

    Returns:
      [B], in [log 1e-4, 0]; the smaller, the more p agrees with t.
    """
    tf.debugging.assert_shapes([(logits, ("B", "C")), (memory, ("B", "C"))])
    probabilities = tf.clip_by_value(tf.nn.softmax(logits), _CLIP, 1.0 - _CLIP)
    return tf.math.log1p(-tf.reduce_sum(probabilities * memory, axis=-1))


class ELRRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    regularization: tf.Tensor  # [B]
    memory: tf.Tensor  # [B, C], t after this visit


class ELR(Classifier):
    """Minimizes CE and the regularization.

    Attributes:
      memory: [N, C], t.
    """

    LOSSES = ("loss", "classification_loss", "regularization")

    def add_parts(self) -> None:
        shape = [self.num_samples, self.num_classes]
        self.memory = shared_variable(self, "memory", shape)

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"memory": self.memory}

    def look_up(self, batch: Batch) -> tf.Tensor:
        """Reads t of the samples, [B, C]."""
        return tf.gather(self.memory, batch["sample_id"])

    def losses(self, batch: Batch, neighbors: tf.Tensor) -> ELRRows:
        settings = self.config.elr
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        memory = moved_memory(neighbors, tf.nn.softmax(logits), settings.elr_momentum)
        regularization = early_learning_regularization(logits, memory)
        loss = classification + settings.elr_weight * regularization
        return ELRRows(features, logits, loss, classification, regularization, memory)

    def after_step(
        self,
        batch: Batch,
        rows: ELRRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        write_rows(batch["sample_id"], [(self.memory, rows.memory)], applied=applied)
