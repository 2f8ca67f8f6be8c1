"""Makes batches from shards, in order, for training and evaluation.

Nothing is kept between batches: the order of an epoch is a seeded permutation evaluated where it is
needed (`index_shuffle`), or a draw by class (`class_sampling`), and all images of a batch,
neighbors included, are read by their numbers where they lie. So memory does not grow with the
pictures, and a batch is a pure function of (seed, step): a run can go on from any step.
"""

import atexit
import functools
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.processors import processors
from ldl_fer.data.batches import augment_batch, ensure_spec, is_pooled, read_batch
from ldl_fer.data.class_sampling import ClassSampler
from ldl_fer.data.pooled_records import VIEWS, PooledRecords
from ldl_fer.data.records import Records

_READY_BYTES = 2**30  # of batches at work and ready; a whole one of each there is in any case


def steps_per_epoch(count: int, batch_size: int, replicas: int = 1) -> int:
    """Returns how many batches show each of `count` samples once; the last may be smaller.

    Where it would have fewer samples than there are replicas, it is left out: the samples that
    miss it are others in each epoch.
    """
    whole, rest = divmod(count, batch_size)
    return whole + (rest >= replicas)


def training_dataset(
    records: Records | PooledRecords,
    config: Config,
    start_step: int = 0,
    replicas: int = 1,
    own_replicas: range = range(1),
    neighbors: int = 0,
    neighbor_images: bool = False,
) -> tf.data.Dataset:
    """Returns the augmented batches of all epochs, one after the other.

    A batch is cut into one part per replica, of sizes that differ by one at most, and only the
    parts of `own_replicas` are read: together, all machines read each image once.

    Args:
      records: the training set.
      config: batch size, epochs, seed, image size and augmentation are read from it.
      start_step: number of steps already done.
      replicas: number of all replicas, at most the batch size and the number of records.
      own_replicas: those that this dataset feeds; they take its elements in turn.
      neighbors: how many of each sample to give: K, or 0.
      neighbor_images: whether to give their images, too.

    Returns:
      A dataset of `batches.batch_spec` dicts.
    """
    steps = steps_per_epoch(len(records), config.optimizer.batch_size, replicas)
    ids_of_step = order_of_samples(records, config, steps)
    erased = None
    if config.augmentation.erase_probability and isinstance(records, PooledRecords):
        erased = records.pooled.moments[0].astype(np.float32)

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        step, part = _step_and_part(number, own_replicas)
        ids = ids_of_step(step)
        total = tf.shape(ids)[0]
        first, last = _bounds(total, part, replicas)
        mine = ids[first:last]
        batch = read_batch(records, mine, config, neighbors, neighbor_images=neighbor_images)
        seed = tf.random.experimental.stateless_fold_in([config.run.seed, 1], step)
        batch = augment_batch(batch, seed, config, first, total, erased)
        return ensure_spec(batch, config, neighbors)

    own = len(own_replicas)
    numbers = tf.data.Dataset.range(start_step * own, steps * config.optimizer.epochs * own)
    pictures = 1 + neighbors * neighbor_images
    return in_parallel(numbers, load, _bytes_of(records, config, pictures))


def ordered_dataset(
    records: Records | PooledRecords,
    config: Config,
    neighbors: int = 0,
    images: bool = True,
    replicas: int = 1,
    own_replicas: range = range(1),
    mirrored: bool = False,
) -> tf.data.Dataset:
    """Returns batches of every sample once, by sample_id, not augmented.

    Args:
      records: any set.
      config: batch size and image size are read from it.
      neighbors: how many of each sample to give (never their images).
      images: whether to give the images.
      replicas, own_replicas: as in `training_dataset`; a part of the last batch may be empty.
      mirrored: whether the images are mirrored, left to right.

    Returns:
      A dataset of dicts with some of `batches.batch_spec`'s keys.
    """
    count, batch_size = len(records), config.optimizer.batch_size

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        batch_number, part = _step_and_part(number, own_replicas)
        start = batch_number * batch_size
        ids = tf.range(start, tf.minimum(start + batch_size, count))
        first, last = _bounds(tf.shape(ids)[0], part, replicas)
        ids = tf.cast(ids[first:last], tf.int32)
        batch = read_batch(records, ids, config, neighbors, images)
        if images and is_pooled(batch):
            batch["image"] = batch["image"][:, int(mirrored)]
        elif images and mirrored:
            batch["image"] = tf.reverse(batch["image"], [2])
        return batch

    numbers = tf.data.Dataset.range(steps_per_epoch(count, batch_size) * len(own_replicas))
    return in_parallel(numbers, load, _bytes_of(records, config, int(images)))


def batch_of_samples(records: Records, sample_ids: list[int], config: Config) -> dict:
    """Reads the named samples (no name twice) with their K neighbors' images, not augmented."""
    ids = tf.constant(sample_ids, tf.int32)
    return read_batch(records, ids, config, config.data.num_neighbors, neighbor_images=True)


def order_of_samples(
    records: Records | PooledRecords, config: Config, steps: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function from a step, int64, to its sample_ids [B] int32, by --sampling.

    Args:
      records: the training set.
      config: sampling, batch size, epochs and seed are read from it.
      steps: of an epoch.
    """
    if config.data.sampling != "natural":
        labels = records.annotations().labels
        return ClassSampler(labels, len(records.class_counts), config, steps)
    count, batch_size = len(records), config.optimizer.batch_size
    return lambda step: sample_ids_of_step(step, steps, count, batch_size, config.run.seed)


def sample_ids_of_step(
    step: tf.Tensor, steps: int, count: int, batch_size: int, seed: int
) -> tf.Tensor:
    """Returns the sample_ids [B] int32 of a step: a stretch of its epoch's permutation.

    Args:
      step: int64, number of steps before it.
      steps: number of steps in an epoch.
      count: number of samples.
      batch_size: B; the last step of an epoch may have fewer.
      seed: of the run.
    """
    epoch, position = step // steps, (step % steps) * batch_size
    positions = tf.range(position, tf.minimum(position + batch_size, count))
    shuffle_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
    ids = tf.random.experimental.index_shuffle(positions, shuffle_seed, max_index=count - 1)
    return tf.cast(ids, tf.int32)


def in_parallel(
    numbers: tf.data.Dataset, load: Callable[..., Any], batch_bytes: int
) -> tf.data.Dataset:
    """Loads elements in order, as many at a time as there are processors, and as many ready.

    Fewer where both together would take more than `_READY_BYTES`: many neighbors' images do.
    Without TensorFlow's tuning of the two: its thread, asleep, held up the end of a dataset for up
    to a minute. An operation has one thread: there are as many batches at work as processors.

    Args:
      numbers: what the batches are made from.
      load: makes one, in a graph.
      batch_bytes: of a batch.
    """
    _ended_at_exit()
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.max_intra_op_parallelism = 1
    count = max(1, min(processors(), _READY_BYTES // (2 * batch_bytes)))
    load = tf.autograph.experimental.do_not_convert(load)  # nothing to convert: seconds saved
    return numbers.map(load, count, deterministic=True).prefetch(count).with_options(options)


@functools.cache
def _ended_at_exit() -> None:
    """Has `_end_iterators` called at the end of a program that made a dataset; others need not."""
    atexit.register(_end_iterators)


def _end_iterators() -> None:
    """Ends the iterators that are left when Python ends.

    Their threads would call Python, which then answers no more, and TensorFlow would wait for them.
    """
    kind = type(iter(tf.data.Dataset.range(0)))
    for thing in gc.get_objects():
        if type(thing) is kind:
            vars(thing).clear()


def _bytes_of(records, config, pictures):
    """Returns the bytes of a batch of so many pictures a sample; its other columns are small."""
    if isinstance(records, PooledRecords):
        each = VIEWS * 4 * records.pooled.size
    else:
        each = 3 * config.data.image_size**2
    return max(1, config.optimizer.batch_size * pictures * each)


def _step_and_part(number, own_replicas):
    """Returns the step, and the replica whose part of it the element of that number is."""
    own = len(own_replicas)
    return number // own, tf.cast(number % own, tf.int32) + own_replicas.start


def _bounds(total, part, replicas):
    """Returns where a replica's part of a batch begins and ends."""
    return total * part // replicas, total * (part + 1) // replicas
