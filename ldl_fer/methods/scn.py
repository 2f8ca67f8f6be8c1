"""SCN, the self-cure network (Wang et al., CVPR 2020): important samples first, others relabeled.

  alpha_i = sigmoid(W_a v^i + b_a)                                  Eq. 1, importance
  L_WCE   = -1/B sum_i log softmax(alpha_i z^i)_{y^i}               Eq. 2, on logits z
  L_RR    = max(0, delta_1 - (alpha_H - alpha_L))                   Eq. 3, 4: means of both groups
  y'      = argmax_j p_j  if  max_j p_j - p_y > delta_2, else y     Eq. 5, in the low group
  L       = gamma L_RR + (1 - gamma) L_WCE

The high group are the round(beta B) samples of the batch with the largest alpha. Relabeling begins
after some epochs, in the low group only, as the paper has it (the authors' code relabels samples of
both groups). A replica ranks the part of the batch that it has.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.replicas import shared_variable, write_rows

NOT_RELABELED = -1


def low_importance(importance: tf.Tensor, high_share: float) -> tf.Tensor:
    """Marks the samples that are not among the round(beta B) of largest importance, at least one.

    Args:
      importance: [B].
      high_share: beta, in [0, 1]; 0.7 in the paper.

    Returns:
      [B], boolean; among equal samples the earlier are the more important.
    """
    tf.debugging.assert_shapes([(importance, ("B",))])
    size = tf.shape(importance)[0]
    high = tf.cast(tf.round(high_share * tf.cast(size, tf.float32)), tf.int32)
    high = tf.maximum(high, 1)
    rank = tf.argsort(tf.argsort(importance, direction="DESCENDING", stable=True))
    return rank >= high


def rank_regularization(importance: tf.Tensor, high_share: float, margin: float) -> tf.Tensor:
    """Computes how much closer than the margin the mean importances of both groups are.  Eq. 3, 4.

      L_RR = max(0, delta_1 - (alpha_H - alpha_L))

    Args:
      importance: [B], in [0, 1].
      high_share: beta.
      margin: delta_1, 0.15 in the paper.

    Returns:
      Scalar, >= 0; 0 where the low group is empty.
    """
    low = low_importance(importance, high_share)
    count = tf.reduce_sum(tf.cast(low, tf.float32))
    low_sum = tf.reduce_sum(tf.where(low, importance, 0.0))
    high_sum = tf.reduce_sum(tf.where(low, 0.0, importance))
    high_count = tf.cast(tf.size(importance), tf.float32) - count
    distance = tf.math.divide_no_nan(high_sum, high_count) - tf.math.divide_no_nan(low_sum, count)
    return tf.where(count > 0.0, tf.nn.relu(margin - distance), 0.0)


def relabeled(
    label: tf.Tensor, probabilities: tf.Tensor, low: tf.Tensor, margin: float
) -> tf.Tensor:
    """Returns the labels after Eq. 5.

    Args:
      label: [B], integers in [0, C).
      probabilities: [B, C], rows sum to 1.
      low: [B], boolean: the samples that may be relabeled.
      margin: delta_2, 0.2 in the paper.

    Returns:
      [B], integers in [0, C).
    """
    tf.debugging.assert_shapes([(label, ("B",)), (probabilities, ("B", "C")), (low, ("B",))])
    given = tf.gather(probabilities, label, batch_dims=1)
    surer = tf.reduce_max(probabilities, axis=-1) - given > margin
    best = tf.argmax(probabilities, axis=-1, output_type=label.dtype)
    return tf.where(low & surer, best, label)


class SCNRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    rank_regularization: tf.Tensor  # [B], the batch's value in each row
    label: tf.Tensor  # [B], relabeled so far
    weighted_logits: tf.Tensor  # [B, C], alpha z
    importance: tf.Tensor  # [B], alpha


class SCN(Classifier):
    """Minimizes gamma L_RR + (1 - gamma) L_WCE.

    Attributes:
      importance: the layer of Eq. 1.
      new_labels: [N], the class a sample was relabeled to, or NOT_RELABELED.
    """

    LOSSES = ("loss", "classification_loss", "rank_regularization")
    compares_samples = True

    def add_parts(self) -> None:
        self.importance = tf.keras.layers.Dense(1, activation="sigmoid", name="importance")
        self.importance.build([None, self.feature_size])
        unchanged = tf.keras.initializers.Constant(NOT_RELABELED)
        self.new_labels = shared_variable(
            self, "new_labels", [self.num_samples], unchanged, tf.int32
        )

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return super().optimized_variables + self.importance.trainable_variables

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"importance": self.importance, "new_labels": self.new_labels}

    def losses(self, batch: Batch, neighbors: None) -> SCNRows:
        settings = self.config.scn
        features, logits = self.run_network(batch["image"], training=True)
        importance = self.importance(features)[:, 0]
        new = tf.gather(self.new_labels, batch["sample_id"])
        label = tf.where(new == NOT_RELABELED, batch["label"], new)
        weighted = importance[:, tf.newaxis] * logits
        classification = tf.gather(self.class_weights, label) * equations.classification_loss(
            tf.one_hot(label, self.num_classes), weighted
        )
        rank = rank_regularization(importance, settings.scn_high_share, settings.scn_margin)
        rank = tf.fill(tf.shape(classification), rank)
        weight = settings.scn_rank_weight
        loss = weight * rank + (1.0 - weight) * classification
        return SCNRows(features, logits, loss, classification, rank, label, weighted, importance)

    def after_step(
        self,
        batch: Batch,
        rows: SCNRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
    ) -> None:
        settings, label = self.config.scn, rows.label
        low = low_importance(rows.importance, settings.scn_high_share)
        begun = self.optimizer.iterations > settings.scn_relabel_epoch * self.steps_per_epoch
        probabilities = tf.nn.softmax(rows.weighted_logits)
        new = relabeled(label, probabilities, low & begun, settings.scn_relabel_margin)
        old = tf.gather(self.new_labels, batch["sample_id"])
        new = tf.where(new == label, old, new)
        write_rows(batch["sample_id"], [(self.new_labels, new)], applied=applied)
