"""Stateless image augmentation within a graph: (images, seed) -> images, in bytes.

Random numbers are drawn for the whole batch, so that a part of it gets the same as in the whole.
"""

import math

import numpy as np
import tensorflow as tf

from ldl_fer.config.settings import AugmentationConfig
from ldl_fer.networks.pooled_maps import columns


def augment(
    images: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentationConfig,
    erasing: bool,
    first: tf.Tensor | int = 0,
    total: tf.Tensor | int | None = None,
) -> tf.Tensor:
    """Augments a batch of training images, or consecutive rows of it.

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
      [M, H, W, 3], uint8.
    """
    erasing = erasing and config.erase_probability > 0.0
    if not (erasing or config.pad or config.flip):
        return images
    count = tf.shape(images)[0]
    total = count if total is None else total
    seeds = tf.random.experimental.stateless_split(seed, 3)
    draws = tf.random.stateless_uniform([3, total], seeds[0])[:, first : first + count]
    if config.pad or config.flip:
        images = pad_crop_flip(images, draws, config.pad, config.flip)
    return _erased(images, seeds[1:], config, first, total) if erasing else images


def augment_views(
    images: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentationConfig,
    first: tf.Tensor | int = 0,
    total: tf.Tensor | int | None = None,
) -> dict[str, tf.Tensor]:
    """Augments a batch of training images, and mirrors it; both views are erased apart.

    Args:
      images, seed, config, first, total: as `augment` takes them.

    Returns:
      `image` and `mirrored_image`, uint8 [M, H, W, 3]: where nothing is erased, each other's mirror
      image.
    """
    total = tf.shape(images)[0] if total is None else total
    seeds = tf.random.experimental.stateless_split(seed, 5)
    placed = augment(images, seeds[0], config, False, first, total)
    return {
        "image": _erased(placed, seeds[1:3], config, first, total),
        "mirrored_image": _erased(tf.reverse(placed, [2]), seeds[3:], config, first, total),
    }


def _erased(images, seeds, config, first, total):
    """Returns images erased at random, by two seeds: of the rectangles and of the noise."""
    draws = tf.random.stateless_uniform([5, total], seeds[0])
    settings = config.erase_probability, config.erase_area, config.erase_aspect
    return erase(images, draws, seeds[1], *settings, first)


def augment_pooled(
    batch: dict[str, tf.Tensor],
    seed: tf.Tensor,
    config: AugmentationConfig,
    first: tf.Tensor | int = 0,
    total: tf.Tensor | int | None = None,
    erased: np.ndarray | None = None,
) -> dict[str, tf.Tensor]:
    """Augments pooled maps, of which there are two views: the picture, and it mirrored.

    Mirroring takes the other view. Erasing, of main images only, blots out the parts pooled from
    the upper or from the lower half of the face, of both views alike or, if the settings say so, of
    each by itself; there is no smaller place to be erased.

    Args:
      batch: `image` [M, 2, P] and, if there, `neighbor_image` [M, K, 2, P].
      seed, config, first, total: as `augment` takes them.
      erased: [P], what stands in place of what is erased, the training set's mean; None: zeros.

    Returns:
      The batch with `image` [M, P], `mirrored_image` [M, P], the view not taken, and
      `neighbor_image` [M, K, P].
    """
    batch = dict(batch)
    count = tf.shape(batch["image"])[0]
    total = count if total is None else total
    seeds = tf.random.experimental.stateless_split(seed, 2)
    draws = tf.random.stateless_uniform([3, total], seeds[0])[:, first : first + count]
    images = batch["image"]
    if config.erase_probability:
        chances = draws[1:, :, tf.newaxis]  # [2, M, 1]: both views alike
        if config.erase_apart:
            other = tf.random.experimental.stateless_fold_in(seeds[0], 1)
            other = tf.random.stateless_uniform([2, total], other)[:, first : first + count]
            chances = tf.stack([draws[1:], other], axis=-1)
        erased_views, upper = chances[0] < config.erase_probability, chances[1] < 0.5
        kept = _kept_parts(erased_views, upper, images.shape[-1])
        images = tf.where(kept, images, 0.0 if erased is None else erased)
    mirror = tf.cast((draws[0] < 0.5) & config.flip, tf.int32)
    batch["image"] = tf.gather(images, mirror, batch_dims=1)
    batch["mirrored_image"] = tf.gather(images, 1 - mirror, batch_dims=1)
    if "neighbor_image" in batch:
        views = batch["neighbor_image"]
        draws = tf.random.stateless_uniform([total, views.shape[1]], seeds[1])
        mirror = tf.cast((draws[first : first + count] < 0.5) & config.flip, tf.int32)
        batch["neighbor_image"] = tf.gather(views, mirror, batch_dims=2)
    return batch


def pad_crop_flip(images: tf.Tensor, draws: tf.Tensor, pad: int, flip: bool) -> tf.Tensor:
    """Pads with black, crops back to the size at a random place, mirrors half of the images.

    Args:
      images: [M, H, W, 3], uint8.
      draws: [3, M], uniform in [0, 1): row, column, whether to mirror.
      pad: pixels on each side; 0 leaves the place alone.
      flip: whether to mirror.

    Returns:
      [M, H, W, 3], uint8; every pixel is one of the input's, or 0.
    """
    count, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    down, right = tf.unstack(tf.cast(draws[:2] * (2 * pad + 1), tf.int32))
    order = tf.range(count)
    if flip:  # those to be mirrored come last
        mirrored = draws[2] < 0.5
        order = tf.argsort(tf.cast(mirrored, tf.int32), stable=True)
        right = tf.where(mirrored, 2 * pad - right, right)
        as_is, others = tf.dynamic_partition(images, tf.cast(mirrored, tf.int32), 2)
        others = tf.reverse(tf.reshape(others, [-1, width, channels]), [1])  # fast with 3 axes
        images = tf.concat([as_is, tf.reshape(others, [-1, height, width, channels])], axis=0)
    # In one line of bytes, a crop with all that stands right of it is one stretch, the others are
    # before and behind it. A spare row at the bottom has the lowest crop end within its own image.
    black = [[0, 0], [pad, pad + 1], [channels * pad, channels * pad]]
    padded = tf.pad(tf.reshape(images, [-1, height, channels * width]), black)
    pitch = channels * (width + 2 * pad)
    before = tf.gather(down * pitch + channels * right, order)
    length = height * pitch
    behind = (2 * pad + 1) * pitch - before
    lengths = tf.stack([before, tf.fill([count], length), behind], axis=1)
    lengths = tf.cast(tf.reshape(lengths, [-1]), tf.int64)
    pieces = tf.raw_ops.TensorListSplit(
        tensor=tf.reshape(padded, [-1]), element_shape=[-1], lengths=lengths
    )
    crops = tf.raw_ops.TensorListGather(
        input_handle=pieces,
        indices=3 * tf.math.invert_permutation(order) + 1,
        element_shape=[length],
        element_dtype=images.dtype,
    )
    return tf.reshape(crops, [-1, height, width + 2 * pad, channels])[:, :, :width]


def erase(
    images: tf.Tensor,
    draws: tf.Tensor,
    noise_seed: tf.Tensor,
    probability: float,
    area: tuple[float, ...],
    aspect: tuple[float, ...],
    first: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Erases rectangles of some images by uniform noise (random erasing, Zhong et al., 2020).

    The rectangle's area is uniform in `area` times the image's, its height-to-width ratio
    log-uniform in `aspect`; a side longer than the image is cut to it.

    Args:
      images: [M, H, W, 3], uint8: M consecutive rows of a batch of N.
      draws: [5, N], uniform in [0, 1): area, ratio, row, column, whether to touch the image.
      noise_seed: [2], integers.
      probability: chance that an image is touched.
      area: smallest and largest part of the image, in (0, 1].
      aspect: smallest and largest height / width, > 0.
      first: position of the first image in the batch.

    Returns:
      [M, H, W, 3], uint8.
    """
    height, width = images.shape[1:3]
    part = (area[0] + draws[0] * (area[1] - area[0])) * (height * width)
    log_low, log_high = (math.log(ratio) for ratio in aspect)
    ratio = tf.exp(log_low + draws[1] * (log_high - log_low))
    box_height = tf.minimum(tf.round(tf.sqrt(part * ratio)), height)
    box_width = tf.minimum(tf.round(tf.sqrt(part / ratio)), width)
    top = tf.floor(draws[2] * (height - box_height + 1))[:, tf.newaxis]
    left = tf.cast(draws[3] * (width - box_width + 1), tf.int32)
    # What is erased of a row of pixels is one stretch: only such rows are read, and written anew.
    rows = tf.range(height, dtype=tf.float32)
    touched = draws[4][:, tf.newaxis] < probability
    places = tf.where(touched & (rows >= top) & (rows < top + box_height[:, tf.newaxis]))
    words = -(-3 * width // 4)  # of four bytes, in a row
    noise = tf.random.stateless_uniform(
        [tf.shape(places)[0], words], noise_seed, None, None, tf.int32
    )
    bounds = tf.cast([first, first + tf.shape(images)[0]], tf.int64)
    own = slice(*tf.unstack(tf.searchsorted(places[:, 0], bounds)))
    noise = tf.reshape(tf.bitcast(noise[own], tf.uint8), [-1, 4 * words])[:, : 3 * width]
    places, columns = places[own], tf.range(3 * width)
    begin = 3 * tf.gather(left, places[:, 0])[:, tf.newaxis]
    end = begin + 3 * tf.gather(tf.cast(box_width, tf.int32), places[:, 0])[:, tf.newaxis]
    places -= [[bounds[0], 0]]
    flat = tf.reshape(images, [-1, height, 3 * width])
    made = tf.where((columns >= begin) & (columns < end), noise, tf.gather_nd(flat, places))
    return tf.reshape(tf.tensor_scatter_nd_update(flat, places, made), tf.shape(images))


def _kept_parts(erased, upper, size):
    """Says which of P parts are left, [..., P], where the upper (or else lower) half is erased."""
    halves = np.zeros([2, size], bool)
    halves[0, columns(["lower"], size=size)] = halves[1, columns(["upper"], size=size)] = True
    half = tf.gather(halves, tf.cast(upper, tf.int32))
    return tf.logical_not(half & erased[..., tf.newaxis])
