"""The metric that counts which classes are taken for which."""

import tensorflow as tf


class Confusion(tf.keras.metrics.Metric):
    """Counts of (given class, predicted class), [C, C]; the sum of all replicas'."""

    def __init__(self, num_classes: int, name: str = "confusion") -> None:
        """Starts from zeros."""
        super().__init__(name)
        self.counts = self.add_weight("counts", [num_classes, num_classes], initializer="zeros")

    def update_state(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Adds a batch: labels [B], logits [B, C]."""
        size = self.counts.shape[0]
        pairs = tf.math.confusion_matrix(labels, tf.argmax(logits, axis=-1), size)
        self.counts.assign_add(tf.cast(pairs, tf.float32))

    def reset_state(self) -> None:
        """Sets all counts to zero."""
        self.counts.assign(tf.zeros_like(self.counts))

    def result(self) -> tf.Tensor:
        """Returns the counts, [C, C]."""
        return tf.convert_to_tensor(self.counts)
