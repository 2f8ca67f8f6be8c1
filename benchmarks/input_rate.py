"""Measures the input pipeline, alone, beside decoding alone."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.made_up_set import made_up_records
from benchmarks.steps import batches_of_method
from benchmarks.timing import Row, compare, take_turns, timed
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.pipeline import in_parallel
from ldl_fer.data.records import Records
from ldl_fer.networks.encoded_pictures import decode

CASES = {"48 px": PRESETS["small"], "112 px": PRESETS["released_raf_resnet50"]}
_VARIANTS = {"plain": {"method": "cross_entropy"}, "bank": {"neighbors": "bank"}}
_TARGET = 1.25


def pipeline(
    folder: Path,
    turns: int = 12,
    steps: int = 64,
    *,
    cases: Mapping[str, Config] = CASES,
    rows: int = 2048,
    progress: bool = True,
) -> list[Row]:
    """Reads and augments, from kept pixels or by decoding each batch, beside decoding alone.

    Args:
      folder: where made-up pictures and records go.
      turns: how often each variant has its turn.
      steps: batches in a turn.
      cases: title -> settings.
      rows: made-up samples.
      progress: whether to show a progress bar.
    """
    result = []
    for title, config in cases.items():
        size, wanted = config.data.image_size, config.data.num_neighbors
        records = made_up_records(folder, rows, size, wanted, progress)
        unit = f"decoding, {title}"
        kinds = {"": records, "encoded, ": Records(records.folder, decoded=False)}
        datasets = {unit: _decoding(records, config)} | {
            f"{name}, {kind}{title}": batches_of_method(
                of_kind, config.replace(epochs=steps, **settings)
            )
            for kind, of_kind in kinds.items()
            for name, settings in _VARIANTS.items()
        }
        variants = {
            name: timed(functools.partial(_exhaust, dataset.take(steps)), steps * _batch(config))
            for name, dataset in datasets.items()
        }
        seconds = take_turns(variants, turns, f"pipeline, {title}", progress)
        targets = {(name, unit): _TARGET for name in datasets if name != unit}
        result += compare("pipeline", seconds, unit, targets, "image")
    return result


def _exhaust(dataset: tf.data.Dataset) -> None:
    for _ in dataset:
        pass


def _batch(config: Config) -> int:
    return config.optimizer.batch_size


def _decoding(records: Records, config: Config) -> tf.data.Dataset:
    """Makes endless batches of decoded pictures whose bytes lie in memory; as parallel as ours."""
    size, count = config.data.image_size, _batch(config)
    encoded = records.encoded(np.arange(len(records) // count * count))
    batches = tf.data.Dataset.from_tensor_slices(tf.reshape(encoded, [-1, count]))
    return in_parallel(batches.repeat(), lambda part: decode(part, size), 3 * count * size**2)
