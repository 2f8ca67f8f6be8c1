"""The nearest of the other samples of a batch."""

import tensorflow as tf


def closeness_in_space(places: tf.Tensor) -> tf.Tensor:
    """Returns the negative squared distance of all pairs: [B, D] -> [B, B]."""
    distance = tf.math.squared_difference(places[:, tf.newaxis], places[tf.newaxis])
    return -tf.reduce_sum(distance, axis=-1)


def nearest_in_batch(closeness: tf.Tensor, count: int) -> tf.Tensor:
    """Marks the K nearest others of each sample.

    Args:
      closeness: [B, B], the larger, the closer; its diagonal is not looked at.
      count: K; all others where there are fewer.

    Returns:
      [B, B], 1 for the K largest of each row, else 0.
    """
    tf.debugging.assert_shapes([(closeness, ("B", "B"))])
    size = tf.shape(closeness)[0]
    others = tf.linalg.set_diag(closeness, tf.fill([size], closeness.dtype.min))
    nearest = tf.math.top_k(others, tf.minimum(count, size - 1)).indices
    return tf.reduce_sum(tf.one_hot(nearest, size, dtype=closeness.dtype), axis=1)
