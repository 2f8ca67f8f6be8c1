"""Cross-entropy on the given label, and label smoothing: what every method is measured against."""

import tensorflow as tf

from ldl_fer.methods.classifier import Classifier, Rows


class CrossEntropy(Classifier):
    """Minimizes CE(l, f), Eq. 1 with the one-hot label as the target."""

    def losses(self, batch: dict[str, tf.Tensor], neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        loss = self.cross_entropy(batch, self.labels(batch), logits)
        return Rows(features, logits, loss, loss)


def smoothed_label(label: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mixes the label with the uniform distribution.  Szegedy et al. (CVPR 2016), section 7.

      l'_j = (1 - epsilon) l_j + epsilon / C

    Args:
      label: [B, C], rows sum to 1.
      smoothing: epsilon, in [0, 1]; 0.1 in the paper.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes([(label, ("B", "C"))])
    return (1.0 - smoothing) * label + smoothing / label.shape[-1]


class LabelSmoothing(Classifier):
    """Minimizes CE(l', f)."""

    def losses(self, batch: dict[str, tf.Tensor], neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        target = smoothed_label(self.labels(batch), self.config.label_smoothing.smoothing)
        loss = self.cross_entropy(batch, target, logits)
        return Rows(features, logits, loss, loss)
