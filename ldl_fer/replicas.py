"""Sums over the replicas of a strategy."""

from typing import Any

import tensorflow as tf


def is_alone() -> bool:
    """Whether a step, in a replica's context, has no other replica to add to."""
    return tf.distribute.get_replica_context().num_replicas_in_sync == 1


def sum_over_replicas(values: Any) -> Any:
    """The sums of tensors, or of a list of them, over all replicas; in a replica's context.

    With one replica they are returned as they are: TensorFlow 2.15 keeps every graph that calls
    `all_reduce` in a table of gradients for as long as the process lives.
    """
    if is_alone():
        return values
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)
