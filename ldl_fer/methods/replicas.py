"""Joint work of a strategy's replicas: sums, and rows written in every copy."""

import contextlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def is_alone() -> bool:
    """Says whether a step, in a replica's context, has no other replica to add to."""
    return tf.distribute.get_replica_context().num_replicas_in_sync == 1


def sum_over_replicas(values: Any) -> Any:
    """Returns the sums of tensors, or of a list of them, over all replicas; in a replica's context.

    With one replica they are returned as they are: TensorFlow 2.15 keeps every graph that calls
    `all_reduce` in a table of gradients for as long as the process lives.
    """
    if is_alone():
        return values
    replica = tf.distribute.get_replica_context()
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)


def shared_variable(
    layer: tf.keras.layers.Layer,
    name: str,
    shape: Sequence[int],
    initializer: Any = "zeros",
    dtype: tf.DType = tf.float32,
    trainable: bool = False,
) -> tf.Variable:
    """Adds a variable to a layer or model; all replicas compute its next value alike.

    Args:
      layer, name, shape, initializer, dtype, trainable: as `add_weight` has them.
    """
    return layer.add_weight(
        name,
        shape,
        dtype,
        initializer,
        trainable=trainable,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def write_rows(
    sample_ids: tf.Tensor,
    rows: Sequence[tuple[tf.Variable, tf.Tensor]],
    on_host: bool = False,
    applied: tf.Tensor | None = None,
) -> None:
    """Replaces rows of variables by those of the samples of all replicas, in every copy.

    Args:
      sample_ids: [B]; none occurs twice, on any replica.
      rows: pairs of a variable [N, ...] and its new rows [B, ...].
      on_host: whether there is one copy for all replicas, in the host's memory.
      applied: scalar, the same on all replicas: whether to; None: yes.
    """
    replica = tf.distribute.get_replica_context()
    if applied is not None:
        with tf.device("CPU:0") if on_host else contextlib.nullcontext():
            rows = [(v, tf.where(applied, new, tf.gather(v, sample_ids))) for v, new in rows]
    variables, values = zip(*rows, strict=True)
    ids, values = tf.identity(sample_ids), list(values)  # all_gather asks for the tensor's device
    if not is_alone():
        ids, *values = replica.all_gather([ids, *values], axis=0)

    def write_everywhere(strategy, ids, values):
        if on_host:
            ids, *values = (strategy.experimental_local_results(v)[0] for v in (ids, *values))
        for variable, value in zip(variables, values, strict=True):
            if on_host:
                with tf.device("CPU:0"):
                    _scatter(variable, ids, value)
            else:
                strategy.extended.update(variable, _scatter, args=(ids, value))

    replica.merge_call(write_everywhere, args=(ids, values))


def assign_everywhere(pairs: Sequence[tuple[tf.Variable, tf.Tensor]]) -> None:
    """Assigns variables of any layer; in a replica's context.

    Args:
      pairs: a variable and its new value, the same on all replicas unless the variable's copies
        differ (statistics of batch normalization).
    """
    shared = []
    for variable, value in pairs:
        if is_alone() or variable.synchronization == tf.VariableSynchronization.ON_READ:
            variable.assign(value)
        else:
            shared.append((variable, value))
    if not shared:
        return
    variables, values = zip(*shared, strict=True)

    def assign(strategy, values):
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(variable, lambda copy, new: copy.assign(new), args=(value,))

    tf.distribute.get_replica_context().merge_call(assign, args=(list(values),))


def _scatter(variable, sample_ids, values):
    return variable.scatter_update(tf.IndexedSlices(values, sample_ids))
