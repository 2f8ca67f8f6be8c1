"""SOFT (Lukov et al., ECCV 2022): a mean teacher whose doubt is spread over classes it leaves out.

  q_j = (1 - eps) t_j / sum_S t   in S = {j: t_j > 1 / C},   else eps / (C - |S|)
  L   = CE(l, p) + c(e) KL(q || p),   c(e) = 10 exp(-5 (1 - min(e, 5) / 5)^2)

t is the teacher's distribution for another view of the face, p the student's, e the epoch from 0
on. The teacher is evaluated. Here the other view is the mirror image; the authors augment twice.
Where the teacher knows nothing (S is empty), q is t. The authors' 1/7 is 1/C of seven classes.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.mean_teacher import MeanTeacher
from ldl_fer.methods.views import mirrored_images

_RAMP_EPOCHS, _RAMP_EXPONENT = 5.0, -5.0


def smoothed_teacher(taught: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Computes q.

    Args:
      taught: [B, C], t, rows sum to 1.
      smoothing: eps, in [0, 1]; 0.3 in the paper.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes([(taught, ("B", "C"))])
    size = tf.cast(tf.shape(taught)[1], taught.dtype)
    sure = tf.cast(taught > 1.0 / size, taught.dtype)
    count = tf.reduce_sum(sure, axis=1, keepdims=True)
    among = (1.0 - smoothing) * tf.math.divide_no_nan(
        sure * taught, tf.reduce_sum(sure * taught, axis=1, keepdims=True)
    )
    others = smoothing * tf.math.divide_no_nan(1.0 - sure, size - count)
    return tf.where(count > 0.0, among + others, taught)


def consistency_weight(epoch: tf.Tensor, largest: float) -> tf.Tensor:
    """Computes c(e), of an epoch counted from 0: from e^-5 of the largest, at epoch 5 all of it."""
    left = 1.0 - tf.minimum(tf.cast(epoch, tf.float32), _RAMP_EPOCHS) / _RAMP_EPOCHS
    return largest * tf.exp(_RAMP_EXPONENT * left**2)


class SOFTRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    consistency_loss: tf.Tensor  # [B], without its weight


class SOFT(MeanTeacher):
    """Minimizes CE + c(e) KL(q || p)."""

    LOSSES = ("loss", "classification_loss", "consistency_loss")

    def losses(self, batch: Batch, neighbors: None) -> SOFTRows:
        settings = self.config.soft
        features, logits = self.run_network(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        taught = self.taught(mirrored_images(batch))
        consistency = divergence(smoothed_teacher(taught, settings.soft_smoothing), logits)
        epoch = self.optimizer.iterations // self.steps_per_epoch
        weight = consistency_weight(epoch, settings.soft_weight)
        loss = classification + weight * consistency
        return SOFTRows(features, logits, loss, classification, consistency)
