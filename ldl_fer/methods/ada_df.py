"""Ada-DF (Liu et al., ICASSP 2023): class distributions, mixed in where attention is high.

  p_1, p_2 = softmax(a_1 z_1), softmax(a_2 z_2)       auxiliary branch, target branch
  a_i   = mean of a_1 and a_2, each a sigmoid         attention, as SCN's importance
  w_i   = a_i scaled to [0.2, 1] within the batch
  t_i   = (1 - w_i) p_1 + w_i D[y_i]
  L     = alpha_2 CE(l, p_1) + alpha_1 KL(t || p_2) + L_RR(a)
  alpha_1, alpha_2 = exp(-(1 - e/b)^2), 1  until epoch b, then 1, exp(-(1 - b/e)^2)

D[c] is the mean p_1 of class c in the epoch before if its own entry reaches the threshold; else,
and at first, the threshold on c and the rest spread over others. L_RR is SCN's, of floor(share B)
samples. At test the target branch alone is left: softmax(a_2 z_2), as training has it.

Deviations: the authors have the network's last stage twice; here the target branch is the network
and the auxiliary one a hidden layer, as wide as the features, on the features. D is made of the
training steps' predictions, not of a pass in evaluation mode. Where the authors' D falls short of
the threshold, it has .4 for all others together, which with .7 is no distribution; here it is one.
No gradient flows into t.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.replicas import shared_variable
from ldl_fer.methods.scn import rank_regularization, with_importance

_LEAST_WEIGHT = 0.2


def scaled_attention(attention: tf.Tensor) -> tf.Tensor:
    """Computes w = 0.2 + 0.8 (a - min a) / (max a - min a): [B] -> [B]; 0.2 where all are equal."""
    least = tf.reduce_min(attention)
    spread = tf.math.divide_no_nan(attention - least, tf.reduce_max(attention) - least)
    return _LEAST_WEIGHT + (1.0 - _LEAST_WEIGHT) * spread


def adaptive_target(
    probabilities: tf.Tensor, class_distribution: tf.Tensor, weight: tf.Tensor
) -> tf.Tensor:
    """Computes t = (1 - w) p_1 + w D[y].

    Args:
      probabilities: [B, C], p_1, rows sum to 1.
      class_distribution: [B, C], D of each label, rows sum to 1.
      weight: [B] in [0, 1], w.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes(
        [(probabilities, ("B", "C")), (class_distribution, ("B", "C")), (weight, ("B",))]
    )
    mix = weight[:, tf.newaxis]
    return (1.0 - mix) * probabilities + mix * class_distribution


def branch_weights(epoch: tf.Tensor, turn: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns alpha_1, of the target branch, and alpha_2, of the auxiliary one.

    Args:
      epoch: e, from 1 on.
      turn: b, > 0.
    """
    epoch = tf.cast(epoch, tf.float32)
    rising = tf.exp(-tf.square(1.0 - epoch / turn))
    falling = tf.exp(-tf.square(1.0 - turn / epoch))
    before = epoch <= turn
    return tf.where(before, rising, 1.0), tf.where(before, 1.0, falling)


def threshold_distributions(threshold: float, classes: int) -> tf.Tensor:
    """Returns [C, C]: the threshold on the diagonal, the rest of each row spread beside it."""
    other = (1.0 - threshold) / max(classes - 1, 1)
    return other * tf.ones([classes, classes]) + (threshold - other) * tf.eye(classes)


def class_distributions(sums: tf.Tensor, threshold: float) -> tf.Tensor:
    """Computes D of an epoch's predictions.

    Args:
      sums: [C, C], of p_1 over the samples of each row's class.
      threshold: in [0, 1].

    Returns:
      [C, C], rows sum to 1; a class without samples has the start's row.
    """
    tf.debugging.assert_shapes([(sums, ("C", "C"))])
    means = tf.math.divide_no_nan(sums, tf.reduce_sum(sums, axis=1, keepdims=True))
    known = tf.linalg.diag_part(means) >= threshold
    known &= tf.reduce_sum(sums, axis=1) > 0.0
    start = threshold_distributions(threshold, sums.shape[0])
    return tf.where(known[:, tf.newaxis], means, start)


class AdaDFRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C], a_2 z_2
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B], of the auxiliary branch
    distribution_loss: tf.Tensor  # [B], of the target branch
    rank_regularization: tf.Tensor  # [B], the batch's value in each row
    probabilities: tf.Tensor  # [B, C], p_1


class AdaDF(Classifier):
    """Minimizes both branches' losses and the rank regularization.

    Attributes:
      hidden, auxiliary: the layers of the auxiliary branch, up to its features and its logits.
      attention: the layer of a_2, one of the network's.
      auxiliary_attention: that of a_1.
      distributions: [C, C], D.
      sums: [C, C], of p_1 in this epoch by class.
    """

    LOSSES = ("loss", "classification_loss", "distribution_loss", "rank_regularization")
    compares_samples = True

    @classmethod
    def complete(cls, network: tf.keras.Model, seed: int) -> tf.keras.Model:
        return with_importance(network, seed)

    def add_parts(self) -> None:
        layers, classes = tf.keras.layers, self.num_classes
        self.hidden = tf.keras.Sequential(
            [
                layers.Dense(self.feature_size, use_bias=False, kernel_initializer="he_normal"),
                layers.BatchNormalization(epsilon=1e-5),
                layers.ReLU(),
            ],
            name="hidden",
        )
        self.auxiliary = layers.Dense(classes, name="auxiliary")
        self.attention = self.trained.get_layer("importance")
        self.auxiliary_attention = layers.Dense(1, activation="sigmoid", name="auxiliary_attention")
        self.added = [self.hidden, self.auxiliary, self.auxiliary_attention]
        for layer in self.added:
            layer.build([None, self.feature_size])
        start = threshold_distributions(self.config.ada_df.ada_threshold, classes)
        self.distributions = shared_variable(
            self, "distributions", start.shape, tf.keras.initializers.Constant(start.numpy())
        )
        self.sums = shared_variable(self, "sums", start.shape)

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        own = [variable for layer in self.added for variable in layer.trainable_variables]
        return super().optimized_variables + own

    def parts(self) -> dict[str, Any]:
        parts = super().parts() | {layer.name: layer for layer in self.added}
        return parts | {"distributions": self.distributions, "sums": self.sums}

    def losses(self, batch: Batch, neighbors: None) -> AdaDFRows:
        settings, labels = self.config.ada_df, self.labels(batch)
        features, logits = self.run_network(batch["image"], training=True)
        hidden = self.hidden(features, training=True)
        first, second = self.auxiliary_attention(hidden), self.attention(features)
        auxiliary = first * self.auxiliary(hidden)
        attention = (first + second)[:, 0] / 2.0
        probabilities = tf.nn.softmax(auxiliary)
        target = tf.stop_gradient(
            adaptive_target(
                probabilities,
                tf.gather(self.distributions, batch["label"]),
                scaled_attention(attention),
            )
        )
        classification = self.cross_entropy(batch, labels, auxiliary)
        weights = tf.gather(self.class_weights, batch["label"])
        distribution = weights * divergence(target, logits)
        rank = rank_regularization(attention, settings.ada_high_share, settings.ada_margin)
        rank = tf.fill(tf.shape(classification), rank)
        epoch = self.optimizer.iterations // self.steps_per_epoch + 1
        of_target, of_auxiliary = branch_weights(epoch, settings.ada_turn)
        loss = of_auxiliary * classification + of_target * distribution + rank
        return AdaDFRows(features, logits, loss, classification, distribution, rank, probabilities)

    def sums_of_step(self, batch: Batch, rows: AdaDFRows) -> tuple[tf.Tensor, ...]:
        labels = batch["label"]
        return (tf.math.unsorted_segment_sum(rows.probabilities, labels, self.num_classes),)

    def after_step(
        self,
        batch: Batch,
        rows: AdaDFRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Adds up p_1 by class, and makes the class distributions of it at an epoch's end."""
        taken = tf.constant(True) if applied is None else applied
        added = self.sums + tf.where(taken, sums[0], 0.0)
        ended = taken & tf.equal(self.optimizer.iterations % self.steps_per_epoch, 0)
        made = class_distributions(added, self.config.ada_df.ada_threshold)
        self.distributions.assign(tf.where(ended, made, self.distributions))
        self.sums.assign(tf.where(ended, 0.0, added))
