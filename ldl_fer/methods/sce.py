"""SCE, symmetric cross-entropy (Wang et al., ICCV 2019): the prediction doubts the label, too.

RCE = CE(p, l) = -A (1 - p_y),   A = -4 in place of log 0
L   = a CE(l, p) + b RCE

Written from memory of the paper.
"""

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier, Rows

_LOG_OF_ZERO = -4.0


def reverse_cross_entropy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes CE(p, l), where A = -4 stands for log 0.  Section 3.2.

      -sum_j p_j log l_j = -A (1 - p_y)

    Args:
      label: [B, C], one-hot.
      logits: [B, C], p = softmax(logits).

    Returns:
      [B], in [0, 4].
    """
    tf.debugging.assert_shapes([(label, ("B", "C")), (logits, ("B", "C"))])
    return -_LOG_OF_ZERO * (1.0 - tf.reduce_sum(label * tf.nn.softmax(logits), axis=-1))


class SCE(Classifier):
    """Minimizes a CE + b RCE; both have the weight of the label's class."""

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        settings, labels = self.config.sce, self.labels(batch)
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, labels, logits)
        reverse = tf.gather(self.class_weights, batch["label"]) * reverse_cross_entropy(
            labels, logits
        )
        loss = settings.sce_weight * classification + settings.sce_reverse_weight * reverse
        return Rows(features, logits, loss, classification)
