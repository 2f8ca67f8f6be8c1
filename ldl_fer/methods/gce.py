"""GCE, generalized cross-entropy (Zhang and Sabuncu, NeurIPS 2018): less pull from doubtful labels.

  L = (1 - p_y^q) / q

Near q = 0 it is cross-entropy, at q = 1 the absolute error, which wrong labels mislead less and
which is slow to learn. The gradient is that of cross-entropy times p_y^q. The paper's second form,
which leaves out samples of small p_y, is not here. Written from memory of the paper.
"""

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.classifier import Batch, Classifier, Rows


def generalized_cross_entropy(label: tf.Tensor, logits: tf.Tensor, exponent: float) -> tf.Tensor:
    """Computes (1 - p_y^q) / q, p = softmax(logits).  Eq. 6.

    Args:
      label: [B, C], one-hot.
      logits: [B, C].
      exponent: q, in (0, 1]; 0.7 in the paper.

    Returns:
      [B], in [0, 1 / q].
    """
    return -tf.math.expm1(-exponent * equations.classification_loss(label, logits)) / exponent


class GCE(Classifier):
    """Minimizes the generalized cross-entropy."""

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        loss = generalized_cross_entropy(self.labels(batch), logits, self.config.gce.gce_exponent)
        loss *= tf.gather(self.class_weights, batch["label"])
        return Rows(features, logits, loss, loss)
