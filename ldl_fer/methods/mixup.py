"""mixup (Zhang et al., ICLR 2018): straight lines between faces.

  x~ = s x_i + (1 - s) x_j,   s ~ Beta(alpha, alpha), one for the batch
  L  = s CE(l_i, f(x~)) + (1 - s) CE(l_j, f(x~))

j is the sample before i in the batch, whose order is random; the first is paired with the last. A
replica pairs the samples of its own part. s is a function of (seed, step), so that a run can go on
anywhere. alpha is 0.2, within the paper's range for ImageNet. Of a frozen backbone, the pooled maps
are mixed.
"""

import numpy as np
import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier, Rows

_LEAST = np.finfo(np.float32).tiny


def mixing_share(seed: tf.Tensor, alpha: float) -> tf.Tensor:
    """Draws s ~ Beta(alpha, alpha) as g / (g + g'), both Gamma(alpha, 1): a scalar in [0, 1].

    Args:
      seed: [2], integers; equal seeds give equal numbers.
      alpha: > 0; small: near 0 or 1.
    """
    first, second = tf.unstack(tf.random.stateless_gamma([2], seed, alpha))
    # Draws end at float32's least number: where both do, their ratio would say one half.
    return tf.where(tf.maximum(first, second) > _LEAST, first / (first + second), 1.0)


def mixed(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Computes s x_i + (1 - s) x_j of each row i and the row j before it: [B, ...] -> [B, ...]."""
    return share * values + (1.0 - share) * tf.roll(values, 1, axis=0)


class Mixup(Classifier):
    """Minimizes the mixed cross-entropy; each label's has the weight of its class."""

    compares_samples = True

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        # The optimizer may count in 64 bits, which a seed's numbers then have, too.
        step = tf.cast(self.optimizer.iterations, tf.int64)
        seed = tf.stack([tf.constant(self.config.run.seed, tf.int64), step])
        share = mixing_share(seed, self.config.mixup.mixup_alpha)
        images = mixed(tf.cast(batch["image"], tf.float32), share)
        features, logits = self.run_network(images, training=True)
        other = batch | {"label": tf.roll(batch["label"], 1, axis=0)}
        loss = share * self.cross_entropy(batch, self.labels(batch), logits)
        loss += (1.0 - share) * self.cross_entropy(other, self.labels(other), logits)
        return Rows(features, logits, loss, loss)
