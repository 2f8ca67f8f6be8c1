"""LDT (Zhao et al., AAAI 2021, EfficientFace): a teacher's distributions in place of labels.

  L = -1/C sum_j t_ij log p_ij,   t = softmax of the teacher's logits for the same augmented face

The teacher is the network of a finished run, in evaluation mode; no gradient flows into it. Labels
have no part in the loss. The authors' teacher is a ResNet-50, trained by cross-entropy on the same
training set; a teacher that learned wrong labels teaches them. By 1/C the loss is as they release
it; with Adam that changes nothing. EfficientFace's network is not here.
"""

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.classifier import Batch, Classifier, Rows


def taught_loss(taught: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes CE(t, p) / C, p = softmax(logits).

    Args:
      taught: [B, C], t, rows sum to 1.
      logits: [B, C].

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes([(taught, ("B", "C")), (logits, ("B", "C"))])
    return equations.classification_loss(taught, logits) / logits.shape[-1]


class LDT(Classifier):
    """Minimizes CE(t, p) / C; each sample's has the weight of its label's class."""

    @classmethod
    def teacher_runs(cls, config: Config) -> tuple[str, ...]:
        return (config.ldt.ldt_teacher,)

    def look_up(self, batch: Batch) -> tf.Tensor:
        """Returns the teacher's distributions, [B, C]."""
        _, logits = self.run_teacher(0, batch["image"])
        return tf.nn.softmax(logits)

    def losses(self, batch: Batch, neighbors: tf.Tensor) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        weights = tf.gather(self.class_weights, batch["label"])
        loss = weights * taught_loss(neighbors, logits)
        return Rows(features, logits, loss, loss)
