"""SCN, the self-cure network (Wang et al., CVPR 2020): important samples first, others relabeled.

  alpha_i = sigmoid(W_a v^i + b_a)                                  Eq. 1, importance
  L_WCE   = -1/B sum_i log softmax(alpha_i z^i)_{y^i}               Eq. 2, on logits z
  L_RR    = max(0, delta_1 - (alpha_H - alpha_L))                   Eq. 3, 4: means of both groups
  y'      = argmax_j p_j  if  max_j p_j - p_y > delta_2, else y     Eq. 5, p = softmax(alpha z)
  L       = gamma L_RR + (1 - gamma) L_WCE

The network's own output is softmax(alpha z), at test time too: alpha is a layer of the network that
is evaluated and exported.

As in the authors' code, and other than in the paper's text: the high group are the floor(beta B)
samples of the batch with the largest alpha; samples of both groups are relabeled, from the 10th
epoch on. Their network has no dropout: where ours has, labels are decided by a pass without it.
Departure: a replica ranks the part of the batch that it has.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.replicas import shared_variable, write_rows
from ldl_fer.networks.head import with_logits

NOT_RELABELED = -1


def low_importance(importance: tf.Tensor, high_share: float) -> tf.Tensor:
    """Marks the samples that are not among the floor(beta B) of largest importance, at least one.

    Args:
      importance: [B].
      high_share: beta, in [0, 1]; 0.7 in the paper.

    Returns:
      [B], boolean; among equal samples the earlier are the more important.
    """
    tf.debugging.assert_shapes([(importance, ("B",))])
    size = tf.shape(importance)[0]
    high = tf.cast(tf.floor(high_share * tf.cast(size, tf.float64)), tf.int32)
    high = tf.maximum(high, 1)
    rank = tf.argsort(tf.argsort(importance, direction="DESCENDING", stable=True))
    return rank >= high


def rank_regularization(importance: tf.Tensor, high_share: float, margin: float) -> tf.Tensor:
    """Computes how much closer than the margin the mean importances of both groups are.  Eq. 3, 4.

      L_RR = max(0, delta_1 - (alpha_H - alpha_L))

    Args:
      importance: [B], in [0, 1].
      high_share: beta.
      margin: delta_1, 0.15 in the paper for batches of 1024, 0.07 by its authors for 64.

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


def relabeled(label: tf.Tensor, probabilities: tf.Tensor, margin: float) -> tf.Tensor:
    """Returns the labels after Eq. 5.

    Args:
      label: [B], integers in [0, C).
      probabilities: [B, C], rows sum to 1.
      margin: delta_2, 0.2 in the paper.

    Returns:
      [B], integers in [0, C).
    """
    tf.debugging.assert_shapes([(label, ("B",)), (probabilities, ("B", "C"))])
    given = tf.gather(probabilities, label, batch_dims=1)
    surer = tf.reduce_max(probabilities, axis=-1) - given > margin
    best = tf.argmax(probabilities, axis=-1, output_type=label.dtype)
    return tf.where(surer, best, label)


def with_importance(network: tf.keras.Model, seed: int) -> tf.keras.Model:
    """Returns a network with a layer "importance" (Eq. 1), whose logits are alpha z."""
    importance = tf.keras.layers.Dense(
        1,
        activation="sigmoid",
        kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="importance",
    )
    weighted = tf.keras.layers.Multiply(dtype="float32", name="weighted_logits")
    return with_logits(network, lambda features, z: weighted([importance(features), z]))


class SCNRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C], alpha z
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    rank_regularization: tf.Tensor  # [B], the batch's value in each row
    label: tf.Tensor  # [B], relabeled so far
    importance: tf.Tensor  # [B], alpha


class SCN(Classifier):
    """Minimizes gamma L_RR + (1 - gamma) L_WCE.

    Attributes:
      importance: the layer of Eq. 1, one of the network's.
      new_labels: [N], the class a sample was relabeled to, or NOT_RELABELED.
    """

    LOSSES = ("loss", "classification_loss", "rank_regularization")
    compares_samples = True

    @classmethod
    def complete(cls, network: tf.keras.Model, seed: int) -> tf.keras.Model:
        return with_importance(network, seed)

    def add_parts(self) -> None:
        self.importance = self.trained.get_layer("importance")
        unchanged = tf.keras.initializers.Constant(NOT_RELABELED)
        self.new_labels = shared_variable(
            self, "new_labels", [self.num_samples], unchanged, tf.int32
        )

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"new_labels": self.new_labels}

    def losses(self, batch: Batch, neighbors: None) -> SCNRows:
        settings = self.config.scn
        features, logits = self.run_network(batch["image"], training=True)
        importance = self.importance(features)[:, 0]
        new = tf.gather(self.new_labels, batch["sample_id"])
        label = tf.where(new == NOT_RELABELED, batch["label"], new)
        classification = tf.gather(self.class_weights, label) * equations.classification_loss(
            tf.one_hot(label, self.num_classes), logits
        )
        rank = rank_regularization(importance, settings.scn_high_share, settings.scn_margin)
        rank = tf.fill(tf.shape(classification), rank)
        weight = settings.scn_rank_weight
        loss = weight * rank + (1.0 - weight) * classification
        return SCNRows(features, logits, loss, classification, rank, label, importance)

    def after_step(
        self,
        batch: Batch,
        rows: SCNRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Relabels samples of the batch, from the epoch on in which that begins."""
        settings = self.config.scn
        epoch = (self.optimizer.iterations - 1) // self.steps_per_epoch + 1
        _, probabilities = self.outputs_to_keep(batch, rows)
        new = relabeled(rows.label, probabilities, settings.scn_relabel_margin)
        changed = (epoch >= settings.scn_relabel_epoch) & (new != rows.label)
        new = tf.where(changed, new, tf.gather(self.new_labels, batch["sample_id"]))
        write_rows(batch["sample_id"], [(self.new_labels, new)], applied=applied)
