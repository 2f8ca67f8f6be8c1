"""The neighbor constraint of LDL-ALSG (Chen et al., CVPR 2020): neighbors as a regularizer only.

Faces that are close in an auxiliary label space should have close predictions. The paper's spaces
are landmarks and action units; here it is the valence-arousal plane, as in LDLVA, with the same
neighbors and the same local similarity (--delta, --similarity_kernel), so that the two differ only
in what is done with them.

  L = CE(l, f(x^i)) + omega sum_k s_k KL(f(x^k) || f(x^i)) / sum_k s_k

Predictions for the neighbors are those of their last visits and carry no gradient. The direction of
the divergence, its normalization and omega = 1 are this project's: the paper's could not be looked
up.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.replicas import shared_variable, write_rows


def neighbor_constraint(
    logits: tf.Tensor, neighbor_probabilities: tf.Tensor, similarity: tf.Tensor
) -> tf.Tensor:
    """Mean divergence of a prediction from its neighbors', weighted by similarity.

      sum_k s_k KL(f(x^k) || f(x^i)) / sum_k s_k,  and 0 where sum_k s_k = 0

    Args:
      logits: [B, C], of f(x^i).
      neighbor_probabilities: [B, K, C], f(x^k), rows sum to 1.
      similarity: [B, K], s, >= 0.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes(
        [
            (logits, ("B", "C")),
            (neighbor_probabilities, ("B", "K", "C")),
            (similarity, ("B", "K")),
        ]
    )
    own = tf.nn.log_softmax(logits)[:, tf.newaxis]
    entropy = -tf.reduce_sum(tf.math.xlogy(neighbor_probabilities, neighbor_probabilities), -1)
    divergence = -tf.reduce_sum(neighbor_probabilities * own, axis=-1) - entropy
    total = tf.reduce_sum(similarity, axis=-1)
    return tf.math.divide_no_nan(tf.reduce_sum(similarity * divergence, axis=-1), total)


class LDLALSGRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    neighbor_constraint: tf.Tensor  # [B]


class LDLALSG(Classifier):
    """Minimizes CE and the neighbor constraint.

    Attributes:
      probabilities: [N, C], of each sample's last visit.
    """

    LOSSES = ("loss", "classification_loss", "neighbor_constraint")

    @classmethod
    def reads_neighbors(cls, config: Config) -> bool:
        return True

    @classmethod
    def looks_up_outputs(cls, config: Config) -> bool:
        return True

    def add_parts(self) -> None:
        shape = [self.num_samples, self.num_classes]
        self.probabilities = shared_variable(self, "probabilities", shape)

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"probabilities": self.probabilities}

    def look_up(self, batch: Batch) -> tf.Tensor:
        """Reads the probabilities of the neighbors, [B, K, C]."""
        return tf.gather(self.probabilities, batch["neighbors"])

    def losses(self, batch: Batch, neighbors: tf.Tensor) -> LDLALSGRows:
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        similarity = equations.local_similarity(
            batch["valence_arousal"],
            batch["neighbor_valence_arousal"],
            self.config.ldlva.delta,
            self.config.ldlva.similarity_kernel,
        )
        constraint = neighbor_constraint(logits, neighbors, similarity)
        loss = classification + self.config.ldl_alsg.alsg_weight * constraint
        return LDLALSGRows(features, logits, loss, classification, constraint)

    def keep_outputs(
        self,
        sample_ids: tf.Tensor,
        features: tf.Tensor,
        probabilities: tf.Tensor,
        applied: tf.Tensor | None = None,
    ) -> None:
        write_rows(sample_ids, [(self.probabilities, probabilities)], applied=applied)
