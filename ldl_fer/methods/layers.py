"""LDLVA's layers beside the network: uncertainty, calibrator, class centers.

  lambda, one number per sample                                        Eq. 6
  g([v^i, v^k]), an MLP with two hidden layers                         Eq. 3
  mu <- mu - rate (pull toward the features, push from each other)     Eq. 10; Wen et al. (2016)

Le et al., WACV 2023.
"""

from typing import Any

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.centers import Centers


class SampleUncertainty(tf.keras.layers.Layer):
    """lambda, one trainable number per training sample (Eq. 6).

    Attributes:
      value: [N], the trained variable.
    """

    def __init__(self, num_samples: int, form: str, init: float, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          num_samples: N.
          form: "direct", lambda = clip(value, 0, 1), which `optimizers.UncertaintySGD` keeps
            inside; or "logit", 1 - lambda = sigmoid(value).
          init: first value of the variable, for every sample.
          **kwargs: as for any Keras layer.

        Raises:
          ValueError: for another form.
        """
        super().__init__(dtype="float32", **kwargs)
        if form not in ("direct", "logit"):
            raise ValueError(f"form is 'direct' or 'logit', not {form!r}")
        self.form = form
        self.value = self.add_weight(
            "value", [num_samples], initializer=tf.keras.initializers.Constant(init)
        )

    def call(self, sample_ids: tf.Tensor) -> tf.Tensor:
        """lambda in [0, 1] of the samples, any shape; its gradient is sparse."""
        value = tf.gather(self.value, sample_ids)
        return value if self.form == "direct" else tf.sigmoid(-value)


class LayerNormalization(tf.keras.layers.LayerNormalization):
    """Keras' layer normalization over the last axis, in half the time on a CPU.

    Keras computes it by fused batch normalization, which transposes [B, K, H] there and back.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalizes each row of [..., H], then scales and shifts it."""
        centered = inputs - tf.reduce_mean(inputs, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True)
        return centered * tf.math.rsqrt(variance + self.epsilon) * self.gamma + self.beta


class SimilarityCalibrator(tf.keras.layers.Layer):
    """g of Eq. 3: an MLP on [v^i, v^k], normalization and ReLU after its two hidden layers.

    The first layer is a sum of two products, W [v^i, v^k] = W_i v^i + W_k v^k, so that the main
    sample's half is computed once and not once per neighbor.
    """

    def __init__(
        self,
        normalization: str,
        units: tuple[int, ...],
        sync_batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          normalization: "layer", or "batch" with statistics over B and K in training.
          units: of both hidden layers.
          sync_batch_norm: whether those are the statistics of all replicas together.
          **kwargs: as for any Keras layer.

        Raises:
          ValueError: for another normalization.
        """
        super().__init__(dtype="float32", **kwargs)
        if normalization not in ("layer", "batch"):
            raise ValueError(f"normalization is 'layer' or 'batch', not {normalization!r}")

        def norm(name):
            if normalization == "layer":
                return LayerNormalization(name=name)
            return tf.keras.layers.BatchNormalization(name=name, synchronized=sync_batch_norm)

        first, second = units
        self.dense1 = tf.keras.layers.Dense(first, name="dense1")
        self.norm1 = norm("norm1")
        self.dense2 = tf.keras.layers.Dense(second, name="dense2")
        self.norm2 = norm("norm2")
        self.dense3 = tf.keras.layers.Dense(1, name="dense3")

    def build(self, input_shape: tf.TensorShape) -> None:
        size = input_shape[-1]
        self.dense1.build([None, 2 * size])
        for layer, inputs in (
            *((self.norm1, self.dense1.units), (self.dense2, self.dense1.units)),
            *((self.norm2, self.dense2.units), (self.dense3, self.dense2.units)),
        ):
            layer.build([None, None, inputs])
        super().build(input_shape)

    def call(
        self, features: tf.Tensor, neighbor_features: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The logit of the calibration score.

        Args:
          features: [B, V], v^i.
          neighbor_features: [B, K, V], v^k.
          training: whether batch normalization takes the batch's statistics and moves its own.

        Returns:
          [B, K], any real number.
        """
        main_kernel, neighbor_kernel = tf.split(self.dense1.kernel, 2)
        main = tf.matmul(features, main_kernel) + self.dense1.bias
        hidden = tf.einsum("bkv,vh->bkh", neighbor_features, neighbor_kernel) + main[:, tf.newaxis]
        hidden = tf.nn.relu(self.norm1(hidden, training=training))
        hidden = tf.nn.relu(self.norm2(self.dense2(hidden), training=training))
        return tf.squeeze(self.dense3(hidden), axis=-1)


class ClassCenters(Centers):
    """mu of Eq. 10: centers that are zero at first, pulled and then pushed."""

    def __init__(
        self,
        num_classes: int,
        size: int,
        rate: float,
        separation_kernel: str,
        separation_weight: float,
        divide_by_rows: bool,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          num_classes, size, rate, **kwargs: as those of `Centers`.
          separation_kernel: as `equations.center_separation` takes it.
          separation_weight: factor of the second step's gradient.
          divide_by_rows: whether the first step is divided by the number of rows, as the
            released code has it.
        """
        super().__init__(num_classes, size, rate, "zeros", **kwargs)
        self.separation_kernel = separation_kernel
        self.separation_weight = separation_weight
        self.divide_by_rows = divide_by_rows

    def separation(self) -> tf.Tensor:
        """Eq. 10's second term, a scalar."""
        return equations.center_separation(self.centers, self.separation_kernel)

    def sums(
        self, features: tf.Tensor, labels: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Adds up the pull by class, for `update`.

        Args:
          features: [M, V].
          labels: [M], integers in [0, C).
          weight: [M] in [0, 1], 1 - lambda.

        Returns:
          sums [C, V] and counts [C] of `equations.center_pull`.
        """
        classes = self.centers.shape[0]
        return equations.center_pull(features, self(labels), weight, labels, classes)

    def update(self, sums: tf.Tensor, counts: tf.Tensor, applied: tf.Tensor | None = None) -> None:
        """Moves the centers toward their classes' features, then away from each other.

          mu_c <- mu_c - rate sums_c / (counts_c + 1)   [/ rows]     equations.center_pull
          mu   <- mu - rate separation_weight grad center_separation(mu)

        Args:
          sums, counts: of `sums`, over the rows of all replicas.
          applied: scalar, whether to; None: yes.
        """
        step = sums / (counts[:, tf.newaxis] + 1.0)
        if self.divide_by_rows:
            step /= tf.reduce_sum(counts)
        centers = self.centers - self.rate * step
        with tf.GradientTape() as tape:
            tape.watch(centers)
            separation = equations.center_separation(centers, self.separation_kernel)
        push = self.separation_weight * tape.gradient(separation, centers)
        self.move(centers - self.rate * push, applied)
