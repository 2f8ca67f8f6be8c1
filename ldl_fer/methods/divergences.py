"""The divergence of distributions, KL, as methods use it: from a target, and between neighbors."""

import tensorflow as tf

from ldl_fer import equations


def divergence(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes KL(q || p), p = softmax(logits).

    Args:
      target: [B, C], q, rows sum to 1.
      logits: [B, C].

    Returns:
      [B], >= 0.
    """
    entropy = -tf.reduce_sum(tf.math.xlogy(target, target), axis=-1)
    return equations.classification_loss(target, logits) - entropy


def edge_divergence(logits: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
    """Computes sum_j e_ij KL(p_i || p_j); the gradient reaches both ends of an edge.

    Args:
      logits: [B, C], of p.
      edges: [B, B], e, >= 0.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes([(logits, ("B", "C")), (edges, ("B", "B"))])
    logs = tf.nn.log_softmax(logits)
    own = tf.exp(logs)
    entropy = -tf.reduce_sum(own * logs, axis=-1, keepdims=True)
    return tf.reduce_sum(edges * (-tf.matmul(own, logs, transpose_b=True) - entropy), axis=-1)
