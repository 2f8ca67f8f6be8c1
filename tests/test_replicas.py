"""Two replicas against one, over several steps: network, lambda, centers, bank."""

import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, since logical devices must be made before TensorFlow starts.
CODE = """
import sys
import numpy as np
import tensorflow as tf

sys.path[:0] = [{tests!r}]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from ldl_fer.config import PRESETS
from ldl_fer.model import LDLVA
from ldl_fer.optimizers import UncertaintySGD
from test_model import CLASSES, SAMPLES, SIDE, batch

settings = dict(neighbors={neighbors!r}, calibration_normalization="layer")
config = PRESETS[{preset!r}].replace(**settings)


def build():
    tf.keras.utils.set_random_seed(0)  # no batch normalization: its statistics are a replica's own
    images = tf.keras.Input([SIDE, SIDE, 3])
    hidden = tf.keras.layers.Flatten()(images)
    features = tf.keras.layers.Dense(12, activation="relu")(hidden)
    network = tf.keras.Model(images, [features, tf.keras.layers.Dense(CLASSES)(features)])
    model = LDLVA(network, config.method, SAMPLES)
    project = config.method.uncertainty_form == "direct"
    momentum = config.optimizer.uncertainty_momentum
    model.compile(tf.keras.optimizers.SGD(0.1), UncertaintySGD(1.0, momentum, project))
    model.optimizer.build(model.optimized_variables)
    return model


def part(data, start, stop):
    return {{name: value[start:stop] for name, value in data.items()}}


one = build()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    two = build()
step = tf.function(lambda data: strategy.run(two.train_step, args=(data,)))
for seed in range(4):
    data = batch(seed, size=8)
    # neighbors of one half are samples of the other; the halves are not of equal size
    halves = [part(data, 0, 5), part(data, 5, 8)]
    spread = strategy.experimental_distribute_values_from_function(
        lambda context: halves[context.replica_id_in_sync_group])
    first = one.train_step(data)
    step(spread)
    for name, mean in one.means.items():
        np.testing.assert_allclose(mean.result(), two.means[name].result(), rtol=1e-5)
for a, b in zip(one.variables, two.variables, strict=True):
    if b.synchronization != tf.VariableSynchronization.ON_READ:  # not a metric's
        for copy in strategy.experimental_local_results(b):
            np.testing.assert_allclose(a, copy, rtol=1e-4, atol=1e-5, err_msg=a.name)
assert len(strategy.experimental_local_results(two.uncertainty.value)) == 2
print("equal")
"""


@pytest.mark.parametrize("neighbors", ["forward", "bank"])
@pytest.mark.parametrize("preset", ["paper", "released_affectnet_resnet18"])
def test_two_replicas_equal_one(preset, neighbors):
    code = CODE.format(tests=str(Path(__file__).parent), preset=preset, neighbors=neighbors)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("equal\n"), done.stderr[-3000:]
