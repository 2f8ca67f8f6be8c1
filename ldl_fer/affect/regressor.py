"""Trains a network to tell valence and arousal, and says how well it does.

The network is the classifiers' (`build_network`), with two outputs in place of logits and tanh
behind them; the loss is 1 - CCC. The folder it leaves:

config.json, environment.json   every setting; versions, git commit, command
log.csv                         a row per epoch: loss, CCC, validation CCC
best.weights.h5, best.json      the network of the best validation CCC; its epoch and SHA-256
metrics.json                    CCC, Pearson, RMSE with intervals, on validation and test faces,
                                beside the standard deviation of their given values
saved_model/                    what `load_affect_model` takes
"""

import dataclasses
import json

import numpy as np
import tensorflow as tf

from ldl_fer.addons import TQDMProgressBar
from ldl_fer.affect.agreement import agreement
from ldl_fer.affect.concordance import Concordance, concordance_loss
from ldl_fer.affect.regression_sets import opened_set, training_and_validation
from ldl_fer.affect.saved_regressor import save_regressor
from ldl_fer.networks.head import backbone_variables, standardize, trained_part
from ldl_fer.networks.network import build_network
from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.methods.optimizers import learning_rate, network_optimizer
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.pooled_records import PooledRecords
from ldl_fer.runs import Run
from ldl_fer.splits import AnyRecords, opener

_FIRST_SCALE = 0.01


def train_regressor(
    config: Config,
    test_data_path: str = "",
    test_image_dir: str = "",
    progress: bool = True,
) -> dict:
    """Trains on one device and leaves a folder.

    Args:
      config: data, augmentation, network, optimizer and run; method, K and how a classifier's run
        is distributed and saved are not looked at. Rows of a CSV without valence or arousal are
        left out.
      test_data_path: annotation CSV, or a folder of shards, on which the best epoch's network is
        measured; empty: none.
      test_image_dir: folder that its paths start from.
      progress: show bars and print what is done.

    Returns:
      What metrics.json holds: {"validation": `agreement`'s, "test": the same, if there is one}.

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
        standardize(network, *training.pooled.moments())
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
    batch_size = config.optimizer.batch_size
    model.fit(
        _with_targets(training_dataset(training, config), training),
        epochs=config.optimizer.epochs,
        steps_per_epoch=steps_per_epoch(len(training), batch_size),
        validation_data=_with_targets(ordered_dataset(validation, config), validation),
        validation_steps=steps_per_epoch(len(validation), batch_size),
        callbacks=[
            tf.keras.callbacks.LearningRateScheduler(lambda e: learning_rate(config.optimizer, e)),
            *([TQDMProgressBar()] if progress else []),
            _BestRegressor(run, network),
            tf.keras.callbacks.CSVLogger(str(run.log)),
        ],
        verbose=0,
    )
    if not run.epoch("best"):
        raise InputError(
            f"{run.log}: the validation CCC was never a number; the training diverged. Lower "
            "--learning_rate."
        )
    network.load_weights(run.weights("best"))
    found = {}
    for name, records in (("validation", validation), ("test", test)):
        if records is not None:
            found[name] = _measure(model, records, config)
    told = {"best": run.epoch("best"), "batch_size": batch_size} | found
    write_whole(run.folder / "metrics.json", json.dumps(told, indent=2) + "\n")
    exact = _in_float32(network, config)
    info = {"kind": "valence-arousal regressor", "backbone": config.network.backbone} | told
    save_regressor(exact, run.saved_model, info)
    return found


def shrink_logits(network: tf.keras.Model) -> None:
    """Multiplies the first weights behind the features by 0.01: tanh starts where it is linear.

    Args:
      network: of `build_network`, its logits as they were drawn.
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
            told = {"epoch": epoch + 1, "validation_ccc": ccc}
            self._run.save_weights(self._network, "best", told)


def _with_targets(dataset: tf.data.Dataset, records: AnyRecords) -> tf.data.Dataset:
    """Batches of (images, valence and arousal [B, 2])."""
    targets = tf.constant(records.annotations().valence_arousal)
    return dataset.map(lambda batch: (batch["image"], tf.gather(targets, batch["sample_id"])))


def _measure(model: tf.keras.Model, records: AnyRecords, config: Config) -> dict:
    predicted = model.predict(_with_targets(ordered_dataset(records, config), records), verbose=0)
    return agreement(records.annotations().valence_arousal, predicted)


def _in_float32(network: tf.keras.Model, config: Config) -> tf.keras.Model:
    """The same network in float32 arithmetic; itself if it is."""
    if config.network.precision == "float32":
        return network
    exact = dataclasses.replace(config.network, precision="float32")
    made = build_network(exact, config.data.image_size, 2, load=False)
    made.set_weights(network.get_weights())
    return made
