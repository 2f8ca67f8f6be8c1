"""A training from beginning to end: data, strategy, model, callbacks, fit, run folder."""

import tensorflow as tf

from ldl_fer import callbacks
from ldl_fer.addons import TQDMProgressBar
from ldl_fer.backbones import build_network
from ldl_fer.config import Config, RunConfig
from ldl_fer.construction import construct_samples
from ldl_fer.errors import InputError
from ldl_fer.model import LDLVA
from ldl_fer.optimizers import learning_rate, network_optimizer, uncertainty_optimizer
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.records import Records
from ldl_fer.runs import Run
from ldl_fer.splits import training_records


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
    """The epoch counter, and the manager of checkpoints, which hold every variable."""
    epochs_done = tf.Variable(0, trainable=False, dtype=tf.int64, name="epochs_done")
    checkpoint = tf.train.Checkpoint(
        network=model.network,
        calibrator=model.calibrator,
        uncertainty=model.uncertainty,
        centers=model.centers,
        **({"bank": model.bank} if model.bank else {}),
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
