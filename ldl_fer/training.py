"""A training from beginning to end: data, strategy, model, callbacks, fit, run folder."""

import tensorflow as tf

from ldl_fer import callbacks
from ldl_fer.addons import TQDMProgressBar
from ldl_fer.annotations import read_annotations, split_annotations
from ldl_fer.backbones import build_network
from ldl_fer.config import Config, DataConfig, RunConfig
from ldl_fer.construction import construct_samples
from ldl_fer.errors import InputError
from ldl_fer.model import LDLVA
from ldl_fer.optimizers import learning_rate, network_optimizer, uncertainty_optimizer
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.records import Records, prepare_records
from ldl_fer.runs import Run


def train(config: Config, resume: bool = False) -> Run:
    """Trains one network and leaves a run folder.

    Args:
      config: all settings.
      resume: go on where the run in `config.run.run_dir` stopped; without one there, begin.

    Returns:
      The run, with the network of the best validation accuracy.

    Raises:
      InputError: for data or settings that cannot be trained on, or a run folder in use.
    """
    run = Run(config.run.run_dir)
    if run.exists() and not resume:
        raise InputError(
            f"{run.folder} already holds a run. Add --resume to go on with it, or choose another "
            "--run_dir."
        )
    training, validation = training_records(config.data, config.run.seed)
    run.begin(config)
    tf.keras.utils.set_random_seed(config.run.seed)
    strategy = choose_strategy(config.run)
    with strategy.scope():
        model = build_model(config, training)
        epochs_done, manager = _state(model, run)
    if resume and manager.latest_checkpoint:
        manager.checkpoint.restore(manager.latest_checkpoint).assert_existing_objects_matched()
        print(f"Going on after epoch {int(epochs_done)} of {config.optimizer.epochs}.")
    _announce(config, run, training, validation, strategy)
    done = int(epochs_done)
    steps = steps_per_epoch(len(training), config.optimizer.batch_size)
    model.fit(
        training_dataset(training, config, start_step=done * steps),
        epochs=config.optimizer.epochs,
        initial_epoch=done,
        steps_per_epoch=steps,
        validation_data=ordered_dataset(validation, config),
        callbacks=_callbacks(config, run, training, manager, epochs_done),
        verbose=0,
    )
    model.network.load_weights(run.weights("best"))
    samples = construct_samples(model, training, config, run.folder)
    samples.to_csv(run.samples, index=False, float_format="%.5f")
    return run


def training_records(data: DataConfig, seed: int) -> tuple[Records, Records]:
    """The training set and the set to choose the epoch on, as shards; makes them from CSV files.

    Args:
      data: paths, image size, K.
      seed: of the split, where the validation set is a part of the training CSV.

    Raises:
      InputError: a path is missing, or data cannot be used.
    """
    if not data.train_data_path:
        raise InputError(
            "no training data: give --train_data_path=annotations.csv --train_image_dir=images, "
            "or --train_data_path=FOLDER of shards. `make demo` needs no data."
        )
    if data.val_data_path:
        training = open_records(data, data.train_data_path, data.train_image_dir, data.neighbors)
        validation = open_records(data, data.val_data_path, data.val_image_dir, 0)
        return training, validation
    if data.select_on_test:
        raise InputError("--select_on_test needs the test set as --val_data_path.")
    if not data.train_data_path.endswith(".csv"):
        raise InputError(
            f"{data.train_data_path} is a folder of shards, from which no validation set can be "
            "split (neighbors are stored in it). Give --val_data_path, or the CSV itself."
        )
    annotations = read_annotations(
        data.train_data_path, data.train_image_dir, data.class_names, data.neighbors + 1
    )
    parts = split_annotations(annotations, data.validation_fraction, seed)
    return tuple(
        prepare_records(
            data.train_data_path,
            data.train_image_dir,
            data.records_dir,
            image_size=data.image_size,
            num_neighbors=neighbors,
            class_names=data.class_names,
            annotations=part,
        )
        for part, neighbors in zip(parts, (data.neighbors, 0), strict=True)
    )


def open_records(data: DataConfig, path: str, image_dir: str, neighbors: int) -> Records:
    """Shards, or a CSV made into shards under `records_dir`, checked against the settings.

    Args:
      data: image size, class names, where shards are kept.
      path: CSV file or folder of shards.
      image_dir: folder that the CSV's paths start from.
      neighbors: how many each sample must have at least; 0 for sets that are only evaluated.

    Raises:
      InputError: unreadable data, or shards of another image size, K or classes.
    """
    if path.endswith(".csv"):
        return prepare_records(
            path,
            image_dir,
            data.records_dir,
            image_size=data.image_size,
            num_neighbors=neighbors,
            class_names=data.class_names,
        )
    records = Records(path)
    for name, have, want in (
        ("image size", records.image_size, data.image_size),
        ("classes", tuple(records.class_names), tuple(data.class_names)),
    ):
        if have != want:
            raise InputError(f"{path} has {name} {have}, the settings say {want}.")
    if records.num_neighbors < neighbors:
        raise InputError(
            f"{path} holds {records.num_neighbors} neighbors a sample, --neighbors is {neighbors}. "
            f"Write it again: python -m ldl_fer.records --neighbors={neighbors} ..."
        )
    return records


def choose_strategy(config: RunConfig) -> tf.distribute.Strategy:
    """MirroredStrategy over all visible GPUs if there are any or it is asked for, else none."""
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "mirrored" or (config.strategy == "auto" and gpus):
        return tf.distribute.MirroredStrategy(gpus or tf.config.list_logical_devices("CPU"))
    return tf.distribute.get_strategy()


def build_model(config: Config, training: Records) -> LDLVA:
    """The compiled model of a run; call it in the strategy's scope."""
    network = build_network(
        config.network, config.data.image_size, len(config.data.class_names), config.run.seed
    )
    weights = None
    if config.method.class_weights == "balanced":
        weights = balanced_weights(training.class_counts)
    model = LDLVA(network, config.method, len(training), weights)
    model.compile(
        network_optimizer(config.optimizer),
        uncertainty_optimizer(config.optimizer, config.method.uncertainty_form),
    )
    model.optimizer.build(model.optimized_variables)
    return model


def balanced_weights(counts: list[int]) -> list[float]:
    """N / (C N_c) per class; 0 for a class without samples."""
    return [sum(counts) / (len(counts) * count) if count else 0.0 for count in counts]


def _state(model, run):
    """The epoch counter, and the manager of checkpoints that hold every variable of the training."""
    epochs_done = tf.Variable(0, trainable=False, dtype=tf.int64, name="epochs_done")
    checkpoint = tf.train.Checkpoint(
        network=model.network,
        calibrator=model.calibrator,
        uncertainty=model.uncertainty,
        centers=model.centers,
        optimizer=model.optimizer,
        uncertainty_optimizer=model.uncertainty_optimizer,
        epochs_done=epochs_done,
    )
    return epochs_done, tf.train.CheckpointManager(checkpoint, str(run.state), max_to_keep=2)


def _callbacks(config, run, training, manager, epochs_done):
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    rate = tf.keras.callbacks.LearningRateScheduler(
        lambda epoch: learning_rate(config.optimizer, epoch)
    )
    return [
        rate,
        TQDMProgressBar(show_epoch_progress=True),
        callbacks.NumberSummary(writer),
        callbacks.PictureSummary(writer, training, config),
        callbacks.BestNetwork(run),
        tf.keras.callbacks.CSVLogger(str(run.log), append=int(epochs_done) > 0),
        callbacks.SaveState(manager, epochs_done),
    ]


def _announce(config, run, training, validation, strategy):
    devices = ", ".join(device.name for device in tf.config.list_logical_devices())
    chosen = "the test set (--select_on_test)" if config.data.select_on_test else "validation"
    print(
        f"{len(training):,} training images, {len(validation):,} for {chosen}, "
        f"{len(config.data.class_names)} classes, {config.data.image_size} px\n"
        f"{config.network.backbone}, batch {config.optimizer.batch_size}, "
        f"{strategy.num_replicas_in_sync} replica(s) on {devices}\n"
        f"Run folder: {run.folder}. Curves: tensorboard --logdir {run.tensorboard}"
    )
