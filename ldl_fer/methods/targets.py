"""The target distributions of a batch: Eq. 2-6, one after the other, and the neighbors' pass.

  s_k  = exp(-||a^i - a^k||^2 / delta^2)          Eq. 2, local similarity
  zeta_k = sigmoid(g([v^i, v^k]))                 Eq. 3, calibration
  c_k  = zeta_k s_k                               Eq. 4, contribution
  d~   = sum_k c_k f(x^k) / sum_k c_k             Eq. 5, aggregated distribution
  d    = (1 - lambda^i) l^i + lambda^i d~         Eq. 6, target distribution

Le et al., WACV 2023. The equations' other forms, in the released code, are in `ldl_fer.equations`.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from ldl_fer import equations


class Neighbors(NamedTuple):
    """The network's outputs for each sample's neighbors; no gradient flows into them."""

    features: tf.Tensor  # [B, K, V]
    probabilities: tf.Tensor  # [B, K, C]


class Construction(NamedTuple):
    """A target distribution and what it was made from."""

    similarity: tf.Tensor  # [B, K], s
    calibration: tf.Tensor  # [B, K], zeta
    contribution: tf.Tensor  # [B, K], c
    aggregated: tf.Tensor  # [B, C], d~
    uncertainty: tf.Tensor  # [B], lambda
    target: tf.Tensor  # [B, C], d


def construct_targets(
    label: tf.Tensor,
    auxiliary: tf.Tensor,
    neighbor_auxiliary: tf.Tensor,
    logit: tf.Tensor | None,
    neighbors: Neighbors,
    uncertainty: tf.Tensor,
    delta: float,
    kernel: str = "gaussian",
    floor: float | None = None,
) -> Construction:
    """Mixes each label with its neighbors' predictions.  Eq. 2-6.

    Args:
      label: [B, C], rows sum to 1.
      auxiliary: [B, D], a^i.
      neighbor_auxiliary: [B, K, D], a^k.
      logit: [B, K], the calibrator's; None: zeta is 1.
      neighbors: the network's outputs for them.
      uncertainty: [B] in [0, 1], lambda.
      delta, kernel: as `equations.local_similarity` takes them.
      floor: as `equations.calibration_score` takes it.
    """
    similarity = equations.local_similarity(auxiliary, neighbor_auxiliary, delta, kernel)
    if logit is None:
        calibration = tf.ones_like(similarity)
    else:
        calibration = equations.calibration_score(logit, floor)
    contribution = equations.contribution_degree(calibration, similarity)
    aggregated = equations.aggregated_distribution(
        contribution, neighbors.probabilities, fallback=label
    )
    target = equations.target_distribution(label, aggregated, uncertainty)
    return Construction(similarity, calibration, contribution, aggregated, uncertainty, target)


def pass_neighbors(
    run_network: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    neighbor_images: tf.Tensor,
    training: bool = True,
) -> Neighbors:
    """Runs a network on the neighbors' images; outside of any tape, no gradient flows back.

    Args:
      run_network: images [M, H, W, 3] -> (features [M, V], logits [M, C]).
      neighbor_images: [B, K, H, W, 3].
      training: the network's mode.
    """
    shape = tf.shape(neighbor_images)
    flat = tf.reshape(neighbor_images, tf.concat([[-1], shape[2:]], 0))
    flat = tf.ensure_shape(flat, [None, *neighbor_images.shape[2:]])
    features, logits = run_network(flat, training=training)
    return Neighbors(
        tf.reshape(features, [shape[0], shape[1], features.shape[-1]]),
        tf.reshape(tf.nn.softmax(logits), [shape[0], shape[1], logits.shape[-1]]),
    )
