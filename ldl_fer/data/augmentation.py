"""Stateless image augmentation: (images, seed) -> images, whole batches at once, in bytes.

Random numbers are TensorFlow's, of which a part of a batch can draw the same as the whole. Pixels
are moved by NumPy and OpenCV: TensorFlow has no operation for it that costs less than decoding.
"""

import cv2
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

    def moved(images, draws):
        return pad_crop_flip(images, draws, config.pad, config.flip)

    if config.pad or config.flip:
        made = tf.numpy_function(moved, [images, draws], tf.uint8, stateful=False)
        images = tf.ensure_shape(made, images.shape)
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
    count = tf.shape(images)[0]
    draws = tf.random.stateless_uniform([5, total], seeds[0])[:, first : first + count]
    positions = tf.range(first, first + count)[:, tf.newaxis] * [1, 0]
    noise_seeds = tf.cast(seeds[1], tf.int64) + tf.cast(positions, tf.int64)

    def made(images, draws, noise_seeds):
        settings = config.erase_probability, config.erase_area, config.erase_aspect
        return erase(images.copy(), draws, noise_seeds, *settings)

    erased = tf.numpy_function(made, [images, draws, noise_seeds], tf.uint8, stateful=False)
    return tf.ensure_shape(erased, images.shape)


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


def _kept_parts(erased, upper, size):
    """Says which of P parts are left, [..., P], where the upper (or else lower) half is erased."""
    halves = np.zeros([2, size], bool)
    halves[0, columns(["lower"], size=size)] = halves[1, columns(["upper"], size=size)] = True
    half = tf.gather(halves, tf.cast(upper, tf.int32))
    return tf.logical_not(half & erased[..., tf.newaxis])
