"""Gradients of a batch: passes in parts, sparse rows by sample, losses scaled for float16."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

LossScaleOptimizer = tf.keras.mixed_precision.LossScaleOptimizer


def pass_in_parts(
    run: Callable[[dict[str, tf.Tensor]], tuple[list[tf.Tensor], Any]],
    batch: dict[str, tf.Tensor],
    part_size: int,
) -> tuple[list[tf.Tensor], Any]:
    """Calls `run` on consecutive parts of a batch, one after the other, never two at a time.

    Args:
      run: part -> (sums, rows): tensors that add up over samples, such as gradients of a sum, and
        a structure of tensors with a row per sample.
      batch: tensors [B, ...], B >= 1.
      part_size: samples per part, at most. Parts are of equal size, the last may be smaller.

    Returns:
      (sums, rows) of the whole batch: what `run(batch)` returns if it treats each sample by itself.
    """
    size = tf.shape(next(iter(batch.values())))[0]
    parts = -(-size // part_size)
    step = -(-size // parts)

    def at(start):
        sums, rows = run({name: value[start : start + step] for name, value in batch.items()})
        return sums, tf.nest.flatten(rows), rows

    first_sums, first_rows, structure = at(0)
    arrays = [
        tf.TensorArray(
            value.dtype, parts, infer_shape=False, element_shape=[None, *value.shape[1:]]
        ).write(0, value)
        for value in first_rows
    ]

    def body(number, sums, arrays):
        more, rows, _ = at(number * step)
        sums = [old + new for old, new in zip(sums, more, strict=True)]
        arrays = [array.write(number, value) for array, value in zip(arrays, rows, strict=True)]
        return number + 1, sums, arrays

    _, sums, arrays = tf.while_loop(
        lambda number, *_: number * step < size,
        body,
        (tf.constant(1), [tf.convert_to_tensor(value) for value in first_sums], arrays),
        parallel_iterations=1,
        maximum_iterations=parts,
    )
    return sums, tf.nest.pack_sequence_as(structure, [array.concat() for array in arrays])


def row_sums(gradient: tf.IndexedSlices, sample_ids: tf.Tensor) -> tf.Tensor:
    """Sums a sparse gradient's rows by sample, in whatever order and number they come.

    Args:
      gradient: of a variable [N].
      sample_ids: [B]; none occurs twice.

    Returns:
      [B]: for each sample, the sum of the rows that have its index; 0 if none has.
    """
    own = sample_ids[:, tf.newaxis] == tf.cast(gradient.indices, sample_ids.dtype)
    return tf.reduce_sum(tf.where(own, gradient.values, 0.0), axis=1)


def scaled(optimizer: tf.keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
    """Returns the loss times the optimizer's factor, if it has one."""
    scales = isinstance(optimizer, LossScaleOptimizer)
    return optimizer.get_scaled_loss(loss) if scales else loss


def unscaled(
    optimizer: tf.keras.optimizers.Optimizer, gradients: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Returns gradients of such a loss, without that factor."""
    scales = isinstance(optimizer, LossScaleOptimizer)
    return optimizer.get_unscaled_gradients(gradients) if scales else gradients


def step_is_taken(
    optimizer: tf.keras.optimizers.Optimizer, gradients: list[tf.Tensor]
) -> tf.Tensor | None:
    """Says whether the optimizer takes a step: not where scaled losses overflow; None: always.

    Args:
      optimizer: of the step.
      gradients: those of all replicas together, which one that overflows makes overflow.
    """
    if not (isinstance(optimizer, LossScaleOptimizer) and optimizer.dynamic):
        return None
    finite = [tf.reduce_all(tf.math.is_finite(g)) for g in gradients if g is not None]
    return tf.reduce_all(finite)
