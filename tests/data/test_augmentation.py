"""Augmentation is a function of (images, seed) and does what its settings say."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.data.augmentation import (
    augment,
    augment_pooled,
    augment_views,
    erase,
    pad_crop_flip,
)
from ldl_fer.networks.pooled_maps import SIZE, columns

SEED = tf.constant([3, 5])


def draws(numbers, count, seed=SEED):
    return tf.random.stateless_uniform([numbers, count], seed).numpy()


def moved(images, draws, pad, flip):
    return pad_crop_flip(tf.constant(images), draws, pad, flip).numpy()


def images(count=64, size=8):
    # Every pixel of an image has another value, and none is 0, the padding's.
    values = 1 + np.arange(size * size * 3, dtype=np.uint8).reshape(size, size, 3)
    return np.stack([values] * count)


def test_equal_draws_equal_results_and_images_differ_among_themselves():
    first, second = (moved(images(), draws(3, 64), 2, True) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (moved(images(), draws(3, 64, SEED + 1), 2, True) != first).any()
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
    many = moved(images(2000), draws(3, 2000), pad, True)
    seen = {image.tobytes() for image in many}
    assert seen == allowed


def test_no_pad_and_no_flip_is_the_identity():
    np.testing.assert_array_equal(moved(images(), draws(3, 64), 0, False), images())


def test_half_of_the_images_are_mirrored():
    original = images(2000)
    mirrored = moved(images(2000), draws(3, 2000), 0, True) != original
    mirrored = mirrored.any((1, 2, 3))
    # binomial(2000, 1/2): standard deviation 0.011
    assert abs(mirrored.mean() - 0.5) < 0.05


def test_erasing_draws_one_rectangle_of_the_configured_area():
    blank = np.zeros([2000, 20, 20, 3], np.uint8)
    erased = erase(blank, draws(5, 2000), SEED, 0.5, (0.1, 0.3), (0.5, 2.0)).numpy()
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


@pytest.mark.parametrize("width", [12, 13])  # a row's bytes: whole words, and not
def test_what_is_not_erased_stays(width):
    given = [np.full([200, 15, width, 3], value, np.uint8) for value in (0, 255)]
    chances = draws(5, 200)
    dark, light = (erase(x, chances, SEED, 0.5, (0.1, 0.3), (0.5, 2.0)).numpy() for x in given)
    stays = dark != light  # noise is the same in both
    assert (dark[stays] == 0).all() and (light[stays] == 255).all()
    for gone in ~stays[(~stays).any(axis=(1, 2, 3))]:
        box = gone.any(-1)
        np.testing.assert_array_equal(gone, np.repeat(box[..., np.newaxis], 3, -1))
        np.testing.assert_array_equal(box, np.outer(box.any(1), box.any(0)))


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


def test_two_views_are_erased_apart():
    config = PRESETS["released_raf_resnet18"].replace(erase_probability=0.5).augmentation
    made = {name: view.numpy() for name, view in augment_views(images(), SEED, config).items()}
    first, second = made["image"], made["mirrored_image"][:, :, ::-1]
    intact = augment_views(images(), SEED, dataclasses.replace(config, erase_probability=0.0))
    np.testing.assert_array_equal(intact["image"], intact["mirrored_image"][:, :, ::-1])
    hit = [(view != intact["image"].numpy()).any(axis=(1, 2, 3)) for view in (first, second)]
    # binomial(64, 1/4): standard deviation 3.5
    for one, other in np.ndindex(2, 2):
        assert abs(((hit[0] == one) & (hit[1] == other)).sum() - 16) < 14
    both = hit[0] & hit[1]
    assert (first[both] != second[both]).any(axis=(1, 2, 3)).all()
    for start, end in ((0, 20), (20, 64)):
        part = augment_views(images()[start:end], SEED, config, start, 64)
        for name, view in part.items():
            np.testing.assert_array_equal(view, made[name][start:end])


# --- Pooled maps -------------------------------------------------------------------------------


def pooled_batch(count=64, neighbors=3, seed=0):
    """No value is 0, and no two views are equal anywhere."""
    random = np.random.default_rng(seed)
    made = {
        "image": random.uniform(1, 2, [count, 2, SIZE]),
        "neighbor_image": random.uniform(1, 2, [count, neighbors, 2, SIZE]),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


def pooled_config(**settings):
    return PRESETS["frozen"].replace(**settings).augmentation


def chosen_views(made, views):
    """Which view each [..., P] row was taken from; every row must be one of the two, whole."""
    is_view = [(made == views[..., v, :]).all(axis=-1) for v in (0, 1)]
    assert (is_view[0] ^ is_view[1]).all()
    return is_view[1]


def numpy_of(batch):
    return {name: value.numpy() for name, value in batch.items()}


def test_a_view_is_taken_and_the_other_is_its_mirror_image():
    given = pooled_batch(1000, 2)
    given["sample_id"] = np.arange(1000)
    made = augment_pooled(given, SEED, pooled_config(flip=True, erase_probability=0.0))
    assert made["sample_id"] is given["sample_id"] and given["image"].shape == (1000, 2, SIZE)
    made = {name: np.asarray(value) for name, value in made.items()}
    mirrored = chosen_views(made["image"], given["image"])
    np.testing.assert_array_equal(chosen_views(made["mirrored_image"], given["image"]), ~mirrored)
    neighbors = chosen_views(made["neighbor_image"], given["neighbor_image"])
    assert neighbors.shape == (1000, 2)
    # binomial(1000, 1/2): standard deviation 0.016; of agreeing by chance as well
    for share in (mirrored.mean(), *neighbors.mean(axis=0)):
        assert abs(share - 0.5) < 0.08
    for first, second in (
        (mirrored, neighbors[:, 0]),
        (mirrored, neighbors[:, 1]),
        (neighbors[:, 0], neighbors[:, 1]),
    ):
        assert abs((first == second).mean() - 0.5) < 0.08


def test_without_flip_the_picture_itself_is_taken():
    given = pooled_batch()
    made = numpy_of(augment_pooled(given, SEED, pooled_config(flip=False, erase_probability=0.0)))
    np.testing.assert_array_equal(made["image"], given["image"][:, 0])
    np.testing.assert_array_equal(made["mirrored_image"], given["image"][:, 1])
    np.testing.assert_array_equal(made["neighbor_image"], given["neighbor_image"][:, :, 0])


def test_erasing_blots_out_the_upper_or_the_lower_half_of_both_views():
    given, rate = pooled_batch(1000, 2), 0.4
    made = numpy_of(augment_pooled(given, SEED, pooled_config(flip=True, erase_probability=rate)))
    halves = {name: np.isin(np.arange(SIZE), columns([name])) for name in ("upper", "lower")}
    counts = dict.fromkeys(("upper", "lower", "none"), 0)
    for image, mirrored, views in zip(
        made["image"], made["mirrored_image"], given["image"], strict=True
    ):
        gone = image == 0
        name = next((n for n, half in halves.items() if (gone == half).all()), "none")
        if name == "none":
            assert not gone.any()
        counts[name] += 1
        # All but the half is as it was, in one view and the other.
        np.testing.assert_array_equal(mirrored == 0, gone)
        both = {image[~gone].tobytes(), mirrored[~gone].tobytes()}
        assert both == {view[~gone].tobytes() for view in views}
    # binomial(1000, 0.2) each: standard deviation 13
    assert abs(counts["upper"] - 200) < 65 and abs(counts["lower"] - 200) < 65
    # Neighbors are never erased.
    assert (made["neighbor_image"] != 0).all()
    chosen_views(made["neighbor_image"], given["neighbor_image"])


def test_both_views_are_erased_apart_and_to_the_mean():
    given, mean = pooled_batch(1000), np.full(SIZE, 7.0, np.float32)
    config = pooled_config(flip=True, erase_probability=0.5, erase_apart=True)
    made = numpy_of(augment_pooled(given, SEED, config, erased=mean))
    gone = [made[name] == 7.0 for name in ("image", "mirrored_image")]
    shares = [np.mean(view.any(axis=1)) for view in gone]
    both = np.mean(gone[0].any(axis=1) & gone[1].any(axis=1))
    # binomial(1000, 1/2) and (1000, 1/4): standard deviations 0.016 and 0.014
    assert abs(shares[0] - 0.5) < 0.08 and abs(shares[1] - 0.5) < 0.08 and abs(both - 0.25) < 0.07
    for name, erased in zip(("image", "mirrored_image"), gone, strict=True):
        for row, lost, views in zip(made[name], erased, given["image"], strict=True):
            assert any((row[~lost] == view[~lost]).all() for view in views)


def test_erasing_does_not_change_which_view_is_taken():
    given, settings = pooled_batch(), {"flip": True}
    plain = augment_pooled(given, SEED, pooled_config(erase_probability=0.0, **settings))
    erased = augment_pooled(given, SEED, pooled_config(erase_probability=1.0, **settings))
    kept = erased["image"].numpy() != 0
    assert not kept.all(axis=1).any() and kept.any(axis=1).all()
    np.testing.assert_array_equal(erased["image"], np.where(kept, plain["image"], 0))


def test_pooled_maps_differ_by_seed_alone():
    config = pooled_config(flip=True, erase_probability=0.5)
    first, again, other = (
        numpy_of(augment_pooled(pooled_batch(), seed, config)) for seed in (SEED, SEED, SEED + 1)
    )
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).any()


def test_parts_of_a_batch_of_pooled_maps_are_augmented_as_in_the_whole():
    given, config = (
        pooled_batch(),
        pooled_config(flip=True, erase_probability=0.5, erase_apart=True),
    )
    whole = numpy_of(augment_pooled(given, SEED, config))
    spec = {
        "image": tf.TensorSpec([None, 2, SIZE]),
        "neighbor_image": tf.TensorSpec([None, 3, 2, SIZE]),
    }
    number = tf.TensorSpec([], tf.int32)
    compiled = tf.function(
        lambda batch, first, total: augment_pooled(batch, SEED, config, first, total),
        input_signature=[spec, number, number],
    )
    for first, last in ((0, 64), (0, 20), (20, 64), (5, 5)):
        part = {name: tf.constant(values[first:last]) for name, values in given.items()}
        for made in (augment_pooled(part, SEED, config, first, 64), compiled(part, first, 64)):
            for name, values in numpy_of(made).items():
                np.testing.assert_array_equal(values, whole[name][first:last], err_msg=name)


def test_pooled_maps_without_neighbors():
    made = augment_pooled({"image": pooled_batch()["image"]}, SEED, pooled_config())
    assert made.keys() == {"image", "mirrored_image"}
