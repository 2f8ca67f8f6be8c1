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


def pad_crop_flip(images: tf.Tensor, draws: tf.Tensor, pad: int, flip: bool) -> tf.Tensor:
    """Pads with black, crops back to the size at a random place, mirrors half of the images.

    Rows and columns are gathered by index, one gather for crop and mirror together.

    Args:
      images: [M, H, W, 3], any type.
      draws: [3, M], uniform in [0, 1): row, column, whether to mirror.
      pad: pixels on each side; 0 leaves the place alone.
      flip: whether to mirror.

    Returns:
      [M, H, W, 3], same type; every pixel is one of the input's, or 0.
    """
    count, height, width = (tf.shape(images)[axis] for axis in range(3))
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
    draws: tf.Tensor,
    noise_seeds: tf.Tensor,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tf.Tensor:
    """Random erasing (Zhong et al., 2020): a rectangle of uniform noise in some of the images.

    The rectangle's area is uniform in `area` times the image's, its height-to-width ratio
    log-uniform in `aspect`; a side longer than the image is cut to it.

    Args:
      images: [M, H, W, 3], float32 in [-1, 1].
      draws: [5, M], uniform in [0, 1): area, ratio, row, column, whether to touch the image.
      noise_seeds: [M, 2], integers.
      probability: chance that an image is touched.
      area: smallest and largest part of the image, in (0, 1].
      aspect: smallest and largest height / width, > 0.

    Returns:
      [M, H, W, 3], float32 in [-1, 1].
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    high, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    part = (area[0] + draws[0] * (area[1] - area[0])) * high * wide
    log_low, log_high = tf.math.log(float(aspect[0])), tf.math.log(float(aspect[1]))
    ratio = tf.exp(log_low + draws[1] * (log_high - log_low))
    box_height = tf.minimum(tf.round(tf.sqrt(part * ratio)), high)
    box_width = tf.minimum(tf.round(tf.sqrt(part / ratio)), wide)
    row_inside = _inside(height, tf.floor(draws[2] * (high - box_height + 1.0)), box_height)
    column_inside = _inside(width, tf.floor(draws[3] * (wide - box_width + 1.0)), box_width)
    touched = draws[4] < probability
    box = row_inside[:, :, tf.newaxis] & column_inside[:, tf.newaxis]

    def one(row):
        image, inside, is_touched, seed = row

        def erased():
            noise = tf.random.stateless_uniform(tf.shape(image), seed, -1.0, 1.0)
            return tf.where(inside[..., tf.newaxis], noise, image)

        return tf.cond(is_touched, erased, lambda: image)

    rows = images, box, touched, noise_seeds
    erased = tf.map_fn(one, rows, fn_output_signature=tf.float32, parallel_iterations=32)
    return tf.reshape(erased, tf.shape(images))


def _inside(length: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    position = tf.range(tf.cast(length, tf.float32))
    start, size = start[:, tf.newaxis], size[:, tf.newaxis]
    return (position >= start) & (position < start + size)


def augment(
    images: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentationConfig,
    erasing: bool,
    first: tf.Tensor | int = 0,
    total: tf.Tensor | int | None = None,
) -> tf.Tensor:
    """The training augmentation of a batch or of consecutive rows of it, normalization included.

    Parts of a batch, augmented apart with the same seed, are augmented as in the whole: a replica
    treats its images as a single machine would.

    Args:
      images: [M, H, W, 3], uint8.
      seed: [2], integers.
      config: the settings.
      erasing: whether `config.erase_probability` applies: yes for main images, no for neighbors.
      first: position of the first image in the batch.
      total: number of images in the batch; None: M.

    Returns:
      [M, H, W, 3], float32 in [-1, 1].
    """
    count = tf.shape(images)[0]
    total = count if total is None else total
    place_seed, box_seed, noise_seed = tf.unstack(
        tf.random.experimental.stateless_split(seed, 3), num=3
    )
    mine = slice(first, first + count)
    place = tf.random.stateless_uniform([3, total], place_seed)[:, mine]
    images = normalize(pad_crop_flip(images, place, config.pad, config.flip))
    if erasing and config.erase_probability > 0.0:
        boxes = tf.random.stateless_uniform([5, total], box_seed)[:, mine]
        positions = tf.range(first, first + count)[:, tf.newaxis] * [1, 0]
        noise_seeds = noise_seed + tf.cast(positions, noise_seed.dtype)
        images = erase(
            images,
            boxes,
            noise_seeds,
            config.erase_probability,
            config.erase_area,
            config.erase_aspect,
        )
    return images
