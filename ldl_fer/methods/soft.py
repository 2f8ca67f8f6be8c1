"""SOFT (Lukov et al., ECCV 2022): a mean teacher whose doubt is spread over classes it leaves out.

  q_j = (1 - eps) t_j / sum_S t   in S = {j: t_j > 1 / C},   else eps / (C - |S|)
  L   = CE(l, p) + c(n) KL(q || p),   c(n) = 10 exp(-5 (1 - min(n, T) / T)^2)

t is the teacher's distribution for another view of the face, p the student's, n the steps done. The
teacher is evaluated. Where it knows nothing (S is empty), q is t. The authors' 1/7 is 1/C of seven
classes.

Departures: the other view is the mirror image; the authors augment twice. Their T is 5 epochs, and
c rises once an epoch; here T is as many steps as those have on RAF-DB, since the teacher's memory,
1,000 steps, is counted in steps, too. In 5 epochs of a small set the teacher learns little, and at
ten times the labels' weight the student stays at that: on seven clusters with 30 % of labels
flipped, 80 epochs of 32 steps, 86 % were right with a T of 5 epochs, 92 % with one of 960 steps,
and 93 % by plain training. In fewer steps than its memory the teacher is the mean of all students
so far, and behind them: 300 steps are too few for this method.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.mean_teacher import MeanTeacher
from ldl_fer.methods.views import mirrored_images

_RAMP_EXPONENT = -5.0


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


def consistency_weight(step: tf.Tensor, ramp: int, largest: float) -> tf.Tensor:
    """Computes c(n), of the steps done: from e^-5 of the largest, at `ramp`, T >= 1, all of it."""
    left = 1.0 - tf.minimum(tf.cast(step, tf.float32) / ramp, 1.0)
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
        steps = self.optimizer.iterations
        weight = consistency_weight(steps, settings.soft_ramp_steps, settings.soft_weight)
        loss = classification + weight * consistency
        return SOFTRows(features, logits, loss, classification, consistency)
