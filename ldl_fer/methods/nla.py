"""NLA, noise-aware learning (AAAI 2025): samples whose label is in doubt, but not hopeless, count.

  u = (p_y, p_n),   p_n the largest probability of another class than y
  w = N(u; (.5, .5), [[a, eps b], [eps b, a]])      where y is the predicted class
      N(u; (.30, .15), S)                           elsewhere
  L = 1/2 CE + 1/2 w CE + JSD of the face and its mirror image

N is the bivariate normal density; eps = 1 - exp(-15 e / E) in epoch e of E, from 0 on, turns its
axes from a circle to the line on which one of both probabilities is the other's loss. The gradient
passes through w as well. JSD = 1/2 KL(m || p) + 1/2 KL(m || p') with m the softmax of the logits'
mean. The authors add the sum of the batch's 32 with weight 1/2, here it is the mean with weight 16.
Pictures are erased at random; the chance (1/2) is not in what was read of the paper. What a frozen
backbone forces is in `views`.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.divergences import divergence
from ldl_fer.methods.views import TwoViews

_SPEED = 15.0
_RIGHT_MEAN, _WRONG_MEAN = (0.5, 0.5), (0.30, 0.15)


def _covariance(deviation, ratio):
    """Returns (a, b): s^2 + (s / r)^2, and s^2 - (s / r)^2."""
    return deviation**2 + (deviation / ratio) ** 2, deviation**2 - (deviation / ratio) ** 2


_RIGHT, _WRONG = _covariance(0.8, 2.0), _covariance(0.91, 6.0)


def correlation(progress: tf.Tensor) -> tf.Tensor:
    """Computes eps = 1 - exp(-15 e / E) of the part e / E of the epochs that is done."""
    return 1.0 - tf.exp(-_SPEED * progress)


def label_and_rival(label: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns p_y and the largest probability of another class.

    Args:
      label: [B, C], one-hot.
      probabilities: [B, C], rows sum to 1.

    Returns:
      [B], [B].
    """
    tf.debugging.assert_shapes([(label, ("B", "C")), (probabilities, ("B", "C"))])
    given = tf.reduce_sum(label * probabilities, axis=1)
    return given, tf.reduce_max((1.0 - label) * probabilities, axis=1)


def doubt_weight(given: tf.Tensor, rival: tf.Tensor, eps: tf.Tensor) -> tf.Tensor:
    """Computes w.

    Args:
      given: [B], p_y.
      rival: [B], p_n.
      eps: scalar in [0, 1].

    Returns:
      [B], > 0. Where p_y >= p_n the label counts as predicted.
    """
    tf.debugging.assert_shapes([(given, ("B",)), (rival, ("B",))])
    right = _density(given, rival, _RIGHT_MEAN, _RIGHT[0], -eps * _RIGHT[1])
    wrong = _density(given, rival, _WRONG_MEAN, *_WRONG)
    return tf.where(given >= rival, right, wrong)


def _density(x, y, mean, a, b):
    """The normal density at (x, y), of covariance [[a, b], [b, a]]."""
    determinant = a * a - b * b
    x, y = x - mean[0], y - mean[1]
    square = (a * (x * x + y * y) - 2.0 * b * x * y) / determinant
    return tf.exp(-0.5 * square) / (2.0 * np.pi * determinant**0.5)


def flip_divergence(logits: tf.Tensor, mirrored_logits: tf.Tensor) -> tf.Tensor:
    """Computes 1/2 KL(m || p) + 1/2 KL(m || p'), m the softmax of the logits' mean.

    Args:
      logits: [B, C].
      mirrored_logits: [B, C].

    Returns:
      [B], >= 0; 0 where both predict the same.
    """
    tf.debugging.assert_shapes([(logits, ("B", "C")), (mirrored_logits, ("B", "C"))])
    middle = tf.nn.softmax((logits + mirrored_logits) / 2.0)
    return (divergence(middle, logits) + divergence(middle, mirrored_logits)) / 2.0


class NLARows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B], not weighted by doubt
    flip_divergence: tf.Tensor  # [B]


class NLA(TwoViews):
    """Minimizes 1/2 CE + 1/2 w CE + the divergence of both views."""

    LOSSES = ("loss", "classification_loss", "flip_divergence")

    def losses(self, batch: Batch, neighbors: None) -> NLARows:
        settings, labels = self.config.nla, self.labels(batch)
        (_, features, logits), (_, _, mirrored) = self.pass_views(batch)
        classification = self.cross_entropy(batch, labels, logits)
        epoch = self.optimizer.iterations // self.steps_per_epoch
        progress = tf.cast(epoch, tf.float32) / self.config.optimizer.epochs
        pair = label_and_rival(labels, tf.nn.softmax(logits))
        weight = doubt_weight(*pair, correlation(progress))
        divergence = flip_divergence(logits, mirrored)
        share = settings.nla_share
        loss = (1.0 - share + share * weight) * classification + settings.nla_weight * divergence
        return NLARows(features, logits, loss, classification, divergence)
