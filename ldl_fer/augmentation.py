"""Stateless image augmentation: (images, seed) -> images, whole batches at once."""

import tensorflow as tf

from ldl_fer.config import AugmentationConfig


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Pixels as the networks take them: (x - 127.5) / 127.5.

    Args:
      images: [..., 3] in [0, 255], any numeric type.

    Returns:
      Same shape, float32 in [-1, 1].
    """
    return (tf.cast(images, tf.float32) - 127.5) / 127.5


def pad_crop_flip(images: tf.Tensor, seed: tf.Tensor, pad: int, flip: bool) -> tf.Tensor:
    """Pads with black, crops back to the size at a random place, mirrors half of the images.

    Rows and columns are gathered by index, one gather for crop and mirror together.

    Args:
      images: [M, H, W, 3], any type.
      seed: [2], integers; equal seeds give equal results.
      pad: pixels on each side; 0 leaves the place alone.
      flip: whether to mirror.

    Returns:
      [M, H, W, 3], same type; every pixel is one of the input's, or 0.
    """
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    draws = tf.random.stateless_uniform([3, count], seed)
    top = tf.cast(draws[0] * float(2 * pad + 1), tf.int32)
    left = tf.cast(draws[1] * float(2 * pad + 1), tf.int32)
    columns = tf.tile(tf.range(width)[tf.newaxis], [count, 1])
    if flip:
        columns = tf.where(draws[2, :, tf.newaxis] < 0.5, columns[:, ::-1], columns)
    rows = top[:, tf.newaxis] + tf.range(height)
    columns += left[:, tf.newaxis]
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    cropped = tf.gather(
        tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1
    )
    return tf.ensure_shape(cropped, images.shape)


def erase(
    images: tf.Tensor,
    seed: tf.Tensor,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tf.Tensor:
    """Random erasing (Zhong et al., 2020): a rectangle of uniform noise in some of the images.

    The rectangle's area is uniform in `area` times the image's, its height-to-width ratio
    log-uniform in `aspect`; a side longer than the image is cut to it.

    Args:
      images: [M, H, W, 3], float32 in [-1, 1].
      seed: [2], integers.
      probability: chance that an image is touched.
      area: smallest and largest part of the image, in (0, 1].
      aspect: smallest and largest height / width, > 0.

    Returns:
      [M, H, W, 3], float32 in [-1, 1].
    """
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
    box_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    draws = tf.random.stateless_uniform([5, count], box_seed)
    high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    part = (area[0] + draws[0] * (area[1] - area[0])) * high * wide
    log_low, log_high = tf.math.log(float(aspect[0])), tf.math.log(float(aspect[1]))
    ratio = tf.exp(log_low + draws[1] * (log_high - log_low))
    box_height = tf.minimum(tf.round(tf.sqrt(part * ratio)), high)
    box_width = tf.minimum(tf.round(tf.sqrt(part / ratio)), wide)
    top = tf.floor(draws[2] * (high - box_height + 1.0))
    left = tf.floor(draws[3] * (wide - box_width + 1.0))
    row_inside = _inside(height, top, box_height)
    column_inside = _inside(width, left, box_width)
    touched = draws[4] < probability
    box = (
        row_inside[:, :, tf.newaxis]
        & column_inside[:, tf.newaxis]
        & touched[:, tf.newaxis, tf.newaxis]
    )
    noise = tf.random.stateless_uniform(tf.shape(images), noise_seed, -1.0, 1.0)
    return tf.where(box[..., tf.newaxis], noise, images)


def _inside(length: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    position = tf.range(tf.cast(length, tf.float32))
    start, size = start[:, tf.newaxis], size[:, tf.newaxis]
    return (position >= start) & (position < start + size)


def augment(
    images: tf.Tensor, seed: tf.Tensor, config: AugmentationConfig, erasing: bool
) -> tf.Tensor:
    """The training augmentation of a batch, normalization included.

    Args:
      images: [M, H, W, 3], uint8.
      seed: [2], integers.
      config: the settings.
      erasing: whether `config.erase_probability` applies: yes for main images, no for neighbors.

    Returns:
      [M, H, W, 3], float32 in [-1, 1].
    """
    place_seed, erase_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    images = normalize(pad_crop_flip(images, place_seed, config.pad, config.flip))
    if erasing and config.erase_probability > 0.0:
        images = erase(
            images, erase_seed, config.erase_probability, config.erase_area, config.erase_aspect
        )
    return images
