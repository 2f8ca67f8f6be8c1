"""Measures training steps of LDLVA beside those of plain cross-entropy by the same code."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.made_up_set import made_up_records
from benchmarks.timing import Row, Targets, compare, take_turns, timed
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS, replaced
from ldl_fer.data.pipeline import steps_per_epoch, training_dataset
from ldl_fer.data.records import Records, prepare_records
from ldl_fer.methods import METHODS, neighbors_read, network_of_method
from ldl_fer.methods.classifier import Classifier
from ldl_fer.training.build import build_model, compile_model

PLAIN_STEP = "plain"
NEIGHBORS = (8, 16, 32)
MORE_NEIGHBORS = {("bank K 16", "bank K 8"): 1.05, ("bank K 32", "bank K 8"): 1.1}
RESNET50 = {  # also of benchmarks.gpu
    ("bank K 8", PLAIN_STEP): 1.03,
    ("bank K 32", PLAIN_STEP): 1.05,
    ("forward K 8", PLAIN_STEP): 3.0,
}
HEAD = PRESETS["small"].replace(
    batch_size=64, calibration_units=PRESETS["frozen"].ldlva.calibration_units
)
ENDLESS = 10**6  # epochs
HEAD_INPUTS, HEAD_UNITS = 2304, 128
_HEAD_BATCHES = 16  # different ones in memory


def steps_small(
    folder: Path,
    turns: int = 12,
    steps: int = 8,
    *,
    data: str = "",
    image_dir: str = "",
    config: Config = PRESETS["small"],
    rows: int = 2048,
    neighbors: Sequence[int] = NEIGHBORS,
    forward: Sequence[int] = (8,),
    progress: bool = True,
) -> list[Row]:
    """Measures a step of small_cnn at 48 px, batch 32, with reading, decoding, augmentation.

    Args:
      folder: where made-up pictures and records go.
      turns: how often each variant has its turn.
      steps: in a turn.
      data: annotation CSV to take instead of made-up pictures, if any.
      image_dir: the folder that its paths start from.
      config: everything but what varies.
      rows: made-up samples.
      neighbors: every K with the bank, ascending.
      forward: every K with neighbors run through the network.
      progress: whether to show a progress bar.
    """
    most = max([*neighbors, *forward])
    records = _records(folder, config, most, rows, data, image_dir, progress)
    targets = {("bank K 8", PLAIN_STEP): 1.06, **MORE_NEIGHBORS}
    choices = turns, steps, neighbors, forward, progress
    return _training_steps("steps_small", records, config, targets, *choices)


def steps_resnet50(
    folder: Path,
    turns: int = 8,
    steps: int = 1,
    *,
    config: Config = PRESETS["released_raf_resnet50"],
    rows: int = 512,
    neighbors: Sequence[int] = NEIGHBORS,
    forward: Sequence[int] = (8,),
    progress: bool = True,
) -> list[Row]:
    """Measures a step of ResNet-50 at 112 px, batch 32, with reading, decoding, augmentation.

    Args: as those of `steps_small`.
    """
    most = max([*neighbors, *forward])
    records = _records(folder, config, most, rows, "", "", progress)
    choices = turns, steps, neighbors, forward, progress
    return _training_steps("steps_resnet50", records, config, RESNET50, *choices)


def steps_methods(
    folder: Path,
    turns: int = 6,
    steps: int = 6,
    *,
    config: Config = PRESETS["small"],
    rows: int = 1024,
    methods: Sequence[str] = (),
    progress: bool = True,
) -> list[Row]:
    """Measures a step of each method, small_cnn at 48 px, batch 32, K 8, with what it reads.

    Args:
      folder, turns, steps, config, rows, progress: as those of `steps_small`.
      methods: those beside cross_entropy; empty: all. A teacher is a network of the same size.
    """
    records = _records(folder, config, config.data.num_neighbors, rows, "", "", progress)
    plain = "cross_entropy"
    others = methods or [name for name in METHODS if name != plain]
    variants = {
        title: training_variant(records, replaced(config, {"method": name}), steps)
        for title, name in [(PLAIN_STEP, plain), *((name, name) for name in others)]
    }
    seconds = take_turns(variants, turns, "steps_methods", progress)
    return compare("steps_methods", seconds, PLAIN_STEP, {}, "step")


def training_variant(records: Records, config: Config, steps: int) -> Callable[[], float]:
    """Makes a variant: trains a model some steps further, from records; seconds per step."""
    config = config.replace(epochs=ENDLESS)

    def make_model() -> Classifier:
        runs = METHODS[config.method].teacher_runs(config)
        teachers = [network_of_method(config) for _ in runs]
        return build_model(config, records, teachers=teachers)

    return step_variant(
        make_model,
        functools.partial(batches_of_method, records, config),
        steps,
    )


def batches_of_method(
    records: Records, config: Config, replicas: int = 1, own_replicas: range = range(1)
) -> tf.data.Dataset:
    """Makes the batches that the method of the settings is trained on; as `training_dataset`."""
    return training_dataset(
        records,
        config,
        replicas=replicas,
        own_replicas=own_replicas,
        neighbors=neighbors_read(config),
        neighbor_images=METHODS[config.method].runs_neighbors(config),
    )


def _records(
    folder: Path,
    config: Config,
    neighbors: int,
    rows: int,
    data: str,
    image_dir: str,
    progress: bool,
) -> Records:
    """Prepares the user's own data, or else so many made-up rows."""
    if not data:
        return made_up_records(folder, rows, config.data.image_size, neighbors, progress)
    return prepare_records(
        data,
        image_dir,
        folder / "records",
        image_size=config.data.image_size,
        num_neighbors=neighbors,
        class_names=config.data.class_names,
        progress=progress,
    )


def _training_steps(
    section: str,
    records: Records,
    config: Config,
    targets: Targets,
    turns: int,
    steps: int,
    neighbors: Sequence[int],
    forward: Sequence[int],
    progress: bool,
) -> list[Row]:
    variants = {
        name: training_variant(records, config.replace(**settings), steps)
        for name, settings in variants_of(neighbors, forward).items()
    }
    seconds = take_turns(variants, turns, section, progress)
    return compare(section, seconds, PLAIN_STEP, targets, "step")


def variants_of(neighbors: Sequence[int], forward: Sequence[int]) -> dict[str, dict]:
    """Returns name -> settings that differ, of the plain step and of each K."""
    return {
        PLAIN_STEP: {"method": "cross_entropy"},
        **{f"bank K {k}": {"neighbors": "bank", "num_neighbors": k} for k in neighbors},
        **{f"forward K {k}": {"neighbors": "forward", "num_neighbors": k} for k in forward},
    }


def step_variant(
    make_model: Callable[[], Classifier],
    make_batches: Callable[[], Iterable[Any]],
    steps: int,
    strategy: tf.distribute.Strategy | None = None,
) -> Callable[[], float]:
    """Makes a variant of which the first call, that does not count, makes model and data set.

    Args:
      make_model: makes the model, compiled.
      make_batches: makes its batches, without end.
      steps: in a turn.
      strategy: runs each step on its devices; None: the default device.
    """
    strategy = strategy or tf.distribute.get_strategy()

    @functools.cache
    def parts():
        model = make_model()
        step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)))
        return step, iter(make_batches())

    def run() -> None:
        step, batches = parts()
        for _ in range(steps):
            results = step(next(batches))
        float(strategy.experimental_local_results(results["loss"])[0])  # waits for a GPU

    return timed(run, steps)


def steps_head(
    folder: Path,
    turns: int = 12,
    steps: int = 20,
    *,
    config: Config = HEAD,
    rows: int = 4096,
    inputs: int = HEAD_INPUTS,
    units: int = HEAD_UNITS,
    neighbors: Sequence[int] = NEIGHBORS,
    progress: bool = True,
) -> list[Row]:
    """Measures a step of a frozen backbone's head, 2304-128-7, batch 64, inputs in memory.

    Args:
      folder: not used.
      turns, steps, config, rows, neighbors, progress: as those of `steps_small`.
      inputs: width of the frozen features.
      units: V.
    """
    variants = {}
    for name, settings in variants_of(neighbors, ()).items():
        variants[name] = step_variant(
            functools.partial(head_model, config.replace(**settings), rows, inputs, units),
            functools.partial(_head_batches, config.replace(**settings), rows, inputs),
            steps,
        )
    seconds = take_turns(variants, turns, "steps_head", progress)
    targets = {("bank K 8", PLAIN_STEP): 1.8, ("bank K 32", "bank K 8"): 1.6}
    return compare("steps_head", seconds, PLAIN_STEP, targets, "step")


def head_model(config: Config, rows: int, inputs: int, units: int) -> Classifier:
    """Builds and compiles the head of a frozen backbone: features [B, `inputs`], V = `units`."""
    layers = tf.keras.layers
    frozen = tf.keras.Input([inputs])
    hidden = layers.BatchNormalization()(layers.Dense(units)(frozen))
    features = layers.ReLU(name="features")(hidden)
    dropped = layers.Dropout(0.5)(features)
    logits = layers.Dense(len(config.data.class_names), name="logits")(dropped)
    network, batch_size = tf.keras.Model(frozen, (features, logits)), config.optimizer.batch_size
    model = METHODS[config.method](network, config, rows, steps_per_epoch(rows, batch_size))
    compile_model(model, config)
    return model


def _head_batches(config: Config, rows: int, inputs: int) -> tf.data.Dataset:
    """Makes batches of `data.batches`, with frozen features [B, inputs] in place of images."""
    random, size = np.random.default_rng(0), config.optimizer.batch_size
    shape = [_HEAD_BATCHES, size]
    batches = {
        "sample_id": np.stack([random.permutation(rows)[:size] for _ in range(_HEAD_BATCHES)]),
        "label": random.integers(len(config.data.class_names), size=shape),
        "image": random.normal(size=[*shape, inputs]).astype(np.float32),
    }
    if neighbors := neighbors_read(config):
        batches["auxiliary"] = random.uniform(-1, 1, size=[*shape, 2]).astype(np.float32)
        shape = [*shape, neighbors]
        batches |= {
            "neighbors": random.integers(rows, size=shape),
            "neighbor_labels": random.integers(len(config.data.class_names), size=shape),
            "neighbor_auxiliary": random.uniform(-1, 1, size=[*shape, 2]).astype(np.float32),
        }
    whole = {k: v if v.dtype == np.float32 else v.astype(np.int32) for k, v in batches.items()}
    return tf.data.Dataset.from_tensor_slices(whole).repeat()
