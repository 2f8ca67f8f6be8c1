"""Trains a network to estimate valence and arousal, and measures how well it does.

The network is the classifiers' (`build_network`) with two outputs in place of the logits and tanh
behind them; the loss is 1 - CCC. The run folder has:

config.json, environment.json   every setting; versions, git commit, command
log.csv                         a row per epoch: loss, CCC, validation CCC
best.weights.h5, best.json      the network of the best validation CCC; its epoch and SHA-256
metrics.json                    agreement with intervals on validation and test faces, beside the
                                standard deviation of their given values
saved_model/                    the best network, for `load_affect_model`
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.data.pooled_records import PooledRecords
from ldl_fer.data.sets import AnyRecords, opener
from ldl_fer.errors import InputError
from ldl_fer.files import (
    made_folder,
    told_when_full,
    values_without_home,
    write_checksums,
    write_whole,
)
from ldl_fer.methods.optimizers import learning_rate, network_optimizer
from ldl_fer.networks.head import backbone_variables, standardize, trained_part
from ldl_fer.networks.network import build_network
from ldl_fer.networks.saved_model import EXTRA, TOLERANCE, save_serving
from ldl_fer.preparation.affect.agreement import agreement
from ldl_fer.preparation.affect.concordance import Concordance, concordance_loss
from ldl_fer.preparation.affect.human_values import class_means_beside_human, shift_sentence
from ldl_fer.preparation.affect.model import SPEC_FILE, load_affect_model
from ldl_fer.preparation.affect.model_spec import ModelSpec
from ldl_fer.preparation.affect.regression_sets import opened_set, training_and_validation
from ldl_fer.training.callbacks import progress_bars
from ldl_fer.training.checks import known_pictures
from ldl_fer.training.run import Run

OUTPUT = "valence_arousal"  # of the SavedModel
_FIRST_SCALE = 0.01


def train_regressor(
    config: Config,
    test_data_path: str = "",
    test_image_dir: str = "",
    progress: bool = True,
) -> dict:
    """Trains on one device and writes a run folder, see above.

    Args:
      config: data, augmentation, network, optimizer and run; method, K and how a classifier's run
        is distributed and saved are ignored. Rows of a CSV without valence or arousal are left
        out.
      test_data_path: annotation CSV, or a folder of shards, on which the best epoch's network is
        measured; empty: none.
      test_image_dir: folder that its paths start from.
      progress: show bars and print sizes.

    Returns:
      {"validation": of `agreement`, "test": the same, if there is a test set}.

    Raises:
      InputError: data or settings that cannot be trained on, or a folder in use.
    """
    run = Run(config.run.run_dir)
    if run.exists():
        raise InputError(f"{run.folder} already holds a run. Choose another --run_dir.")
    network = build_network(config.network, config.data.image_size, 2, config.run.seed)
    shrink_logits(network)
    opened = opener(network, config.network.frozen)
    training, validation = training_and_validation(config.data, config.run.seed, opened, progress)
    test = None
    if test_data_path:
        test = opened_set(opened, config.data, test_data_path, test_image_dir, progress)
    if isinstance(training, PooledRecords):
        standardize(network, *training.pooled.moments)
    run.begin(config)
    tf.keras.utils.set_random_seed(config.run.seed)
    part = trained_part(network)
    model = tf.keras.Model(part.input, tf.keras.layers.Activation("tanh")(part.outputs[1]))
    slow = backbone_variables(network)
    model.compile(
        network_optimizer(config.optimizer, config.network.precision, slow),
        concordance_loss,
        metrics=[Concordance()],
    )
    if progress:
        print(
            f"{len(training):,} training images, {len(validation):,} for validation, "
            f"{config.data.image_size} px, {config.network.backbone}, batches of "
            f"{config.optimizer.batch_size}\nRun folder: {run.folder}"
        )
        measured = {}
        if config.data.val_data_path:
            measured["validation"] = validation.pictures(config.data.val_image_dir)
        if test is not None:
            measured["test"] = test.pictures(test_image_dir)
        texts = known_pictures(training.pictures(config.data.train_image_dir), measured)
        for text in texts + _shifted(training.annotations()):
            print(f"warning: {text}", file=sys.stderr)
    batch_size = config.optimizer.batch_size
    model.fit(
        _with_targets(training_dataset(training, config), training),
        epochs=config.optimizer.epochs,
        steps_per_epoch=steps_per_epoch(len(training), batch_size),
        validation_data=_with_targets(ordered_dataset(validation, config), validation),
        validation_steps=steps_per_epoch(len(validation), batch_size),
        callbacks=[
            tf.keras.callbacks.LearningRateScheduler(lambda e: learning_rate(config.optimizer, e)),
            *(progress_bars() if progress else []),
            _BestRegressor(run, network),
            tf.keras.callbacks.CSVLogger(str(run.log_file)),
        ],
        verbose=0,
    )
    if not run.epoch("best"):
        raise InputError(
            f"{run.log_file}: the validation CCC was never a number; the training diverged. Lower "
            "--learning_rate."
        )
    network.load_weights(run.weights("best"))
    found = {}
    for name, records in (("validation", validation), ("test", test)):
        if records is not None:
            found[name] = _measure(model, records, config)
    metrics = {"best": run.epoch("best"), "batch_size": batch_size} | found
    write_whole(run.folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    exact = _in_float32(network, config)
    info = {"kind": "valence-arousal regressor", "backbone": config.network.backbone} | metrics
    save_regressor(exact, run.saved_model, info)
    return found


def _shifted(learned: Annotations) -> list[str]:
    """Returns a sentence where the values that are learned are not people's."""
    means = class_means_beside_human(learned.class_names, learned.labels, learned.valence_arousal)
    shift = shift_sentence(means)
    return [f"of the training values, {shift} The network will learn that."] if shift else []


def shrink_logits(network: tf.keras.Model) -> None:
    """Multiplies the initial weights behind the features by 0.01: tanh starts where it is linear.

    Args:
      network: of `build_network`, untrained.
    """
    kernel = trained_part(network).get_layer("logits").kernel
    kernel.assign(_FIRST_SCALE * kernel)


class _BestRegressor(tf.keras.callbacks.Callback):
    """Keeps the whole network at the epoch of the highest validation CCC."""

    def __init__(self, run: Run, network: tf.keras.Model) -> None:
        super().__init__()
        self._run, self._network, self._best = run, network, -np.inf

    def on_epoch_end(self, epoch, logs=None):
        ccc = float(logs["val_ccc"])
        if ccc > self._best:
            self._best = ccc
            best = {"epoch": epoch + 1, "validation_ccc": ccc}
            self._run.save_weights(self._network, "best", best)


def _with_targets(dataset: tf.data.Dataset, records: AnyRecords) -> tf.data.Dataset:
    """Returns batches of (images, valence and arousal [B, 2])."""
    targets = tf.constant(records.annotations().valence_arousal)
    return dataset.map(lambda batch: (batch["image"], tf.gather(targets, batch["sample_id"])))


def _measure(model: tf.keras.Model, records: AnyRecords, config: Config) -> dict:
    predicted = model.predict(_with_targets(ordered_dataset(records, config), records), verbose=0)
    return agreement(records.annotations().valence_arousal, predicted)


def _in_float32(network: tf.keras.Model, config: Config) -> tf.keras.Model:
    """Returns the same network in float32 arithmetic; itself if it is."""
    if config.network.precision == "float32":
        return network
    exact = dataclasses.replace(config.network, precision="float32")
    made = build_network(exact, config.data.image_size, 2, load=False)
    made.set_weights(network.get_weights())
    return made


def save_regressor(
    network: tf.keras.Model, folder: str | Path, info: Mapping[str, Any] | None = None
) -> Path:
    """Writes the SavedModel, loads it and compares it with the network; only then renames it.

    Args:
      network: of `build_network`, of two classes.
      folder: must not exist yet.
      info: content of info.json.

    Raises:
      InputError: the folder exists.
      RuntimeError: the file's answers differ from the network's.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already. Name another folder.")
    size = network.input_shape[1]
    made_folder(folder.parent)
    with (
        told_when_full(folder),
        tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary,
    ):
        written = Path(temporary) / "new"

        def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {OUTPUT: valence_arousal(network, images)}

        save_serving(network, written, size, answer, {"image_size": size})
        extra = written / EXTRA
        extra.mkdir()
        spec = ModelSpec(image_size=size, outputs=(OUTPUT,), columns=(0, 1))
        (extra / SPEC_FILE).write_text(spec.to_json())
        entries = values_without_home(dict(info or {}))
        (extra / "info.json").write_text(json.dumps(entries, indent=2, default=str) + "\n")
        write_checksums(written)
        _compare(network, written, size)
        try:
            written.rename(folder)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}. Name another.") from error
    return folder


def valence_arousal(network: tf.keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Returns tanh of a network's two logits: images [B, S, S, 3] -> float32 [B, 2]."""
    return tf.tanh(tf.cast(network(images, training=False)[1], tf.float32))


def _compare(network: tf.keras.Model, folder: Path, size: int) -> None:
    """Raises RuntimeError unless the saved model's answers are the network's, within TOLERANCE."""
    images = np.random.default_rng(0).integers(0, 256, [3, size, size, 3], np.uint8)
    live = valence_arousal(network, tf.constant(images, tf.float32)).numpy()
    difference = np.abs(load_affect_model(folder).outputs(images) - live).max()
    if not difference < TOLERANCE:  # a NaN is a difference too
        raise RuntimeError(
            f"the saved regressor differs from the network by {difference:.3g}, more than "
            f"{TOLERANCE}; nothing was kept"
        )
