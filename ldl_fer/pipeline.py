"""From shards to batches: order, neighbors, decoding, augmentation.

Nothing is kept between batches: the order of an epoch is a seeded permutation evaluated where it is
needed (`index_shuffle`), and all images of a batch, neighbors included, are read in one call
through the shards' offset index. So memory does not grow with the data set, and a batch is a pure
function of (seed, step): a run can go on from any step.
"""

import os

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.augmentation import augment, augment_pooled
from ldl_fer.config import Config
from ldl_fer.pooled_records import PooledRecords
from ldl_fer.records import Records


def batch_spec(
    image_size: int, num_neighbors: int, pooled_size: int = 0
) -> dict[str, tf.TensorSpec]:
    """What a training batch holds; every dataset here yields these keys or some of them.

    Args:
      image_size: H = W, pixels.
      num_neighbors: K.
      pooled_size: P; above 0, pooled maps float32 [B, P] stand in place of images, and
        `mirrored_image` holds those of the mirrored pictures.
    """
    image, kind = [image_size, image_size, 3], tf.uint8
    if pooled_size:
        image, kind = [pooled_size], tf.float32
    spec = {
        "sample_id": tf.TensorSpec([None], tf.int32),
        "label": tf.TensorSpec([None], tf.int32),
        "image": tf.TensorSpec([None, *image], kind),
        "neighbors": tf.TensorSpec([None, num_neighbors], tf.int32),
        "neighbor_labels": tf.TensorSpec([None, num_neighbors], tf.int32),
        "local_similarity": tf.TensorSpec([None, num_neighbors], tf.float32),
        "neighbor_image": tf.TensorSpec([None, num_neighbors, *image], kind),
    }
    if pooled_size:
        spec["mirrored_image"] = spec["image"]
    return spec


def steps_per_epoch(count: int, batch_size: int, replicas: int = 1) -> int:
    """Number of batches that show each of `count` samples once; the last may be smaller.

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
) -> tf.data.Dataset:
    """Augmented batches of all epochs, one after the other.

    A batch is cut into one part per replica, of sizes that differ by one at most, and only the
    parts of `own_replicas` are read: together, all machines read each image once.

    Args:
      records: the training set.
      config: batch size, epochs, seed, augmentation, K and the form of Eq. 2 are read from it.
        Methods that do not look at neighbors have none in their batches, and with
        `neighbors="bank"` there are no images of them.
      start_step: number of steps already done.
      replicas: number of all replicas, at most the batch size and the number of records.
      own_replicas: those that this dataset feeds; they take its elements in turn.

    Returns:
      A dataset of `batch_spec` dicts.
    """
    count, batch_size = len(records), config.optimizer.batch_size
    steps = steps_per_epoch(count, batch_size, replicas)

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        step, part = _step_and_part(number, own_replicas)
        ids = sample_ids_of_step(step, steps, count, batch_size, config.run.seed)
        total = tf.shape(ids)[0]
        first, last = _bounds(total, part, replicas)
        mine = ids[first:last]
        batch = _read(
            records, mine, config, config.neighbors_read, neighbor_images=config.neighbors_run
        )
        seed = tf.random.experimental.stateless_fold_in([config.run.seed, 1], step)
        if isinstance(records, PooledRecords):
            batch = augment_pooled(batch, seed, config.augmentation, first, total)
        else:
            batch = _augment(batch, seed, config, first, total)
        return _with_spec(batch, config)

    own = len(own_replicas)
    numbers = tf.data.Dataset.range(start_step * own, steps * config.optimizer.epochs * own)
    return _in_parallel(numbers, load)


def ordered_dataset(
    records: Records | PooledRecords,
    config: Config,
    neighbors: bool = False,
    images: bool = True,
    replicas: int = 1,
    own_replicas: range = range(1),
) -> tf.data.Dataset:
    """Every sample once, by sample_id, not augmented: for evaluation and construction.

    Args:
      records: any set.
      config: batch size, image size, K and the form of Eq. 2 are read from it.
      neighbors: whether to give the neighbors (never their images).
      images: whether to give the images.
      replicas, own_replicas: as in `training_dataset`; a part of the last batch may be empty.

    Returns:
      A dataset of dicts with some of `batch_spec`'s keys.
    """
    count, batch_size = len(records), config.optimizer.batch_size
    wanted = config.data.num_neighbors if neighbors else 0

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        batch_number, part = _step_and_part(number, own_replicas)
        start = batch_number * batch_size
        ids = tf.range(start, tf.minimum(start + batch_size, count))
        first, last = _bounds(tf.shape(ids)[0], part, replicas)
        ids = tf.cast(ids[first:last], tf.int32)
        batch = _read(records, ids, config, wanted, images)
        if images and isinstance(records, PooledRecords):
            batch["image"] = batch["image"][:, 0]
        return batch

    numbers = tf.data.Dataset.range(steps_per_epoch(count, batch_size) * len(own_replicas))
    return _in_parallel(numbers, load)


def batch_of_samples(records: Records, sample_ids: list[int], config: Config) -> dict:
    """The named samples (no name twice) with their neighbors' images, not augmented."""
    ids = tf.constant(sample_ids, tf.int32)
    return _read(records, ids, config, config.data.num_neighbors, neighbor_images=True)


def _in_parallel(numbers, load):
    """Elements in order, as many at work as there are processors, a few ready.

    Without TensorFlow's tuning of the two: its thread, asleep, held up the end of a dataset for up
    to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    workers = os.cpu_count()
    return numbers.map(load, workers, deterministic=True).prefetch(workers).with_options(options)


def _step_and_part(number, own_replicas):
    """Which step, and which replica's part of it, the element of that number is."""
    own = len(own_replicas)
    return number // own, tf.cast(number % own, tf.int32) + own_replicas.start


def _bounds(total, part, replicas):
    """Where a replica's part of a batch begins and ends."""
    return total * part // replicas, total * (part + 1) // replicas


def sample_ids_of_step(
    step: tf.Tensor, steps: int, count: int, batch_size: int, seed: int
) -> tf.Tensor:
    """sample_ids [B] int32 of a step: a stretch of its epoch's permutation.

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


def _read(records, ids, config, wanted, images=True, neighbor_images=False):
    """Records of the samples with `wanted` neighbors each."""
    names = ["sample_id", "label"] + ["image"] * images
    if wanted:
        names += ["valence_arousal", "neighbors", "neighbor_labels", "neighbor_valence_arousal"]
    parsed = records.examples(ids, names)
    batch = {"sample_id": parsed["sample_id"], "label": parsed["label"]}
    if wanted:
        batch["neighbors"] = parsed["neighbors"][:, :wanted]
        batch["neighbor_labels"] = parsed["neighbor_labels"][:, :wanted]
        batch["local_similarity"] = equations.local_similarity(
            parsed["valence_arousal"],
            parsed["neighbor_valence_arousal"][:, :wanted],
            config.method.delta,
            config.method.similarity_kernel,
        )
    if neighbor_images:
        # A picture that is wanted several times, as a sample or as a neighbor, is decoded once.
        count = tf.shape(ids)[0]
        everyone = tf.concat([ids, tf.reshape(batch["neighbors"], [-1])], axis=0)
        distinct, place = tf.unique(everyone)
        others = records.examples(distinct[count:], ["image"])
        decoded = _decoded(tf.concat([parsed["image"], others["image"]], axis=0), config)
        batch["image"] = decoded[:count]
        neighbor_image = tf.gather(decoded, place[count:])
        batch["neighbor_image"] = tf.reshape(neighbor_image, [-1, wanted, *decoded.shape[1:]])
    elif images:
        batch["image"] = _decoded(parsed["image"], config)
    return batch


def _decoded(images, config):
    """Pixels of encoded pictures; pooled maps as they are."""
    return decode(images, config.data.image_size) if images.dtype == tf.string else images


def decode(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Encoded images [M] of size x size pixels -> uint8 [M, size, size, 3]."""

    def one(content):
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        return tf.ensure_shape(image, [size, size, 3])

    return tf.map_fn(one, encoded, fn_output_signature=tf.uint8, parallel_iterations=32)


def _augment(batch, seed, config, first, total):
    main_seed, neighbor_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    batch = dict(batch)
    batch["image"] = augment(batch["image"], main_seed, config.augmentation, True, first, total)
    if "neighbor_image" in batch:
        shape = tf.shape(batch["neighbor_image"])
        flat = tf.reshape(batch["neighbor_image"], [-1, *batch["image"].shape[1:]])
        places = first * shape[1], total * shape[1]
        flat = augment(flat, neighbor_seed, config.augmentation, False, *places)
        batch["neighbor_image"] = tf.reshape(flat, shape)
    return batch


def _with_spec(batch, config):
    pooled_size = batch["image"].shape[-1] if batch["image"].shape.rank == 2 else 0
    spec = batch_spec(config.data.image_size, config.data.num_neighbors, pooled_size)
    return {name: tf.ensure_shape(batch[name], spec[name].shape) for name in batch}
