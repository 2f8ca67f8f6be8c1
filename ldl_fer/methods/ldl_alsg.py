"""The neighbor constraint of LDL-ALSG (Chen et al., CVPR 2020): neighbors as a regularizer only.

Faces that are close in an auxiliary label space should have close predictions.

  L_i = CE(l^i, f^i) + omega sum_j KL(f^i || f^j),     j the 5 nearest of the batch

The gradient reaches both ends of an edge. No code of the authors is public: direction, weight and
graph are those of the one public re-implementation (PyLDL), which adds the terms up over the batch
where here they are averaged, cross-entropy too.

Departures: the paper's spaces are landmarks and action units, a graph each; here it is that of
--auxiliary, as in LDLVA. A replica's graph is of its own part of the batch.

--alsg_graph=training_set is ours, as --alsg_weight=1 with it: LDLVA's neighbors and similarity
(Eq. 2), so that the two differ only in what is done with them.

  L_i = CE(l^i, f^i) + omega sum_k s_k KL(f(x^k) || f^i) / sum_k s_k

There predictions for the neighbors are those of their last visits and carry no gradient.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.batch_neighbors import closeness_in_space, nearest_in_batch
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.divergences import divergence, edge_divergence
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
    neighbors = tf.reshape(neighbor_probabilities, [-1, tf.shape(logits)[1]])
    each = divergence(neighbors, tf.repeat(logits, tf.shape(similarity)[1], axis=0))
    weighted = similarity * tf.reshape(each, tf.shape(similarity))
    return tf.math.divide_no_nan(
        tf.reduce_sum(weighted, axis=-1), tf.reduce_sum(similarity, axis=-1)
    )


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
      probabilities: [N, C], of each sample's last visit; not there with the batch's graph.
    """

    LOSSES = ("loss", "classification_loss", "neighbor_constraint")

    @classmethod
    def compares_batch(cls, config: Config) -> bool:
        return config.ldl_alsg.alsg_graph == "batch"

    @classmethod
    def reads_neighbors(cls, config: Config) -> bool:
        return True  # With them comes the samples' places in the auxiliary space.

    @classmethod
    def looks_up_outputs(cls, config: Config) -> bool:
        return not cls.compares_batch(config)

    def add_parts(self) -> None:
        if self.looks_up_outputs(self.config):
            shape = [self.num_samples, self.num_classes]
            self.probabilities = shared_variable(self, "probabilities", shape)

    def parts(self) -> dict[str, Any]:
        own = self.looks_up_outputs(self.config)
        return super().parts() | ({"probabilities": self.probabilities} if own else {})

    def look_up(self, batch: Batch) -> tf.Tensor | None:
        """Reads the probabilities of the neighbors, [B, K, C]; nothing of the batch's graph."""
        if not self.looks_up_outputs(self.config):
            return None
        return tf.gather(self.probabilities, batch["neighbors"])

    def losses(self, batch: Batch, neighbors: tf.Tensor | None) -> LDLALSGRows:
        settings = self.config.ldl_alsg
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        if neighbors is None:
            closeness = closeness_in_space(batch["auxiliary"])
            edges = nearest_in_batch(closeness, settings.alsg_neighbors)
            constraint = edge_divergence(logits, edges)
        else:
            similarity = equations.local_similarity(
                batch["auxiliary"],
                batch["neighbor_auxiliary"],
                self.config.ldlva.delta,
                self.config.ldlva.similarity_kernel,
            )
            constraint = neighbor_constraint(logits, neighbors, similarity)
        loss = classification + settings.alsg_weight * constraint
        return LDLALSGRows(features, logits, loss, classification, constraint)

    def keep_outputs(
        self,
        sample_ids: tf.Tensor,
        features: tf.Tensor,
        probabilities: tf.Tensor,
        applied: tf.Tensor | None = None,
    ) -> None:
        write_rows(sample_ids, [(self.probabilities, probabilities)], applied=applied)
