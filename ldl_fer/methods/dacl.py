"""DACL, deep attentive center loss (Farzaneh and Qi, WACV 2021): centers of chosen features.

  A    = softmax over pairs of h(m), the second of each       [B, V] in (0, 1), m the last map
  L_SC = 1/2 sum_k A_k (v_k - mu_{y, k})^2
  L    = CE(l, f) + lambda L_SC

h: three dense layers, each with batch normalization, and ReLU, ReLU, tanh; a dense layer of 2 V.
The centers move by sum_{i: y^i = j} A^i (mu_j - v^i) / (1 + n_j), not times lambda. Where A = 1 it
is the center loss of Wen et al. (ECCV 2016). A and the centers are left out at test.

m is the flattened last map. A frozen backbone's pooled maps stand for it, and the features where a
network has no last map whose average they are. The authors' SGD has a part of this project's Adam.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer.methods.centers import PulledCenters
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.networks.head import feature_map

_EPSILON = 1e-5  # of the batch normalizations


def sparse_center_loss(
    features: tf.Tensor, own_centers: tf.Tensor, attention: tf.Tensor
) -> tf.Tensor:
    """Computes 1/2 sum_k A_k (v_k - mu_k)^2, per sample.  Eq. 4.

    Args:
      features: [B, V], v.
      own_centers: [B, V], the center of each sample's class.
      attention: [B, V], A, in (0, 1).

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes(
        [(features, ("B", "V")), (own_centers, ("B", "V")), (attention, ("B", "V"))]
    )
    squares = tf.math.squared_difference(features, own_centers)
    return 0.5 * tf.reduce_sum(attention * squares, axis=-1)


def attention_of(pairs: tf.Tensor) -> tf.Tensor:
    """Returns the second probability of each pair of logits: [B, 2 V] -> [B, V] in (0, 1)."""
    return tf.sigmoid(pairs[:, 1::2] - pairs[:, 0::2])


class DACLRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    center_loss: tf.Tensor  # [B]
    attention: tf.Tensor  # [B, V]


class DACL(Classifier):
    """Minimizes CE + lambda L_SC.

    Attributes:
      attention: the layers of h.
      centers: mu.
    """

    LOSSES = ("loss", "classification_loss", "center_loss")
    compares_samples = True
    looks_inside = True

    def add_parts(self) -> None:
        layers, settings = tf.keras.layers, self.config.dacl
        self.with_map = feature_map(self.network)
        size = self.feature_size
        if self.with_map is not None:
            size = self.with_map.outputs[0].shape[1:].num_elements()
        elif self.trained is not self.network:
            size = self.trained.input_shape[-1]
        self.attention = tf.keras.Sequential(name="attention")
        for units, activation in zip(settings.dacl_units, ("relu", "relu", "tanh"), strict=True):
            self.attention.add(layers.Dense(units, kernel_initializer="he_normal"))
            self.attention.add(layers.BatchNormalization(epsilon=_EPSILON))
            self.attention.add(layers.Activation(activation))
        self.attention.add(layers.Dense(2 * self.feature_size, kernel_initializer="he_normal"))
        self.attention.build([None, size])
        self.centers = PulledCenters(
            self.num_classes,
            self.feature_size,
            settings.dacl_center_rate,
            deviation=(2.0 / self.feature_size) ** 0.5,
            name="centers",
        )

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return super().optimized_variables + self.attention.trainable_variables

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"attention": self.attention, "centers": self.centers}

    def losses(self, batch: Batch, neighbors: None) -> DACLRows:
        flat, features, logits = self._run(batch["image"])
        attention = attention_of(self.attention(flat, training=True))
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        center = sparse_center_loss(features, self.centers(batch["label"]), attention)
        loss = classification + self.config.dacl.dacl_weight * center
        return DACLRows(features, logits, loss, classification, center, attention)

    def sums_of_step(self, batch: Batch, rows: DACLRows) -> tuple[tf.Tensor, ...]:
        pull = rows.attention * (self.centers(batch["label"]) - rows.features)
        return self.centers.sums(pull, batch["label"])

    def after_step(
        self,
        batch: Batch,
        rows: DACLRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Moves the centers."""
        self.centers.update(sums[0], sums[1], applied=applied)

    def _run(self, images):
        """What attention is computed from [B, P], features and logits."""
        if self.with_map is not None:
            maps, features, logits = self.with_map(images, training=True)
            flat = tf.reshape(maps, [-1, maps.shape[1:].num_elements()])
            return tf.cast(flat, tf.float32), features, logits
        features, logits = self.run_network(images, training=True)
        return (features if self.trained is self.network else images), features, logits
