"""Training steps of the head on a frozen backbone, its inputs in memory."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.benchmark.rows import Row, compare
from ldl_fer.benchmark.steps import (
    MORE_NEIGHBORS,
    NEIGHBORS,
    PLAIN_STEP,
    step_variant,
    variants_of,
)
from ldl_fer.benchmark.turns import take_turns
from ldl_fer.compiled_model import compile_model
from ldl_fer.config import Config
from ldl_fer.methods import METHODS, neighbors_read
from ldl_fer.methods.classifier import Classifier
from ldl_fer.pipeline import steps_per_epoch
from ldl_fer.presets import PRESETS

HEAD = PRESETS["small"].replace(batch_size=64)
_HEAD_INPUTS, _HEAD_UNITS = 2304, 512
_HEAD_BATCHES = 16  # different ones in memory


def steps_head(
    folder: Path,
    turns: int = 12,
    steps: int = 20,
    *,
    config: Config = HEAD,
    rows: int = 4096,
    inputs: int = _HEAD_INPUTS,
    units: int = _HEAD_UNITS,
    neighbors: Sequence[int] = NEIGHBORS,
    progress: bool = True,
) -> list[Row]:
    """A training step of a frozen backbone's head, 2304-512-7, batch 64, inputs in memory.

    Args:
      folder: not used.
      turns, steps, config, rows, neighbors, progress: as those of `steps.steps_small`.
      inputs: width of the frozen features.
      units: V.
    """
    variants = {}
    for name, settings in variants_of(neighbors, ()).items():
        variants[name] = step_variant(
            functools.partial(_head_model, config.replace(**settings), rows, inputs, units),
            functools.partial(_head_batches, config.replace(**settings), rows, inputs),
            steps,
        )
    seconds = take_turns(variants, turns, "steps_head", progress)
    targets = {("bank K 8", PLAIN_STEP): 2.5, **dict.fromkeys(MORE_NEIGHBORS)}
    return compare("steps_head", seconds, PLAIN_STEP, targets, "step")


def _head_model(config: Config, rows: int, inputs: int, units: int) -> Classifier:
    layers = tf.keras.layers
    frozen = tf.keras.Input([inputs])
    hidden = layers.Dense(units)(layers.Dropout(0.5)(frozen))
    features = layers.ReLU(name="features")(layers.BatchNormalization()(hidden))
    logits = layers.Dense(len(config.data.class_names), name="logits")(features)
    network, batch_size = tf.keras.Model(frozen, (features, logits)), config.optimizer.batch_size
    model = METHODS[config.method](network, config, rows, steps_per_epoch(rows, batch_size))
    compile_model(model, config)
    return model


def _head_batches(config: Config, rows: int, inputs: int) -> tf.data.Dataset:
    """Batches of `batches.batch_spec`, with frozen features [B, inputs] in place of images."""
    random, size = np.random.default_rng(0), config.optimizer.batch_size
    shape = [_HEAD_BATCHES, size]
    batches = {
        "sample_id": np.stack([random.permutation(rows)[:size] for _ in range(_HEAD_BATCHES)]),
        "label": random.integers(len(config.data.class_names), size=shape),
        "image": random.normal(size=[*shape, inputs]).astype(np.float32),
    }
    if neighbors := neighbors_read(config):
        batches["valence_arousal"] = random.uniform(-1, 1, size=[*shape, 2]).astype(np.float32)
        shape = [*shape, neighbors]
        batches |= {
            "neighbors": random.integers(rows, size=shape),
            "neighbor_labels": random.integers(len(config.data.class_names), size=shape),
            "neighbor_valence_arousal": random.uniform(-1, 1, size=[*shape, 2]).astype(np.float32),
        }
    whole = {k: v if v.dtype == np.float32 else v.astype(np.int32) for k, v in batches.items()}
    return tf.data.Dataset.from_tensor_slices(whole).repeat()
