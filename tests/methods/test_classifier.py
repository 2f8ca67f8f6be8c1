"""A batch in parts gives what the whole gives, with never more than one part at work."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.small_model import CLASSES, SAMPLES, SIDE, batch

from ldl_fer.config.presets import PRESETS
from ldl_fer.methods.gradients import pass_in_parts
from ldl_fer.methods.ldlva import LDLVA


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("part_size", [1, 2, 3, 5, 8])
def test_sums_add_up_and_rows_join(size, part_size, compiled):
    x = np.random.default_rng(size).normal(size=[size, 3]).astype(np.float32)
    seen = []

    def run(part):
        tf.py_function(lambda rows: seen.append(len(rows)), [part["x"]], [])
        return [tf.reduce_sum(part["x"], axis=0)], {"double": 2 * part["x"], "id": part["id"]}

    def whole(data):
        return pass_in_parts(run, data, part_size)

    data = {"x": tf.constant(x), "id": tf.range(size)}
    [total], rows = (tf.function(whole) if compiled else whole)(data)
    np.testing.assert_allclose(total, x.sum(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(rows["double"], 2 * x)
    np.testing.assert_array_equal(rows["id"], np.arange(size))
    # ceil(size / part_size) parts or fewer, equal but for the last
    assert sum(seen) == size and max(seen) <= part_size and len(seen) <= -(-size // part_size)
    assert all(count == seen[0] for count in seen[:-1]) and seen[-1] <= seen[0]


def model(neighbors, preset, **settings):
    """Without batch normalization, whose statistics would be a part's own."""
    tf.keras.utils.set_random_seed(0)
    images = tf.keras.Input([SIDE, SIDE, 3])
    hidden = tf.keras.layers.Flatten()(images)
    features = tf.keras.layers.Dense(12, activation="relu")(hidden)
    network = tf.keras.Model(images, [features, tf.keras.layers.Dense(CLASSES)(features)])
    config = PRESETS[preset].replace(
        neighbors=neighbors,
        calibration_normalization="layer",
        uncertainty_learning_rate=1.0,
        uncertainty_momentum=0.5,
        **settings,
    )
    made = LDLVA(network, config, SAMPLES, steps_per_epoch=4)
    made.compile(tf.keras.optimizers.SGD(0.1))
    return made


@pytest.mark.parametrize("neighbors", ["forward", pytest.param("bank", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "preset", ["released_affectnet_resnet18", pytest.param("paper", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "part_size", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 6))]
)
def test_steps_in_parts_are_the_whole_steps(neighbors, preset, part_size):
    whole = model(neighbors, preset)
    parts = model(neighbors, preset, micro_batch_size=part_size)
    step = tf.function(parts.train_step)
    for seed in range(3):
        expected, found = whole.train_step(batch(seed)), step(batch(seed))
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    assert whole.uncertainty.value.numpy().any() and whole.centers.centers.numpy().any()
    for a, b in zip(whole.variables, parts.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=a.name)
