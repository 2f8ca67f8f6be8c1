"""Walks the same steps of methods with one replica and with two; a program, run by test_replicas.

Of methods that treat each sample by itself, beside LDLVA: see replica_steps. The replicas are two
logical CPUs. Arguments: names of methods; none: all of them.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

sys.path[:0] = [str(Path(__file__).parents[1])]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from helpers.tiny_networks import SAMPLES, batch, state, teachers_of, tiny_network  # noqa: E402

from ldl_fer.config import Config  # noqa: E402
from ldl_fer.methods import METHODS  # noqa: E402
from ldl_fer.training import devices  # noqa: E402

STEPS, BOUNDS = 3, ((0, 4), (4, 6))  # The replicas' parts of a batch are not of equal size.
SETTINGS = dict(epochs=3)  # NAL's channel comes in with the second of two steps an epoch.
# In this form these treat each sample by itself, too.
APART = {
    "scn": dict(scn_margin=0.0, scn_relabel_epoch=2, scn_relabel_margin=0.0),
    "ldl_alsg": dict(alsg_graph="training_set", alsg_weight=1.0),
}


def config_of(method):
    return Config().replace(method=method, **SETTINGS, **APART.get(method, {}))


def build(method, strategy):
    with strategy.scope():
        network = METHODS[method].complete(tiny_network(batch_norm=False), seed=0)
        annotators = np.arange(SAMPLES) % 2
        config = config_of(method)
        facts = dict(annotators=annotators, teachers=teachers_of(config))
        made = METHODS[method](network, config, SAMPLES, 2, **facts)
        made.compile(tf.keras.optimizers.SGD(0.1))
    return made


def compare(method, strategy):
    one, two = build(method, tf.distribute.get_strategy()), build(method, strategy)
    first = [variable.numpy() for variable in one.trainable_variables]
    step = tf.function(lambda data: strategy.run(two.train_step, args=(data,)))
    for seed in range(STEPS):
        data = batch(seed)
        halves = [{n: v[start:stop] for n, v in data.items()} for start, stop in BOUNDS]
        spread = strategy.experimental_distribute_values_from_function(
            lambda context, halves=halves: halves[context.replica_id_in_sync_group]
        )
        expected, found = one.train_step(data), step(spread)
        for name, value in expected.items():
            for copy in strategy.experimental_local_results(found[name]):
                np.testing.assert_allclose(copy, value, rtol=1e-4, err_msg=f"{method}: {name}")
    assert all(
        (a != b.numpy()).any() for a, b in zip(first, one.trainable_variables, strict=True)
    ), method
    for a, b in zip(state(one), state(two), strict=True):
        for copy in strategy.experimental_local_results(b):
            np.testing.assert_allclose(a, copy, rtol=1e-4, atol=1e-5, err_msg=f"{method}: {a.name}")


def main():
    others = [name for name in METHODS if name != "ldlva"]
    alone = [n for n in others if n in APART or not METHODS[n].compares_batch(config_of(n))]
    strategy = devices.mirrored(2)
    for method in sys.argv[1:] or alone:
        compare(method, strategy)
        print(f"{method}: equal")


if __name__ == "__main__":
    main()
