"""Devices that a run computes on: one, the GPUs of a machine, or several machines.

Several machines: each runs the same `ldl-fer train` command, with the environment variable
TF_CONFIG holding all addresses and its own place among them, for the first of two

    {"cluster": {"worker": ["10.0.0.1:7777", "10.0.0.2:7777"]},
     "task": {"type": "worker", "index": 0}}

The first one, the chief, writes the run folder.
"""

import functools
import json
import os
import zlib
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.client import device_lib

from ldl_fer.config import Config
from ldl_fer.errors import InputError


def choose_strategy(wanted: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy of a run; to be called before TensorFlow computes anything.

    Args:
      wanted: "auto": the machines of TF_CONFIG if there are several, else all visible GPUs, else
        none; "mirrored": a replica per GPU of this machine, or per CPU device; "none".

    Raises:
      InputError: TF_CONFIG is not as this module describes.
    """
    if wanted == "auto" and len(_workers()) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if wanted == "mirrored" or (wanted == "auto" and gpus):
        return mirrored(len(gpus or tf.config.list_logical_devices("CPU")))
    return tf.distribute.get_strategy()


@functools.cache
def mirrored(replicas: int) -> tf.distribute.Strategy:
    """Returns the one strategy of this process with so many GPUs, or CPU devices without a GPU.

    A second one over the same devices would number its all-reduces from the start again, and those
    of another shape would meet.
    """
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in found[:replicas]])


def is_plain(config: Config, strategy: tf.distribute.Strategy) -> bool:
    """Says whether a network trains as it is evaluated: on one device, in full precision."""
    return config.network.precision == "float32" and strategy is tf.distribute.get_strategy()


def _workers() -> list[str]:
    """Returns addresses of all machines by TF_CONFIG; none where it is not set."""
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return []
    try:
        content = json.loads(text)
        workers = content["cluster"]["worker"]
        task = content["task"]
        fits = task["type"] == "worker" and 0 <= task["index"] < len(workers)
        fits = fits and set(content["cluster"]) == {"worker"} and isinstance(workers, list)
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise InputError(
            f"the environment variable TF_CONFIG is {text!r}, but must look like "
            '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", '
            '"index": 0}} with the index of this machine among the workers. Unset it to train on '
            "this machine alone."
        )
    return workers


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the run folder: the first machine, or the only one."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_id


def distribute(
    strategy: tf.distribute.Strategy, make: Callable[[int, range], tf.data.Dataset]
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Returns a dataset whose elements go to the replicas in turn; each machine reads its own.

    Args:
      strategy: of the run.
      make: (number of replicas, those of this machine) -> their elements.
    """
    if strategy.num_replicas_in_sync == 1:
        return make(1, range(1))

    def on_machine(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * own
        return make(context.num_replicas_in_sync, range(first, first + own))

    return strategy.distribute_datasets_from_function(on_machine)


def check_agreement(strategy: tf.distribute.Strategy, facts: dict[str, object]) -> None:
    """Compares facts of all machines: those that disagree would wait for each other forever.

    Args:
      strategy: of several machines.
      facts: by name, anything whose `repr` is the same on machines that agree.

    Raises:
      InputError: the machines differ; the text names in what.
    """
    own = tf.constant([[zlib.crc32(repr(fact).encode()) for fact in facts.values()]], tf.int64)

    def gathered():
        return tf.distribute.get_replica_context().all_gather(own, axis=0)

    everywhere = strategy.experimental_local_results(strategy.run(tf.function(gathered)))[0].numpy()
    for column, name in enumerate(facts):
        if len(set(everywhere[:, column])) > 1:
            raise InputError(
                f"the machines of TF_CONFIG differ in {name}; here it is {facts[name]}. Give all "
                "of them the same flags and data, and a --run_dir on storage that they share if "
                "the run is resumed."
            )


def fits_on_device(size: int, share: float) -> bool:
    """Returns whether `size` bytes are at most that share of the smallest visible GPU's memory.

    Without a GPU there is nothing to choose, and the answer is yes.
    """
    memories = gpu_memories()
    return not memories or size <= share * min(memories)


def gpu_memories() -> list[int]:
    """Returns the bytes that TensorFlow may use of each visible GPU."""
    if not tf.config.list_logical_devices("GPU"):
        return []
    devices = device_lib.list_local_devices()
    return [device.memory_limit for device in devices if device.device_type == "GPU"]
