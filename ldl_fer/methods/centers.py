"""Class centers that features are drawn to, moved by a rule of their own (Wen et al., ECCV 2016).

  mu_c <- mu_c - rate (sums_c / (1 + counts_c) + push_c)

LDLVA's are zero at first and pushed after they were pulled: `layers.ClassCenters`.
"""

from typing import Any

import tensorflow as tf

from ldl_fer.methods.replicas import shared_variable


class Centers(tf.keras.layers.Layer):
    """mu, one center per class in feature space; no optimizer touches it.

    Attributes:
      centers: [C, V].
    """

    def __init__(
        self, num_classes: int, size: int, rate: float, initializer: Any, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          num_classes: C.
          size: V.
          rate: step size.
          initializer: of the first values.
          **kwargs: as for any Keras layer.
        """
        super().__init__(dtype="float32", **kwargs)
        self.rate = rate
        self.centers = shared_variable(self, "centers", [num_classes, size], initializer)

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """The centers of the labels' classes, [M] -> [M, V]."""
        return tf.gather(self.centers, labels)

    def move(self, moved: tf.Tensor, applied: tf.Tensor | None) -> None:
        """Replaces the centers by [C, V], if `applied`, a scalar, says so or is None."""
        self.centers.assign(moved if applied is None else tf.where(applied, moved, self.centers))


class PulledCenters(Centers):
    """Centers drawn from a normal distribution at first, moved by pull and push together."""

    def __init__(
        self, num_classes: int, size: int, rate: float, deviation: float, **kwargs: Any
    ) -> None:
        """Makes the layer.

        Args:
          num_classes, size, rate, **kwargs: as those of `Centers`.
          deviation: standard deviation of the first values.
        """
        first = tf.keras.initializers.RandomNormal(stddev=deviation)
        super().__init__(num_classes, size, rate, first, **kwargs)

    def sums(self, pull: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Adds up by class, for `update`.

        Args:
          pull: [B, V], gradient that each sample gives its class's center.
          labels: [B], integers in [0, C).

        Returns:
          sums [C, V] and counts [C].
        """
        classes = self.centers.shape[0]
        sums = tf.math.unsorted_segment_sum(pull, labels, classes)
        return sums, tf.math.unsorted_segment_sum(tf.ones_like(pull[:, 0]), labels, classes)

    def update(
        self,
        sums: tf.Tensor,
        counts: tf.Tensor,
        push: tf.Tensor | float = 0.0,
        applied: tf.Tensor | None = None,
    ) -> None:
        """Moves the centers.

        Args:
          sums, counts: of `sums`, over the samples of all replicas.
          push: [C, V], further gradient, the same on all replicas.
          applied: scalar, whether to; None: yes.
        """
        step = sums / (1.0 + counts[:, tf.newaxis]) + push
        self.move(self.centers - self.rate * step, applied)
