"""Stateless image augmentation: (images, seed) -> images, whole batches at once, in bytes.

Random numbers are TensorFlow's, of which a part of a batch can draw the same as the whole. Pixels
are moved by NumPy and OpenCV: TensorFlow has no operation for it that costs less than decoding.
"""

import cv2
import numpy as np
import tensorflow as tf

from ldl_fer.config.settings import AugmentationConfig
from ldl_fer.networks.pooled_maps import SIZE, columns


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
    mine = slice(first, first + count)
    arguments = [images, tf.random.stateless_uniform([3, total], seeds[0])[:, mine]]
    if erasing:
        positions = tf.range(first, first + count)[:, tf.newaxis] * [1, 0]
        arguments += [
            tf.random.stateless_uniform([5, total], seeds[1])[:, mine],
            tf.cast(seeds[2], tf.int64) + tf.cast(positions, tf.int64),
        ]

    def moved(images, place, *erasure):
        made = pad_crop_flip(images, place, config.pad, config.flip)
        if not erasing:
            return made
        draws, noise_seeds = erasure
        settings = config.erase_probability, config.erase_area, config.erase_aspect
        return erase(made, draws, noise_seeds, *settings)

    made = tf.numpy_function(moved, arguments, tf.uint8, stateful=False)
    return tf.ensure_shape(made, images.shape)


def augment_pooled(
    batch: dict[str, tf.Tensor],
    seed: tf.Tensor,
    config: AugmentationConfig,
    first: tf.Tensor | int = 0,
    total: tf.Tensor | int | None = None,
) -> dict[str, tf.Tensor]:
    """Augments pooled maps, of which there are two views: the picture, and it mirrored.

    Mirroring takes the other view. Erasing, of main images only, blots out the parts pooled from
    the upper or from the lower half of the face; there is no smaller place to be erased.

    Args:
      batch: `image` [M, 2, P] and, if there, `neighbor_image` [M, K, 2, P].
      seed, config, first, total: as `augment` takes them.

    Returns:
      The batch with `image` [M, P], `mirrored_image` [M, P], the view not taken, erased alike, and
      `neighbor_image` [M, K, P].
    """
    batch = dict(batch)
    count = tf.shape(batch["image"])[0]
    total = count if total is None else total
    seeds = tf.random.experimental.stateless_split(seed, 2)
    draws = tf.random.stateless_uniform([3, total], seeds[0])[:, first : first + count]
    images = batch["image"]
    if config.erase_probability:
        images *= _kept_parts(draws[1] < config.erase_probability, draws[2] < 0.5)[:, tf.newaxis]
    mirror = tf.cast((draws[0] < 0.5) & config.flip, tf.int32)
    batch["image"] = tf.gather(images, mirror, batch_dims=1)
    batch["mirrored_image"] = tf.gather(images, 1 - mirror, batch_dims=1)
    if "neighbor_image" in batch:
        views = batch["neighbor_image"]
        draws = tf.random.stateless_uniform([total, views.shape[1]], seeds[1])
        mirror = tf.cast((draws[first : first + count] < 0.5) & config.flip, tf.int32)
        batch["neighbor_image"] = tf.gather(views, mirror, batch_dims=2)
    return batch


def pad_crop_flip(images: np.ndarray, draws: np.ndarray, pad: int, flip: bool) -> np.ndarray:
    """Pads with black, crops back to the size at a random place, mirrors half of the images.

    Args:
      images: [M, H, W, 3], uint8.
      draws: [3, M], uniform in [0, 1): row, column, whether to mirror.
      pad: pixels on each side; 0 leaves the place alone.
      flip: whether to mirror.

    Returns:
      [M, H, W, 3], uint8; every pixel is one of the input's, or 0.
    """
    made = np.zeros_like(images)
    down = pad - (draws[0] * np.float32(2 * pad + 1)).astype(int)  # where the image's corner lands
    right = pad - (draws[1] * np.float32(2 * pad + 1)).astype(int)
    for image, crop, y, x, mirror in zip(images, made, down, right, draws[2] < 0.5, strict=True):
        if flip and mirror:
            image, x = cv2.flip(image, 1), -x
        _kept(crop, y, x)[...] = _kept(image, -y, -x)
    return made


def erase(
    images: np.ndarray,
    draws: np.ndarray,
    noise_seeds: np.ndarray,
    probability: float,
    area: tuple[float, ...],
    aspect: tuple[float, ...],
) -> np.ndarray:
    """Erases rectangles of some images by uniform noise (random erasing, Zhong et al., 2020).

    The rectangle's area is uniform in `area` times the image's, its height-to-width ratio
    log-uniform in `aspect`; a side longer than the image is cut to it.

    Args:
      images: [M, H, W, 3], uint8; changed in place.
      draws: [5, M], uniform in [0, 1): area, ratio, row, column, whether to touch the image.
      noise_seeds: [M, 2], int64.
      probability: chance that an image is touched.
      area: smallest and largest part of the image, in (0, 1].
      aspect: smallest and largest height / width, > 0.

    Returns:
      The images.
    """
    height, width = images.shape[1:3]
    part = (area[0] + draws[0] * (area[1] - area[0])) * height * width
    log_low, log_high = np.log(aspect)
    ratio = np.exp(log_low + draws[1] * (log_high - log_low))
    box_height = np.minimum(np.round(np.sqrt(part * ratio)), height).astype(int)
    box_width = np.minimum(np.round(np.sqrt(part / ratio)), width).astype(int)
    top = (draws[2] * (height - box_height + 1)).astype(int)
    left = (draws[3] * (width - box_width + 1)).astype(int)
    for i in np.flatnonzero(draws[4] < probability):
        box = images[i, top[i] : top[i] + box_height[i], left[i] : left[i] + box_width[i]]
        noise = np.random.Generator(np.random.Philox(key=noise_seeds[i].view(np.uint64)))
        box[...] = np.frombuffer(noise.bytes(box.size), np.uint8).reshape(box.shape)
    return images


def _kept(image, y, x):
    """Returns the part of an image that stays inside when it is moved by -y and -x."""
    height, width = image.shape[:2]
    return image[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]


def _kept_parts(erased, upper):
    """Returns [M, P]: 0 where a sample's upper (or else lower) half is erased, else 1."""
    halves = np.zeros([2, SIZE], np.float32)
    halves[0, columns(["lower"])] = halves[1, columns(["upper"])] = 1.0
    half = tf.gather(halves, tf.cast(upper, tf.int32))
    return 1.0 - half * tf.cast(erased, tf.float32)[:, tf.newaxis]
