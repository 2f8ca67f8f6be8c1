"""A small LDLVA model of random weights, and random batches for it."""

import numpy as np
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.methods.ldlva import LDLVA

SAMPLES, BATCH, NEIGHBORS, CLASSES, SIDE = 20, 6, 3, 7, 4


def network(seed=0):
    tf.keras.utils.set_random_seed(seed)
    images = tf.keras.Input([SIDE, SIDE, 3])
    hidden = tf.keras.layers.Dense(12)(tf.keras.layers.Flatten()(images))
    features = tf.keras.layers.ReLU()(tf.keras.layers.BatchNormalization()(hidden))
    return tf.keras.Model(images, [features, tf.keras.layers.Dense(CLASSES)(features)])


def model(
    preset="paper",
    class_weights=None,
    class_counts=None,
    uncertainty_rate=1.0,
    optimizer=None,
    neighbors="forward",
    **settings,
):
    settings = {"uncertainty_momentum": 0.0, "neighbors": neighbors} | settings
    config = PRESETS[preset].replace(uncertainty_learning_rate=uncertainty_rate, **settings)
    made = LDLVA(network(), config, SAMPLES, 4, class_weights, class_counts)
    # SGD, since Adam would magnify the rounding of gradients that are exactly zero (a bias before
    # a batch normalization).
    made.compile(optimizer or tf.keras.optimizers.SGD(0.1))
    return made


def batch(seed=0, size=BATCH):
    rng, places = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    labels = rng.integers(0, CLASSES, SAMPLES).astype(np.int32)
    ids = rng.permutation(SAMPLES)[:size].astype(np.int32)
    neighbors = rng.integers(0, SAMPLES, [size, NEIGHBORS]).astype(np.int32)
    arrays = {
        "sample_id": ids,
        "label": labels[ids],
        "image": rng.normal(size=[size, SIDE, SIDE, 3]).astype(np.float32),
        "neighbors": neighbors,
        "neighbor_labels": labels[neighbors],
        "auxiliary": places.uniform(-0.5, 0.5, [size, 2]).astype(np.float32),
        "neighbor_auxiliary": places.uniform(-0.5, 0.5, [size, NEIGHBORS, 2]).astype(np.float32),
        "neighbor_image": rng.normal(size=[size, NEIGHBORS, SIDE, SIDE, 3]).astype(np.float32),
    }
    return {name: tf.constant(array) for name, array in arrays.items()}


def state(made):
    parts = (made.network, made.calibrator, made.uncertainty, made.centers)
    return [v.numpy() for part in parts for v in part.variables]
