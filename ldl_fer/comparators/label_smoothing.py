"""Label smoothing (Szegedy et al., CVPR 2016, section 7): the same bit of doubt in every label."""

import tensorflow as tf

from ldl_fer.comparators.comparator import Comparator


def smoothed_label(label: tf.Tensor, smoothing: float) -> tf.Tensor:
    """The label mixed with the uniform distribution.

      l'_j = (1 - epsilon) l_j + epsilon / C

    Args:
      label: [B, C], rows sum to 1.
      smoothing: epsilon, in [0, 1]; 0.1 in the paper.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes([(label, ("B", "C"))])
    return (1.0 - smoothing) * label + smoothing / label.shape[-1]


class LabelSmoothing(Comparator):
    """Minimizes CE(l', f)."""

    def losses(self, batch: dict[str, tf.Tensor], known: None) -> dict[str, tf.Tensor]:
        features, logits = self.run_network(batch["image"], training=True)
        target = smoothed_label(self.labels(batch), self.settings.smoothing)
        loss = self.cross_entropy(batch, target, logits)
        return {"features": features, "logits": logits, "classification_loss": loss, "loss": loss}
