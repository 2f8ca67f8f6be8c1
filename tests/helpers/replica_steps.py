"""Walks the same steps with one replica and with two; a program of its own, run by test_replicas.

Two replicas are two logical CPUs of this process, or, where TF_CONFIG is set, two processes.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

sys.path[:0] = [str(Path(__file__).parents[1])]
PARSER = argparse.ArgumentParser()
PARSER.add_argument("--preset", default="paper")
PARSER.add_argument("--neighbors", default="bank")
PARSER.add_argument("--sync_batch_norm", action="store_true")
PARSER.add_argument("--micro_batch_size", type=int, default=0)
PARSER.add_argument("--bank_on_host", action="store_true")
SETTINGS = PARSER.parse_args()
if "TF_CONFIG" not in os.environ:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from helpers.small_model import CLASSES, SAMPLES, SIDE, batch  # noqa: E402

from ldl_fer.config.presets import PRESETS  # noqa: E402
from ldl_fer.methods.bank import NeighborBank  # noqa: E402
from ldl_fer.methods.ldlva import LDLVA  # noqa: E402
from ldl_fer.networks.precision import with_precision  # noqa: E402
from ldl_fer.training import devices  # noqa: E402

FEATURES, STEPS = 12, 4
BOUNDS = (0, 5), (5, 8)  # The replicas' parts of a batch are not of equal size.


def build(config, strategy):
    with strategy.scope():
        tf.keras.utils.set_random_seed(0)
        images = tf.keras.Input([SIDE, SIDE, 3])
        if SETTINGS.sync_batch_norm:
            hidden = tf.keras.layers.Conv2D(4, 3)(images)
            hidden = tf.keras.layers.BatchNormalization()(hidden)
            hidden = tf.keras.layers.Dense(FEATURES)(tf.keras.layers.Flatten()(hidden))
            hidden = tf.keras.layers.BatchNormalization()(hidden)
            features = tf.keras.layers.ReLU()(hidden)
        else:
            hidden = tf.keras.layers.Flatten()(images)
            features = tf.keras.layers.Dense(FEATURES, activation="relu")(hidden)
        network = tf.keras.Model(images, [features, tf.keras.layers.Dense(CLASSES)(features)])
        network = with_precision(network, "float32", SETTINGS.sync_batch_norm)
    bank = None
    if SETTINGS.bank_on_host:
        bank = NeighborBank(SAMPLES, FEATURES, CLASSES, on_host=True)
    with strategy.scope():
        model = LDLVA(
            network,
            config,
            SAMPLES,
            steps_per_epoch=3,
        )
        model.compile(tf.keras.optimizers.SGD(0.1), bank)
    return model


def counted_sums():
    """Returns a list that gets an entry for each sum over the replicas that a graph calls."""
    calls, add_up = [], tf.distribute.ReplicaContext.all_reduce

    def counted(*arguments, **named):
        calls.append(arguments)
        return add_up(*arguments, **named)

    tf.distribute.ReplicaContext.all_reduce = counted
    return calls


def main():
    sums = counted_sums()
    strategy = devices.choose_strategy("auto" if "TF_CONFIG" in os.environ else "mirrored")
    assert strategy.num_replicas_in_sync == 2, strategy
    config = PRESETS[SETTINGS.preset].replace(
        neighbors=SETTINGS.neighbors,
        uncertainty_learning_rate=1.0,
        micro_batch_size=SETTINGS.micro_batch_size,
        sync_batch_norm=SETTINGS.sync_batch_norm,
    )
    if not SETTINGS.sync_batch_norm:
        config = config.replace(calibration_normalization="layer")
    one = build(config, tf.distribute.get_strategy())
    two = build(config, strategy)
    first, copies = [value.numpy() for value in one.network.variables], two.network.variables
    for value, copy in zip(first, copies, strict=True):
        copy.assign(value)
    for a, b in zip(one.calibrator.variables, two.calibrator.variables, strict=True):
        b.assign(a.numpy())
    step = tf.function(lambda data: strategy.run(two.train_step, args=(data,)))
    for seed in range(STEPS):
        data = batch(seed, size=8)  # halves are each other's neighbors
        halves = [{n: v[start:stop] for n, v in data.items()} for start, stop in BOUNDS]
        spread = strategy.experimental_distribute_values_from_function(
            lambda context, halves=halves: halves[context.replica_id_in_sync_group]
        )
        expected, found = one.train_step(data), step(spread)
        for name, value in expected.items():
            for copy in strategy.experimental_local_results(found[name]):
                np.testing.assert_allclose(copy, value, rtol=1e-5)
    if not SETTINGS.sync_batch_norm:  # which adds up at each normalization
        here = len(strategy.extended.worker_devices)
        assert len(sums) == here, f"{len(sums) / here} sums a step"
    assert one.uncertainty.value.numpy().any() and one.centers.centers.numpy().any()
    changed = [(a != b.numpy()).any() for a, b in zip(first, one.network.variables, strict=True)]
    assert all(changed)
    metrics = {id(v) for metric in two.metrics for v in metric.variables}
    pairs = [p for p in zip(one.variables, two.variables, strict=True) if id(p[1]) not in metrics]
    for a, b in pairs:
        for copy in strategy.experimental_local_results(b):
            np.testing.assert_allclose(a, copy, rtol=1e-5, atol=1e-5, err_msg=a.name)
    if two.bank is not None:
        copies = strategy.experimental_local_results(two.bank.features)
        here = 1 if "TF_CONFIG" in os.environ or SETTINGS.bank_on_host else 2
        assert len(copies) == here and one.bank.features.numpy().any()
    print(f"{len(pairs)} variables equal")


if __name__ == "__main__":
    main()
