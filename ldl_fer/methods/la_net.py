"""LA-Net's label part (Wu and Cui, ICCV 2023): neighbors within the batch, a memory of targets.

  s_ij  = g(v_i, v_j) in (0, 1)                                learned
  t_i   = mean over both spaces of sum_j s_ij p_j / sum_j s_ij,   j the K nearest in that space
  d_i   = m bank_i + (1 - m) t_i,   then bank_i <- d_i          one-hot labels at first
  L     = CE(l_i, p_i) + KL(d_i || p_i)

The spaces are the features' angles and that of --auxiliary: landmarks in the paper, by default the
valence-arousal plane, as in LDLVA. g: a dense layer, whose first half of i and second half of j
pass an MLP of V/2 and V/4 units to a softmax of two. The gradient flows through t into p_j, g and
v. Neighbors are other samples of the batch; a replica's are of its own part. LA-Net's other parts,
a head for landmarks and a contrast of both spaces, are not here.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.methods.batch_neighbors import closeness_in_space, nearest_in_batch
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.replicas import shared_variable, write_rows

_EPSILON = 1e-8


def aggregated(scores: tf.Tensor, chosen: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Averages the chosen samples' distributions by their scores.

    Args:
      scores: [B, B], > 0.
      chosen: [B, B], 0 or 1.
      probabilities: [B, C], rows sum to 1.

    Returns:
      [B, C]; rows sum to 1, up to 1e-8 of the scores' sum, or are 0 where none is chosen.
    """
    tf.debugging.assert_shapes(
        [(scores, ("B", "B")), (chosen, ("B", "B")), (probabilities, ("B", "C"))]
    )
    weights = scores * chosen
    total = tf.reduce_sum(weights, axis=1, keepdims=True) + _EPSILON
    return tf.matmul(weights / total, probabilities)


class PairScore(tf.keras.layers.Layer):
    """g: features [B, V] -> the scores of all pairs, [B, B] in (0, 1)."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        """Makes the layer, with all its variables.

        Args:
          size: V, at least 2.
          **kwargs: as for any Keras layer.
        """
        super().__init__(dtype="float32", **kwargs)
        self.half, hidden = size // 2, max(size // 2, 1)
        self.entry = tf.keras.layers.Dense(size, name="entry")
        # W [a, b] = W_a a + W_b b: what belongs to one sample is computed once.
        self.own = tf.keras.layers.Dense(hidden, name="own")
        self.other = tf.keras.layers.Dense(hidden, use_bias=False, name="other")
        self.second = tf.keras.layers.Dense(max(size // 4, 1), activation="relu", name="second")
        self.score = tf.keras.layers.Dense(2, name="score")
        self(tf.zeros([2, size]))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Scores all pairs: row i, column j."""
        entry = self.entry(features)
        own, other = self.own(entry[:, : self.half]), self.other(entry[:, self.half :])
        hidden = self.second(tf.nn.relu(own[:, tf.newaxis] + other[tf.newaxis]))
        return tf.nn.softmax(self.score(hidden))[..., 0]


class LANetRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    neighbor_loss: tf.Tensor  # [B], KL(d || p)
    target: tf.Tensor  # [B, C], d


class LANet(Classifier):
    """Minimizes CE + KL(d || p).

    Attributes:
      pair_score: g.
      targets: [N, C], the bank; rows of 0 stand for labels that no visit has changed.
    """

    LOSSES = ("loss", "classification_loss", "neighbor_loss")
    compares_samples = True

    @classmethod
    def reads_neighbors(cls, config: Config) -> bool:
        return True  # With them comes the samples' places in the auxiliary space.

    def add_parts(self) -> None:
        self.pair_score = PairScore(self.feature_size, name="pair_score")
        shape = [self.num_samples, self.num_classes]
        self.targets = shared_variable(self, "targets", shape)

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return super().optimized_variables + self.pair_score.trainable_variables

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"pair_score": self.pair_score, "targets": self.targets}

    def look_up(self, batch: Batch) -> tf.Tensor:
        """Reads the samples' targets so far, [B, C]."""
        rows = tf.gather(self.targets, batch["sample_id"])
        unvisited = tf.equal(tf.reduce_sum(rows, axis=1, keepdims=True), 0.0)
        return tf.where(unvisited, self.labels(batch), rows)

    def losses(self, batch: Batch, neighbors: tf.Tensor) -> LANetRows:
        settings = self.config.la_net
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        said = self._neighborhood(features, tf.nn.softmax(logits), batch["auxiliary"])
        # A sample that is alone in its batch keeps what it has.
        said = tf.where(tf.reduce_sum(said, axis=1, keepdims=True) > 0.0, said, neighbors)
        target = settings.la_momentum * neighbors + (1.0 - settings.la_momentum) * said
        neighbor_loss = divergence(target, logits)
        loss = classification + settings.la_weight * neighbor_loss
        return LANetRows(features, logits, loss, classification, neighbor_loss, target)

    def after_step(
        self,
        batch: Batch,
        rows: LANetRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        write_rows(batch["sample_id"], [(self.targets, rows.target)], applied=applied)

    def _neighborhood(self, features, probabilities, auxiliary):
        """t of each sample, [B, C]."""
        scores, count = self.pair_score(features), self.config.la_net.la_neighbors
        directions = tf.math.l2_normalize(tf.stop_gradient(features), axis=1)
        spaces = (
            tf.matmul(directions, directions, transpose_b=True),
            closeness_in_space(auxiliary),
        )
        made = [aggregated(scores, nearest_in_batch(one, count), probabilities) for one in spaces]
        return 0.5 * (made[0] + made[1])
