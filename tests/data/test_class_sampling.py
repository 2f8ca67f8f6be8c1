"""Balanced and progressive batches: shares of classes, a pure function of (seed, step)."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.class_sampling import ClassSampler, class_shares, most_of_each_class
from ldl_fer.errors import InputError
from ldl_fer.training.checks import check_sampling, check_settings

COUNTS = (100, 40, 0, 30, 10, 12, 8)
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(7), COUNTS))
BATCH, STEPS, EPOCHS = 16, 13, 4
CONFIG = Config().replace(batch_size=BATCH, epochs=EPOCHS)


def drawn(sampling, seed=0, steps=EPOCHS * STEPS):
    """Sample_ids of the run's steps, [steps, B]."""
    config = CONFIG.replace(sampling=sampling, seed=seed)
    sampler = tf.function(ClassSampler(LABELS, 7, config, STEPS))
    return np.stack([sampler(tf.constant(step, tf.int64)) for step in range(steps)])


@pytest.mark.parametrize("sampling", ["balanced", "progressive"])
def test_a_batch_has_the_classes_share_up_to_one_and_none_twice(sampling):
    ids = drawn(sampling)
    assert ids.shape == (EPOCHS * STEPS, BATCH)
    natural = np.array(COUNTS) / len(LABELS)
    alike = (np.array(COUNTS) > 0) / 6
    most = most_of_each_class(CONFIG.replace(sampling=sampling), COUNTS)
    found = np.zeros([EPOCHS, 7])
    for step, row in enumerate(ids):
        assert len(set(row)) == BATCH
        part = step // STEPS / EPOCHS if sampling == "progressive" else 1.0
        expected = BATCH * ((1 - part) * natural + part * alike)
        counts = np.bincount(LABELS[row], minlength=7)
        assert (np.abs(counts - expected) < 1).all() and (counts <= most).all()
        found[step // STEPS] += counts - expected
    # Over an epoch the ones even out.
    assert (np.abs(found) / STEPS < 0.5).all()


def test_shares_are_whole_numbers_of_one_sum():
    assert class_shares((3, 1, 0), "balanced", 5).tolist() == [[1, 1, 0]]
    # of 2 epochs, 2 classes, 4 samples: natural 3/4, 1/4; then half of that and half of 1/2
    assert class_shares((3, 1, 0), "progressive", 2).tolist() == [[12, 4, 0], [10, 6, 0]]


def test_each_sample_of_a_class_is_drawn_alike():
    """Chi-square over samples of a class, and over pairs of places: nothing is preferred."""
    ids = drawn("balanced", steps=500).ravel()
    for label in (0, 6):
        members = np.flatnonzero(label == LABELS)
        times = np.bincount(ids, minlength=len(LABELS))[members]
        chi = ((times - times.mean()) ** 2 / times.mean()).sum()
        # without replacement within a batch: less than chi-square's mean + 4 deviations
        assert chi < len(members) + 4 * (2 * len(members)) ** 0.5


def test_classes_stand_in_random_order():
    """mixup and RUL pair a sample with the one before: of any class."""
    labels = LABELS[drawn("balanced", steps=400)]
    pairs = np.bincount(labels[:, 0] * 7 + labels[:, 1], minlength=49).reshape(7, 7)
    pairs = np.delete(np.delete(pairs, 2, 0), 2, 1)
    assert pairs.min() > 0 and pairs.max() < 30


def test_the_seed_decides():
    np.testing.assert_array_equal(drawn("balanced", steps=3), drawn("balanced", steps=3))
    assert (drawn("balanced", steps=3) != drawn("balanced", seed=1, steps=3)).any()


def training(counts=COUNTS):
    return SimpleNamespace(class_counts=counts)


def test_a_class_too_small_for_its_share_is_refused():
    config = CONFIG.replace(sampling="balanced", batch_size=54)
    words = "up to 9 images of Anger into a batch, and the training set has 8. Lower --batch_size"
    with pytest.raises(InputError, match=words):
        check_sampling(config, training())
    check_sampling(config.replace(batch_size=48), training())
    check_sampling(config.replace(sampling="natural"), training())


def test_class_weights_beside_it_are_refused():
    strategy = tf.distribute.get_strategy()
    config = CONFIG.replace(class_weights="balanced")
    check_settings(config, strategy)
    with pytest.raises(InputError, match="--sampling=balanced and --class_weights=balanced"):
        check_settings(config.replace(sampling="balanced"), strategy)
