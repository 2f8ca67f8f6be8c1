"""Measures training steps on GPUs, one and several: the sections that `benchmarks/gpu.sh` runs.

Without a GPU they run on the CPU, as a trial of the path; `--tiny` keeps that short.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.made_up_set import made_up_records
from benchmarks.steps import ENDLESS, PLAIN_STEP, RESNET50, batches_of_method, step_variant
from benchmarks.timing import Row, Targets, compare, take_turns
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError
from ldl_fer.methods import METHODS
from ldl_fer.methods.classifier import Classifier
from ldl_fer.training import devices
from ldl_fer.training.build import build_model, compile_model

CONFIG = PRESETS["released_raf_resnet50"]
TINY = PRESETS["small"].replace(image_size=32, pad=1, batch_size=8)
_READY = 8  # batches a replica
_PLAIN: dict[str, Any] = {"method": "cross_entropy"}
_BANK = {"neighbors": "bank", "num_neighbors": 8}
_FORWARD = {"neighbors": "forward", "num_neighbors": 8}
_MIXED, _XLA = {"precision": "mixed_float16"}, {"jit": True}
_HOST, _READY_BATCHES, _ONE = {"on_host"}, {"ready"}, {"one"}


def gpu_one(
    folder: Path,
    turns: int = 8,
    steps: int = 16,
    *,
    config: Config = CONFIG,
    rows: int = 2048,
    seconds: float = 200.0,
    progress: bool = True,
) -> list[Row]:
    """Measures a step on one GPU: bank on device and host, forward, mixed precision, input.

    "batches ready" are repeated out of memory: where a step is slower than one on them, it waits
    for its input.

    Args:
      folder: where made-up pictures and records go.
      turns: how often each variant has its turn, at most.
      steps: in a turn.
      config: everything but what varies.
      rows: made-up samples.
      seconds: as `take_turns` takes them.
      progress: whether to show a progress bar.
    """
    variants = {
        PLAIN_STEP: (_PLAIN, set()),
        "bank K 8": (_BANK, set()),
        "bank K 8, batches ready": (_BANK, _READY_BATCHES),
        "bank K 8, on host": (_BANK, _HOST),
        "plain, mixed": (_PLAIN | _MIXED, set()),
        "bank K 8, mixed": (_BANK | _MIXED, set()),
        "forward K 8": (_FORWARD, set()),
        "bank K 32": (_BANK | {"num_neighbors": 32}, set()),
    }
    targets = {
        **RESNET50,
        ("bank K 8", "bank K 8, batches ready"): None,
        ("bank K 8, on host", "bank K 8"): None,
        ("bank K 8, mixed", "plain, mixed"): None,
    }
    choices = turns, steps, config, rows, seconds, progress
    return _steps("gpu_one", folder, 1, variants, targets, *choices)


def gpu_xla(
    folder: Path,
    turns: int = 8,
    steps: int = 16,
    *,
    config: Config = CONFIG,
    rows: int = 2048,
    seconds: float = 90.0,
    progress: bool = True,
) -> list[Row]:
    """Measures a step on one GPU, the network compiled by XLA (--jit).

    Args: as those of `gpu_one`.
    """
    variants = {
        PLAIN_STEP: (_PLAIN, set()),
        "plain, XLA": (_PLAIN | _XLA, set()),
        "bank K 8, XLA": (_BANK | _XLA, set()),
        "bank K 8, XLA, mixed": (_BANK | _XLA | _MIXED, set()),
    }
    targets = {("bank K 8, XLA", "plain, XLA"): None}
    choices = turns, steps, config, rows, seconds, progress
    return _steps("gpu_xla", folder, 1, variants, targets, *choices)


def gpu_several(
    folder: Path,
    turns: int = 8,
    steps: int = 16,
    *,
    config: Config = CONFIG,
    rows: int = 2048,
    seconds: float = 150.0,
    progress: bool = True,
) -> list[Row]:
    """Measures a step on all GPUs of the machine, each with the batch that one GPU has.

    Args: as those of `gpu_one`.

    Raises:
      InputError: there is but one GPU.
    """
    variants = {
        PLAIN_STEP: (_PLAIN, set()),
        "bank K 8": (_BANK, set()),
        "plain, one GPU": (_PLAIN, _ONE),
        "bank K 8, on host": (_BANK, _HOST),
        "bank K 8, batches ready": (_BANK, _READY_BATCHES),
        "plain, mixed": (_PLAIN | _MIXED, set()),
        "bank K 8, mixed": (_BANK | _MIXED, set()),
        "forward K 8": (_FORWARD, set()),
        "bank K 32": (_BANK | {"num_neighbors": 32}, set()),
        "plain, XLA": (_PLAIN | _XLA, set()),
        "bank K 8, XLA": (_BANK | _XLA, set()),
    }
    targets = {
        (PLAIN_STEP, "plain, one GPU"): None,
        ("bank K 8", "bank K 8, batches ready"): None,
        ("bank K 8, on host", "bank K 8"): None,
        ("bank K 8, mixed", "plain, mixed"): None,
        ("bank K 8, XLA", "plain, XLA"): None,
    }
    choices = turns, steps, config, rows, seconds, progress
    return _steps("gpu_several", folder, _all_devices(), variants, targets, *choices)


def _all_devices() -> int:
    """Counts the GPUs; without one the CPU is cut in two, before anything runs on it."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        cpu = tf.config.list_physical_devices("CPU")[0]
        half = tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu, [half, half])
        return 2
    if len(gpus) == 1:
        raise InputError("gpu_several needs two GPUs or more; here is one.")
    return len(gpus)


def _steps(
    section: str,
    folder: Path,
    count: int,
    variants: Mapping[str, tuple[dict[str, Any], set[str]]],
    targets: Targets,
    turns: int,
    steps: int,
    config: Config,
    rows: int,
    seconds: float,
    progress: bool,
) -> list[Row]:
    """Measures variants on so many devices: name -> (settings that differ, ways of running)."""
    most = max(settings.get("num_neighbors", 0) for settings, _ in variants.values())
    records = made_up_records(folder, rows, config.data.image_size, most, progress)
    run = {}
    for name, (settings, ways) in variants.items():
        replicas = 1 if "one" in ways else count
        batch = config.optimizer.batch_size * replicas
        changed = config.replace(**settings, batch_size=batch, epochs=ENDLESS)
        strategy = devices.mirrored(replicas)
        run[name] = step_variant(
            functools.partial(_model, records, changed, strategy, "on_host" in ways),
            functools.partial(_batches, records, changed, strategy, "ready" in ways),
            steps,
            strategy,
        )
    taken = take_turns(run, turns, section, progress, seconds)
    return compare(section, taken, PLAIN_STEP, targets, "step")


def _model(
    records: Records, config: Config, strategy: tf.distribute.Strategy, on_host: bool
) -> Classifier:
    model = build_model(config, records, strategy)
    if on_host:
        sizes = len(records), model.feature_size
        bank = METHODS[config.method].host_bank(config, *sizes, lambda size, share: False)
        with strategy.scope():
            compile_model(model, config, bank)
    return model


def _batches(
    records: Records, config: Config, strategy: tf.distribute.Strategy, ready: bool
) -> Any:
    def make(replicas: int, own: range) -> tf.data.Dataset:
        made = batches_of_method(records, config, replicas, own)
        return made.take(_READY * len(own)).cache().repeat() if ready else made

    return devices.distribute(strategy, make)
