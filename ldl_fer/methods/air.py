"""AIR, auxiliary image regularization (Azadi et al., ICLR 2016): few images carry a class.

  x_i = v_i / ||v_i||
  L   = CE(l_i, f) + lambda_g / C sum_c ||x_i o w_c||_2 / sqrt(nz_i)

o is the product by elements, w_c the last layer's weights of class c, nz_i the number of features
that are not zero. The auxiliary images are the training images. The norm, a group's, switches off
whole images: those that speak for no class but by their wrong label. The paper keeps features
fixed, as a frozen backbone does (without a hidden layer), and no gradient flows into x here.

Deviations: the paper's classifier has the normalized features and no bias, ours the network's own;
its solver is a stochastic ADMM over all images, here the batch's part of the same sum is added to
the loss, with 1e-12 under the root. lambda_g = 10 belongs to the authors' features (AlexNet's fc7).
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier

_EPSILON = 1e-12


def group_norm(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Computes the mean over classes of ||x o w_c||_2 / sqrt(nz), x = v / ||v||, of each sample.

    Args:
      features: [B, V], v; no gradient flows into them.
      kernel: [V, C], w.

    Returns:
      [B], > 0; near 0 for a sample without features.
    """
    tf.debugging.assert_shapes([(features, ("B", "V")), (kernel, ("V", "C"))])
    features = tf.stop_gradient(features)
    squares = tf.square(tf.math.l2_normalize(features, axis=1))
    count = tf.reduce_sum(tf.cast(tf.not_equal(features, 0.0), features.dtype), axis=1)
    norms = tf.sqrt(tf.matmul(squares, tf.square(kernel)) + _EPSILON)
    return tf.reduce_mean(norms, axis=1) / tf.sqrt(tf.maximum(count, 1.0))


class AIRRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    group_norm: tf.Tensor  # [B]


class AIR(Classifier):
    """Minimizes CE and the group norm of the last layer."""

    LOSSES = ("loss", "classification_loss", "group_norm")

    def add_parts(self) -> None:
        self.kernel = self.trained.get_layer("logits").kernel

    def losses(self, batch: Batch, neighbors: None) -> AIRRows:
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        norm = group_norm(features, tf.convert_to_tensor(self.kernel))
        loss = classification + self.config.air.air_weight * norm
        return AIRRows(features, logits, loss, classification, norm)
