"""RUL, relative uncertainty learning (Zhang, Wang and Deng, NeurIPS 2021): who needs more room.

Features of two faces are mixed, each weighted by its own uncertainty, and both labels must be
read off the mixture: the loss falls where the face that is harder to read gets the larger weight.

  sigma_i = mean of exp(h(v^i)), h: batch normalization, dropout, 64 units, batch normalization
  z       = sigma_i / (sigma_i + sigma_j) v^i + sigma_j / (sigma_i + sigma_j) v^j
  L       = 1/2 CE(l^i, W z) + 1/2 CE(l^j, W z)

j is the sample before i in the batch, whose order is random; the first is paired with the last.
At test time features are not mixed. Both normalizations have epsilon 2e-5.

Departures: the authors have two branches on the last map, of 64 numbers each, one of which is
mixed; here the network's own features are, so that all methods train the same network, and the
other branch, h, stands on them. A replica pairs the samples of its own part of the batch.
"""

from typing import Any

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier, Rows
from ldl_fer.networks.head import read_out

_UNITS, _DROPOUT = 64, 0.4
_EPSILON = 2e-5  # Keras' 1e-3 changes gradients by up to half where features are small.


def mixed_features(
    features: tf.Tensor, partner_features: tf.Tensor, sigma: tf.Tensor, partner_sigma: tf.Tensor
) -> tf.Tensor:
    """Features of pairs, each face weighted by its share of the pair's uncertainty.

      z = sigma_i / (sigma_i + sigma_j) v^i + sigma_j / (sigma_i + sigma_j) v^j

    Args:
      features, partner_features: [B, V].
      sigma, partner_sigma: [B], > 0.

    Returns:
      [B, V]; the same for both faces of a pair.
    """
    tf.debugging.assert_shapes(
        [
            (features, ("B", "V")),
            (partner_features, ("B", "V")),
            (sigma, ("B",)),
            (partner_sigma, ("B",)),
        ]
    )
    share = (sigma / (sigma + partner_sigma))[:, tf.newaxis]
    return share * features + (1.0 - share) * partner_features


class RUL(Classifier):
    """Minimizes the add-up loss.

    Attributes:
      uncertainty: the layers of h.
    """

    compares_samples = True

    def add_parts(self) -> None:
        layers = tf.keras.layers
        self.uncertainty = tf.keras.Sequential(
            [
                layers.BatchNormalization(
                    epsilon=_EPSILON, center=False, scale=False, name="norm1"
                ),
                layers.Dropout(_DROPOUT, seed=0, force_generator=True, name="dropout"),
                layers.Dense(_UNITS, name="dense"),
                layers.BatchNormalization(epsilon=_EPSILON, name="norm2"),
            ],
            name="uncertainty",
        )
        self.uncertainty.build([None, self.feature_size])
        self.read_out = read_out(self.trained)  # Mixtures pass it as single faces do.

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return super().optimized_variables + self.uncertainty.trainable_variables

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"uncertainty": self.uncertainty}

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        sigma = tf.reduce_mean(tf.exp(self.uncertainty(features, training=True)), axis=-1)
        mixed = mixed_features(features, _partners(features), sigma, _partners(sigma))
        mixed = self.read_out(mixed, training=True)
        partner = batch | {"label": _partners(batch["label"])}
        own = self.cross_entropy(batch, self.labels(batch), mixed)
        loss = 0.5 * own + 0.5 * self.cross_entropy(partner, self.labels(partner), mixed)
        return Rows(features, logits, loss, loss)


def _partners(values):
    return tf.roll(values, 1, axis=0)
