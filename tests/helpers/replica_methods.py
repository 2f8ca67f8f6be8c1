"""Walks the same steps of methods with one replica and with two; a program, run by test_replicas.

Of methods beside LDLVA: see replica_steps. The replicas are two logical CPUs. Where a method
compares the samples of a batch, a replica sees its own part alone: then the one device passes the
same parts, one after the other, and takes one step of all. Arguments: names of methods; none: all.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

sys.path[:0] = [str(Path(__file__).parents[1])]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from helpers.tiny_networks import (  # noqa: E402
    SAMPLES,
    batch,
    state,
    teachers_of,
    tiny_network,
    without_chance,
)

from ldl_fer.config import Config  # noqa: E402
from ldl_fer.methods import METHODS  # noqa: E402
from ldl_fer.training import devices  # noqa: E402

STEPS, SIZE = 3, 7
PART, BOUNDS = 4, ((0, 4), (4, 7))  # The replicas' parts of a batch are not of equal size.
BASE = Config().replace(epochs=3)  # NAL's channel comes in with the second of two steps an epoch.
RELABELED = dict(scn_relabel_epoch=2, scn_relabel_margin=0.0)
# Two methods have a form that treats each sample by itself; others are made small, or begin soon.
FORMS = {
    "scn": (dict(scn_margin=0.0, **RELABELED), dict(scn_margin=0.5, **RELABELED)),
    "ldl_alsg": (dict(alsg_graph="training_set", alsg_weight=1.0), dict(alsg_weight=0.1)),
    "dacl": (dict(dacl_weight=0.1, dacl_units=(8, 6, 5)),),
    "dmue": (dict(dmue_turn=1.0, dmue_similarity_weight=1.0),),
    "mixup": (dict(mixup_alpha=2.0),),
    "nal": ({}, dict(nal_channel="complex")),
}


def build(config, strategy):
    with strategy.scope():
        method = METHODS[config.method]
        network = method.complete(tiny_network(batch_norm=False), seed=0)
        annotators = np.arange(SAMPLES) % 2
        facts = dict(annotators=annotators, teachers=teachers_of(config))
        made = without_chance(method(network, config, SAMPLES, 2, **facts))
        made.compile(tf.keras.optimizers.SGD(0.1))
    return made


def compare(config, strategy):
    method, compares = config.method, METHODS[config.method].compares_batch(config)
    alone = config.replace(micro_batch_size=PART if compares else 0)
    one, two = build(alone, tf.distribute.get_strategy()), build(config, strategy)
    first = [variable.numpy() for variable in one.trainable_variables]
    step = tf.function(lambda data: strategy.run(two.train_step, args=(data,)))
    for seed in range(STEPS):
        data = batch(seed, SIZE)
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
        if "/moving_" in a.name:
            continue  # Each replica's normalization has its own statistics.
        for copy in strategy.experimental_local_results(b):
            np.testing.assert_allclose(a, copy, rtol=1e-4, atol=1e-5, err_msg=f"{method}: {a.name}")


def main():
    strategy = devices.mirrored(2)
    for method in sys.argv[1:] or [name for name in METHODS if name != "ldlva"]:
        for form in FORMS.get(method, ({},)):
            compare(BASE.replace(method=method, **form), strategy)
        print(f"{method}: equal")


if __name__ == "__main__":
    main()
