"""Measures concordance (CCC) as a loss and as a metric of Keras; `agreement` has it in NumPy."""

from typing import Any

import tensorflow as tf

EPSILON = 1e-8  # added to denominators: a batch of one sample gives 0, not NaN


def concordance_loss(given: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """Returns 1 - (CCC of valence + CCC of arousal) / 2, over the samples of a batch.

      ccc = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2)      (Lin, Biometrics 45, 1989)

    Means and variances are the batch's own, divided by B. So the loss is no mean over samples,
    and small batches make it noisy and biased towards 1: batches of 64 and more are advised. Of a
    batch of one sample it is 1, without a gradient.

    Args:
      given, predicted: [B, 2].

    Returns:
      A scalar in [0, 2].
    """
    given, predicted = tf.cast(given, tf.float32), tf.cast(predicted, tf.float32)
    mean_x, variance_x = tf.nn.moments(given, axes=[0])
    mean_y, variance_y = tf.nn.moments(predicted, axes=[0])
    covariance = tf.reduce_mean((given - mean_x) * (predicted - mean_y), axis=0)
    shift = tf.square(mean_x - mean_y)
    ccc = 2.0 * covariance / (variance_x + variance_y + shift + EPSILON)
    return 1.0 - tf.reduce_mean(ccc)


class Concordance(tf.keras.metrics.Metric):
    """The mean CCC of valence and arousal over all samples seen, exact whatever the batches."""

    def __init__(self, name: str = "ccc", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        # Sums of 1, x, y, x^2, y^2, xy per axis; float64, as variances are small differences.
        self._sums = self.add_weight(
            name="sums", shape=(6, 2), initializer="zeros", dtype=tf.float64
        )

    def reset_state(self) -> None:
        """Forgets all samples."""
        self._sums.assign(tf.zeros_like(self._sums))

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: None = None
    ) -> None:
        """Adds a batch, [B, 2] each."""
        x, y = tf.cast(y_true, tf.float64), tf.cast(y_pred, tf.float64)
        terms = tf.stack([tf.ones_like(x), x, y, x * x, y * y, x * y])
        self._sums.assign_add(tf.reduce_sum(terms, axis=1))

    def result(self) -> tf.Tensor:
        """Returns a scalar in [-1, 1]."""
        count, x, y, xx, yy, xy = tf.unstack(self._sums)
        mean_x, mean_y = x / count, y / count
        covariance = xy / count - mean_x * mean_y
        spread = xx / count + yy / count - mean_x**2 - mean_y**2 + (mean_x - mean_y) ** 2
        return tf.cast(tf.reduce_mean(2.0 * covariance / (spread + EPSILON)), tf.float32)
