"""Augmentation is a function of (images, seed) and does what its settings say."""

import numpy as np
import tensorflow as tf

from ldl_fer.augmentation import augment, erase, pad_crop_flip
from ldl_fer.config import PRESETS

SEED = tf.constant([3, 5])


def draws(numbers, count, seed=SEED):
    return tf.random.stateless_uniform([numbers, count], seed).numpy()


def images(count=64, size=8):
    # Every pixel of an image has another value, and none is 0, the padding's.
    values = 1 + np.arange(size * size * 3, dtype=np.uint8).reshape(size, size, 3)
    return np.stack([values] * count)


def test_equal_draws_equal_results_and_images_differ_among_themselves():
    first, second = (pad_crop_flip(images(), draws(3, 64), 2, True) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (pad_crop_flip(images(), draws(3, 64, SEED + 1), 2, True) != first).any()
    assert len({image.tobytes() for image in first}) > 10


def test_every_crop_is_a_shifted_or_mirrored_original():
    pad, original = 2, images(1)[0]
    padded = np.pad(original, [(pad, pad), (pad, pad), (0, 0)])
    allowed = set()
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[top : top + 8, left : left + 8]
            allowed |= {crop.tobytes(), crop[:, ::-1].tobytes()}
    # 25 places, mirrored or not; 2,000 draws meet each with near certainty
    many = pad_crop_flip(images(2000), draws(3, 2000), pad, True)
    seen = {image.tobytes() for image in many}
    assert seen == allowed


def test_no_pad_and_no_flip_is_the_identity():
    np.testing.assert_array_equal(pad_crop_flip(images(), draws(3, 64), 0, False), images())


def test_half_of_the_images_are_mirrored():
    original = images(2000)
    mirrored = pad_crop_flip(images(2000), draws(3, 2000), 0, True) != original
    mirrored = mirrored.any((1, 2, 3))
    # binomial(2000, 1/2): standard deviation 0.011
    assert abs(mirrored.mean() - 0.5) < 0.05


def test_erasing_draws_one_rectangle_of_the_configured_area():
    blank = np.zeros([2000, 20, 20, 3], np.uint8)
    seeds = np.stack([np.arange(2000), np.zeros(2000, int)], axis=1)
    erased = erase(blank, draws(5, 2000), seeds, 0.5, (0.1, 0.3), (0.5, 2.0))
    touched = (erased != 0).any(-1)
    hit = touched.any((1, 2))
    assert abs(hit.mean() - 0.5) < 0.05
    for box in touched[hit]:
        rows, columns = box.any(1), box.any(0)
        np.testing.assert_array_equal(box, np.outer(rows, columns))
        assert np.diff(np.flatnonzero(rows)).max(initial=1) == 1
        height, width = rows.sum(), columns.sum()
        # rounding moves each side by up to half a pixel
        assert (height + 0.5) * (width + 0.5) >= 0.1 * 400
        assert (height - 0.5) * (width - 0.5) <= 0.3 * 400
        assert (height - 0.5) / (width + 0.5) <= 2.0
        assert (height + 0.5) / (width - 0.5) >= 0.5
    # uniform on 0 ... 255: mean 127.5
    noise = erased[touched]
    assert noise.min() == 0 and noise.max() == 255 and abs(noise.mean() - 127.5) < 2
    assert len(np.unique(noise)) == 256


def test_erasing_is_for_main_images_only():
    config = PRESETS["released_raf_resnet18"].replace(pad=0, flip=False).augmentation
    np.testing.assert_array_equal(augment(images(), SEED, config, erasing=False), images())
    assert (augment(images(), SEED, config, erasing=True).numpy() != images()).any()


def test_works_in_a_graph_of_unknown_batch_size():
    config = PRESETS["released_raf_resnet18"].augmentation
    spec = tf.TensorSpec([None, 8, 8, 3], tf.uint8)
    compiled = tf.function(lambda x: augment(x, SEED, config, True), input_signature=[spec])
    eager = augment(images(), SEED, config, True)
    np.testing.assert_array_equal(compiled(images()), eager)


def test_parts_of_a_batch_are_augmented_as_in_the_whole():
    config = PRESETS["released_raf_resnet18"].augmentation
    whole = augment(images(), SEED, config, True).numpy()
    assert (whole[:32] != whole[32:]).any()
    for first, last in ((0, 20), (20, 64), (5, 5)):
        part = augment(images()[first:last], SEED, config, True, first, 64)
        np.testing.assert_array_equal(part, whole[first:last])
    # no two erased images share their noise: here all pixels are erased
    everything = PRESETS["paper"].replace(
        pad=0, flip=False, erase_probability=1.0, erase_area=(1.0, 1.0), erase_aspect=(1.0, 1.0)
    )
    noise = augment(images(), SEED, everything.augmentation, True).numpy()
    assert len({pixels.tobytes() for pixels in noise}) == 64
