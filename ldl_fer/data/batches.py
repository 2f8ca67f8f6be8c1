"""Batches: their keys and shapes, how they are read, how their images are changed at random."""

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.augmentation import augment, augment_pooled, augment_views
from ldl_fer.data.pooled_records import PooledRecords
from ldl_fer.data.records import Records


def batch_spec(
    image_size: int,
    num_neighbors: int,
    pooled_size: int = 0,
    both_views: bool = False,
    auxiliary_size: int = 2,
) -> dict[str, tf.TensorSpec]:
    """Returns keys, shapes and types of a training batch; other datasets have some of the keys.

    Args:
      image_size: H = W, pixels.
      num_neighbors: K.
      pooled_size: P; above 0, pooled maps float32 [B, P] stand in place of images, and
        `mirrored_image` holds those of the mirrored pictures.
      both_views: whether it is there for images, too.
      auxiliary_size: D of the auxiliary space.
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
        "auxiliary": tf.TensorSpec([None, auxiliary_size], tf.float32),
        "neighbor_auxiliary": tf.TensorSpec([None, num_neighbors, auxiliary_size], tf.float32),
        "neighbor_image": tf.TensorSpec([None, num_neighbors, *image], kind),
    }
    if pooled_size or both_views:
        spec["mirrored_image"] = spec["image"]
    return spec


def read_batch(
    records: Records | PooledRecords,
    ids: tf.Tensor,
    config: Config,
    neighbors: int = 0,
    images: bool = True,
    neighbor_images: bool = False,
) -> dict[str, tf.Tensor]:
    """Reads samples, not augmented.

    Args:
      records: any set.
      ids: sample_ids [B] int32, none twice.
      config: the image size is read from it.
      neighbors: how many of each to give; 0: places in the auxiliary space are left out, too.
      images: whether to give the images.
      neighbor_images: whether to give the neighbors' images, too.

    Returns:
      The keys of `batch_spec` that are wanted; images [B, H, W, 3] uint8, or pooled maps [B, P].
    """
    names = ["sample_id", "label"]
    of_neighbors = ("neighbors", "neighbor_labels", "neighbor_auxiliary")
    if neighbors:
        names += ["auxiliary", *of_neighbors]
    batch = records.examples(ids, names)
    for name in of_neighbors if neighbors else ():
        batch[name] = batch[name][:, :neighbors]
    if neighbor_images:
        everyone = tf.concat([ids, tf.reshape(batch["neighbors"], [-1])], axis=0)
        found = records.examples(everyone, ["image"])["image"]
        batch["image"], others = found[: tf.shape(ids)[0]], found[tf.shape(ids)[0] :]
        batch["neighbor_image"] = tf.reshape(others, [-1, neighbors, *found.shape[1:]])
    elif images:
        batch["image"] = records.examples(ids, ["image"])["image"]
    return batch


def augment_batch(
    batch: dict[str, tf.Tensor],
    seed: tf.Tensor,
    config: Config,
    first: tf.Tensor,
    total: tf.Tensor,
    erased: np.ndarray | None = None,
) -> dict[str, tf.Tensor]:
    """Changes the images (and the neighbors') of a part of a batch at random.

    Args:
      batch: of `read_batch`.
      seed: [2], of the step.
      config: which changes.
      first: the part's first row in the whole batch of all replicas.
      total: rows of the whole batch.
      erased: [P], what stands in pooled maps in place of what is erased; None: zeros.

    Returns:
      The batch with other images, of the same shapes and types; with their mirror images, too,
      where both are erased apart.
    """
    settings = config.augmentation
    if is_pooled(batch):
        return augment_pooled(batch, seed, settings, first, total, erased)
    main_seed, neighbor_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    batch = dict(batch)
    if settings.erase_apart and settings.erase_probability:
        batch |= augment_views(batch["image"], main_seed, settings, first, total)
    else:
        batch["image"] = augment(batch["image"], main_seed, settings, True, first, total)
    if "neighbor_image" in batch:
        shape = tf.shape(batch["neighbor_image"])
        flat = tf.reshape(batch["neighbor_image"], [-1, *batch["image"].shape[1:]])
        places = first * shape[1], total * shape[1]
        flat = augment(flat, neighbor_seed, settings, False, *places)
        batch["neighbor_image"] = tf.reshape(flat, shape)
    return batch


def is_pooled(batch: dict[str, tf.Tensor]) -> bool:
    """Returns whether a batch of `read_batch` has maps [B, 2, P] of both views for images."""
    return batch["image"].shape.rank == 3


def ensure_spec(
    batch: dict[str, tf.Tensor], config: Config, neighbors: int
) -> dict[str, tf.Tensor]:
    """Returns the batch, its static shapes checked against `batch_spec`."""
    pooled_size = batch["image"].shape[-1] if batch["image"].shape.rank == 2 else 0
    both_views = "mirrored_image" in batch
    auxiliary_size = batch["auxiliary"].shape[-1] if "auxiliary" in batch else 0
    spec = batch_spec(config.data.image_size, neighbors, pooled_size, both_views, auxiliary_size)
    return {name: tf.ensure_shape(batch[name], spec[name].shape) for name in batch}
