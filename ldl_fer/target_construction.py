"""The target distributions of a batch: Eq. 3-6, one after the other."""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.neighbor_pass import Neighbors


class Construction(NamedTuple):
    """A target distribution and what it was made from."""

    calibration: tf.Tensor  # [B, K], zeta
    contribution: tf.Tensor  # [B, K], c
    aggregated: tf.Tensor  # [B, C], d~
    uncertainty: tf.Tensor  # [B], lambda
    target: tf.Tensor  # [B, C], d


def construct_targets(
    label: tf.Tensor,
    local_similarity: tf.Tensor,
    logit: tf.Tensor | None,
    neighbors: Neighbors,
    uncertainty: tf.Tensor,
    floor: float | None = None,
) -> Construction:
    """Mixes each label with what its neighbors are thought to be.

    Args:
      label: [B, C], rows sum to 1.
      local_similarity: [B, K] in [0, 1], s.
      logit: [B, K], the calibrator's; None: zeta is 1.
      neighbors: what the network says of them. One not seen yet contributes nothing.
      uncertainty: [B] in [0, 1], lambda.
      floor: as `equations.calibration_score` has it.
    """
    similarity = local_similarity * neighbors.seen
    if logit is None:
        calibration = tf.ones_like(similarity)
    else:
        calibration = equations.calibration_score(logit, floor)
    contribution = equations.contribution_degree(calibration, similarity)
    aggregated = equations.aggregated_distribution(
        contribution, neighbors.probabilities, fallback=label
    )
    target = equations.target_distribution(label, aggregated, uncertainty)
    return Construction(calibration, contribution, aggregated, uncertainty, target)
