"""A batch that is too large for a device, passed in parts: sums are added up, rows are joined."""

from collections.abc import Callable

import tensorflow as tf

Passed = tuple[list[tf.Tensor], dict[str, tf.Tensor]]


def pass_in_parts(
    run: Callable[[dict[str, tf.Tensor]], Passed], batch: dict[str, tf.Tensor], part_size: int
) -> Passed:
    """Calls `run` on consecutive parts of a batch, one after the other, never two at a time.

    Args:
      run: part -> (sums, rows): tensors that add up over samples, such as gradients of a sum, and
        tensors with a row per sample.
      batch: tensors [B, ...], B >= 1.
      part_size: samples per part, at most. Parts are of equal size, the last may be smaller.

    Returns:
      (sums, rows) of the whole batch: what `run(batch)` returns if it treats each sample by itself.
    """
    size = tf.shape(next(iter(batch.values())))[0]
    parts = -(-size // part_size)
    step = -(-size // parts)

    def at(start):
        return run({name: value[start : start + step] for name, value in batch.items()})

    first_sums, first_rows = at(0)
    arrays = {
        name: tf.TensorArray(
            value.dtype, parts, infer_shape=False, element_shape=[None, *value.shape[1:]]
        ).write(0, value)
        for name, value in first_rows.items()
    }

    def body(number, sums, arrays):
        more, rows = at(number * step)
        sums = [old + new for old, new in zip(sums, more, strict=True)]
        arrays = {name: array.write(number, rows[name]) for name, array in arrays.items()}
        return number + 1, sums, arrays

    _, sums, arrays = tf.while_loop(
        lambda number, *_: number * step < size,
        body,
        (tf.constant(1), [tf.convert_to_tensor(value) for value in first_sums], arrays),
        parallel_iterations=1,
        maximum_iterations=parts,
    )
    return sums, {name: array.concat() for name, array in arrays.items()}
