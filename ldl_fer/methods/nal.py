"""NAL, the noise adaptation layer (Goldberger and Ben-Reuven, ICLR 2017): how labels go wrong.

A channel stands behind the network in training: the probability T_ij that a face of class i was
labeled j. The network's own prediction p is then of the true class. At test there is no channel.

  q_j = sum_i p_i T_ij,   T = softmax of each row of b         the simple channel
                          T_i = softmax(U_i v + b_i)            the complex one, v the features
  L   = (1 - beta) CE(l, q) + beta CE(l, p)

Training is plain at first; then b = log of the rows of the network's confusion matrix on the given
labels, and U = 0. The authors train plainly until a noisy held-out tenth stops improving, and take
the confusion in a pass of its own; here plain training is a share of the epochs, and the confusion
is that of the training steps of the last plain epoch, dropout included. The complex channel starts
from it, too; the authors' starts from a trained simple one. Without a plain epoch, b starts from an
assumed part of wrong labels (the authors add uniform noise of 0.01).
"""

from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier, Rows
from ldl_fer.methods.replicas import shared_variable

_EPSILON = 1e-8  # added to shares before their logarithm


def noisy_log_probabilities(logits: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
    """Computes log q, what labels are given with which probability.  Eq. 2.

      q_j = sum_i p_i T_ij,   p = softmax(logits),  T = softmax of the channel's rows

    Args:
      logits: [B, C].
      channel: [B, C, C], or [1, C, C] for one that is the same for all faces.

    Returns:
      [B, C]; their exponentials sum to 1.
    """
    tf.debugging.assert_shapes([(logits, ("B", "C")), (channel, (None, "C", "C"))])
    joint = tf.nn.log_softmax(logits)[:, :, tf.newaxis] + tf.nn.log_softmax(channel)
    return tf.reduce_logsumexp(joint, axis=1)


def channel_of_confusion(counts: tf.Tensor) -> tf.Tensor:
    """Computes log(n_ij / sum_j n_ij + 1e-8): what b starts from.

    Args:
      counts: [C, C], n_ij samples that the network took for i and whose label is j.

    Returns:
      [C, C]; a row of a class that was never predicted is constant.
    """
    tf.debugging.assert_shapes([(counts, ("C", "C"))])
    shares = tf.math.divide_no_nan(counts, tf.reduce_sum(counts, axis=1, keepdims=True))
    return tf.math.log(shares + _EPSILON)


def channel_of_noise(noise: float, classes: int) -> np.ndarray:
    """Returns the logarithms of 1 - noise on the diagonal and noise / (C - 1) beside it, [C, C]."""
    transition = np.full([classes, classes], noise / max(classes - 1, 1))
    np.fill_diagonal(transition, 1.0 - noise)
    return np.log(transition + _EPSILON).astype(np.float32)


class NAL(Classifier):
    """Minimizes CE(l, p), then that of what passed the channel.

    Attributes:
      channel: [C, C], b.
      channel_kernel: [V, C C], U of the complex channel; None: the simple one.
      confusion_counts: [C, C], of the last plain epoch: (predicted, given).
      plain_steps: steps before the channel comes in.
    """

    def add_parts(self) -> None:
        settings, classes = self.config.nal, self.num_classes
        self.plain_steps = self.steps_of(settings.nal_plain_share)
        start = tf.keras.initializers.Constant(channel_of_noise(settings.nal_noise, classes))
        shape = [classes, classes]
        self.channel = shared_variable(self, "channel", shape, start, trainable=True)
        self.channel_kernel = None
        if settings.nal_channel == "complex":
            self.channel_kernel = self.add_weight(
                "channel_kernel", [self.feature_size, classes * classes], tf.float32, "zeros"
            )
        self.confusion_counts = shared_variable(self, "confusion_counts", shape)

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        own = [self.channel, self.channel_kernel]
        return super().optimized_variables + [one for one in own if one is not None]

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        for name in ("channel", "channel_kernel", "confusion_counts"):
            if getattr(self, name) is not None:
                parts[name] = getattr(self, name)
        return parts

    def channel_of(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the channel of each face, or the one of all: [B, C, C] or [1, C, C]."""
        if self.channel_kernel is None:
            return self.channel[tf.newaxis]
        size = self.num_classes
        return tf.reshape(features @ self.channel_kernel, [-1, size, size]) + self.channel

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        plain = self.cross_entropy(batch, self.labels(batch), logits)
        # log q are logits, too: their softmax is q.
        noisy = noisy_log_probabilities(logits, self.channel_of(features))
        channeled = self.cross_entropy(batch, self.labels(batch), noisy)
        weight = self.config.nal.nal_plain_weight
        begun = self.optimizer.iterations >= self.plain_steps
        loss = tf.where(begun, (1.0 - weight) * channeled + weight * plain, plain)
        return Rows(features, logits, loss, plain)

    def sums_of_step(self, batch: Batch, rows: Rows) -> tuple[tf.Tensor, ...]:
        predicted = tf.argmax(rows.logits, axis=-1)
        counts = tf.math.confusion_matrix(predicted, batch["label"], self.num_classes)
        return (tf.cast(counts, tf.float32),)

    def after_step(
        self,
        batch: Batch,
        rows: Rows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Counts the confusion in the last plain epoch, and makes the channel of it at its end."""
        done = self.optimizer.iterations
        taken = tf.constant(True) if applied is None else applied
        counting = (done > self.plain_steps - self.steps_per_epoch) & (done <= self.plain_steps)
        counts = self.confusion_counts + tf.where(counting & taken, sums[0], 0.0)
        self.confusion_counts.assign(counts)
        ended = taken & tf.equal(done, self.plain_steps)
        self.channel.assign(tf.where(ended, channel_of_confusion(counts), self.channel))
