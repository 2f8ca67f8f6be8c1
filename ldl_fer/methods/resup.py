"""ReSup (TAFFC 2025): two networks, each weighing the other's samples by how sure it is of them.

  s_i  = cos(p_i, l_i), of each network
  c(s) = chance that s is of the upper of two Beta distributions, fitted to all s after each epoch
  L    = c_2(s_2) CE(l, p_1) + c_1(s_1) CE(l, p_2) + 5 mean_j (p_1j - p_2j)^2
         CE(l, p_1) + CE(l, p_2) in the first epoch

The fit: ten rounds of expectation and moment matching, from Beta(1, 2), Beta(2, 1) and halves on.
c is kept at 100 places of [0, 1], and does not fall again behind its largest value. No gradient
flows into it. The first network is evaluated and kept.

Deviations: the authors take s in a pass over the training set after each epoch; here it is that of
a sample's last training step, and a sample without one has c = 1. Which network their tables are of
is not known here.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.replicas import shared_variable, write_rows
from ldl_fer.methods.two_networks import TwoNetworks

_LEAST = 1e-3  # of s, and of 1 - s; of a Beta distribution's parameters, too
_LEAST_VARIANCE = 1e-6
_SUREST = 1e-4  # c lies in [1e-4, 1 - 1e-4]
_ROUNDS, _PLACES = 10, 100
_NEVER = -1.0  # s of a sample without a visit


def similarity(probabilities: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Computes cos(p, l) = p_y / |p|: [B, C] and one-hot [B, C] -> [B] in [0, 1]."""
    tf.debugging.assert_shapes([(probabilities, ("B", "C")), (label, ("B", "C"))])
    return tf.reduce_sum(probabilities * label, axis=-1) / tf.norm(probabilities, axis=-1)


def log_densities(values: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
    """Returns the logarithms of two Beta densities: [M] in (0, 1), [2, 2] rows a, b -> [2, M]."""
    below, above = parameters[:, :1] - 1.0, parameters[:, 1:] - 1.0
    logs = below * tf.math.log(values) + above * tf.math.log1p(-values)
    return logs - tf.math.lbeta(parameters)[:, tf.newaxis]


def fitted_mixture(values: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Fits two Beta distributions.

    Args:
      values: [N] in (0, 1).
      counted: [N], 0 or 1: whether a value is one of them.

    Returns:
      Their parameters, a row (a, b) each, [2, 2], and their shares, [2].
    """
    tf.debugging.assert_shapes([(values, ("N",)), (counted, ("N",))])
    parameters = tf.constant([[1.0, 2.0], [2.0, 1.0]], values.dtype)
    shares = tf.constant([0.5, 0.5], values.dtype)
    for _ in range(_ROUNDS):
        logs = tf.math.log(shares)[:, tf.newaxis] + log_densities(values, parameters)
        parts = tf.nn.softmax(logs, axis=0) * counted
        sums = tf.reduce_sum(parts, axis=1)
        mean = tf.math.divide_no_nan(tf.reduce_sum(parts * values, axis=1), sums)
        squares = parts * tf.square(values - mean[:, tf.newaxis])
        variance = tf.math.divide_no_nan(tf.reduce_sum(squares, axis=1), sums)
        size = mean * (1.0 - mean) / tf.maximum(variance, _LEAST_VARIANCE) - 1.0
        fitted = tf.stack([mean * size, (1.0 - mean) * size], axis=1)
        parameters = tf.maximum(fitted, _LEAST)
        shares = tf.maximum(tf.math.divide_no_nan(sums, tf.reduce_sum(counted)), _SUREST)
    return parameters, shares


def cleanness(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Computes c at `_PLACES` equidistant places of [0, 1], the last for s = 1.

    Args:
      values: [N], s; clipped to [0.001, 0.999].
      counted: [N], as `fitted_mixture` takes it.

    Returns:
      [_PLACES] float32, in [1e-4, 1 - 1e-4].
    """
    values, counted = tf.cast(values, tf.float64), tf.cast(counted, tf.float64)  # rounds add up
    parameters, shares = fitted_mixture(tf.clip_by_value(values, _LEAST, 1.0 - _LEAST), counted)
    places = tf.linspace(tf.constant(0.0, tf.float64), 1.0, _PLACES)
    places = tf.clip_by_value(places, _LEAST, 1.0 - _LEAST)
    logs = tf.math.log(shares)[:, tf.newaxis] + log_densities(places, parameters)
    upper = tf.nn.softmax(logs, axis=0)[1]
    behind = tf.range(_PLACES) >= tf.argmax(upper, output_type=tf.int32)
    monotone = tf.where(behind, tf.reduce_max(upper), upper)
    return tf.cast(tf.clip_by_value(monotone, _SUREST, 1.0 - _SUREST), tf.float32)


def looked_up(clean: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Returns c(s) of the nearest place: [_PLACES], [B] -> [B]; 1 where s is of no visit."""
    places = tf.cast(tf.round(values * (_PLACES - 1)), tf.int32)
    found = tf.gather(clean, tf.clip_by_value(places, 0, _PLACES - 1))
    return tf.where(values < 0.0, 1.0, found)


class ReSupRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V], of the first network
    logits: tf.Tensor  # [B, C], of the first network
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B], of the first network, without c
    consistency_loss: tf.Tensor  # [B], without its weight
    similarities: tf.Tensor  # [B, 2], s of both networks


class ReSup(TwoNetworks):
    """Minimizes both networks' losses, each with the other's weights, and their distance.

    Attributes:
      similarities: [N, 2], s of both networks.
      clean: [2, _PLACES], c of both; 1 in the first epoch.
    """

    LOSSES = ("loss", "classification_loss", "consistency_loss")

    def add_parts(self) -> None:
        super().add_parts()
        never = tf.keras.initializers.Constant(_NEVER)
        self.similarities = shared_variable(self, "similarities", [self.num_samples, 2], never)
        self.clean = shared_variable(self, "clean", [2, _PLACES], "ones")

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"similarities": self.similarities, "clean": self.clean}

    def look_up(self, batch: Batch) -> tf.Tensor:
        """Reads c of the samples, [2, B]."""
        kept = tf.gather(self.similarities, batch["sample_id"])
        return tf.stack([looked_up(self.clean[n], kept[:, n]) for n in range(2)])

    def losses(self, batch: Batch, neighbors: tf.Tensor) -> ReSupRows:
        label = self.labels(batch)
        features, logits = self.run_network(batch["image"], training=True)
        _, others = self.run_second(batch["image"], training=True)
        first, second = (self.cross_entropy(batch, label, z) for z in (logits, others))
        one, other = tf.nn.softmax(logits), tf.nn.softmax(others)
        distance = tf.reduce_mean(tf.math.squared_difference(one, other), axis=-1)
        by_first, by_second = tf.unstack(neighbors)
        begun = self.optimizer.iterations >= self.steps_per_epoch
        weight = tf.where(begun, self.config.resup.resup_weight, 0.0)
        loss = by_second * first + by_first * second + weight * distance
        similarities = tf.stack([similarity(p, label) for p in (one, other)], axis=1)
        return ReSupRows(features, logits, loss, first, distance, similarities)

    def after_step(
        self,
        batch: Batch,
        rows: ReSupRows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Keeps the similarities, and fits the mixtures to them at an epoch's end."""
        pairs = [(self.similarities, rows.similarities)]
        write_rows(batch["sample_id"], pairs, applied=applied)
        ended = tf.equal(self.optimizer.iterations % self.steps_per_epoch, 0)
        ended &= tf.constant(True) if applied is None else applied
        self.clean.assign(tf.cond(ended, self._fitted, lambda: tf.identity(self.clean)))

    def _fitted(self):
        kept = tf.unstack(self.similarities, axis=1)
        return tf.stack([cleanness(s, tf.cast(s >= 0.0, tf.float32)) for s in kept])
