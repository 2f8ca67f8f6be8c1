"""Training steps of LDLVA beside those of plain cross-entropy by the same code."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from ldl_fer.benchmark.made_up_set import made_up_records
from ldl_fer.benchmark.rows import Row, Targets, compare
from ldl_fer.benchmark.turns import take_turns, timed
from ldl_fer.compiled_model import build_model
from ldl_fer.config import Config
from ldl_fer.methods import METHODS, neighbors_read
from ldl_fer.methods.classifier import Classifier
from ldl_fer.pipeline import training_dataset
from ldl_fer.prepared_records import prepare_records
from ldl_fer.presets import PRESETS
from ldl_fer.records import Records

PLAIN_STEP = "plain"
NEIGHBORS = (8, 16, 32)
MORE_NEIGHBORS = {("bank K 16", "bank K 8"): 1.05, ("bank K 32", "bank K 8"): 1.1}
_ENDLESS = 10**6  # epochs


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
    """A training step of small_cnn at 48 px, batch 32, with reading, decoding and augmentation.

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
    targets = {("bank K 8", PLAIN_STEP): 1.3, **MORE_NEIGHBORS}
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
    """A training step of ResNet-50 at 112 px, batch 32, with reading, decoding and augmentation.

    Args: as those of `steps_small`.
    """
    most = max([*neighbors, *forward])
    records = _records(folder, config, most, rows, "", "", progress)
    targets = {
        ("bank K 8", PLAIN_STEP): 1.08,
        ("forward K 8", PLAIN_STEP): 3.1,
        **MORE_NEIGHBORS,
    }
    choices = turns, steps, neighbors, forward, progress
    return _training_steps("steps_resnet50", records, config, targets, *choices)


def training_variant(records: Records, config: Config, steps: int) -> Callable[[], float]:
    """What trains a model some steps further, from records, and returns seconds per step."""
    config = config.replace(epochs=_ENDLESS)
    return step_variant(
        functools.partial(build_model, config, records),
        functools.partial(batches_of_method, records, config),
        steps,
    )


def batches_of_method(records: Records, config: Config) -> tf.data.Dataset:
    """The batches that the method of the settings is trained on."""
    return training_dataset(
        records,
        config,
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
    """The user's own data, or else so many made-up rows."""
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
    """Name -> settings that differ."""
    return {
        PLAIN_STEP: {"method": "cross_entropy"},
        **{f"bank K {k}": {"neighbors": "bank", "num_neighbors": k} for k in neighbors},
        **{f"forward K {k}": {"neighbors": "forward", "num_neighbors": k} for k in forward},
    }


def step_variant(
    make_model: Callable[[], Classifier], make_dataset: Callable[[], tf.data.Dataset], steps: int
) -> Callable[[], float]:
    """Model and dataset are made in the first call, which does not count."""

    @functools.cache
    def parts():
        return tf.function(make_model().train_step), iter(make_dataset())

    def run() -> None:
        step, batches = parts()
        for _ in range(steps):
            results = step(next(batches))
        float(results["loss"])  # waits for a GPU

    return timed(run, steps)
