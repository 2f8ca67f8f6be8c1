"""Plain training: the given label is the target."""

import tensorflow as tf

from ldl_fer.comparators.comparator import Comparator


class CrossEntropy(Comparator):
    """Minimizes CE(l, f), Eq. 1 with the one-hot label as the target."""

    def losses(self, batch: dict[str, tf.Tensor], known: None) -> dict[str, tf.Tensor]:
        features, logits = self.run_network(batch["image"], training=True)
        loss = self.cross_entropy(batch, self.labels(batch), logits)
        return {"features": features, "logits": logits, "classification_loss": loss, "loss": loss}
