"""A training from beginning to end: data, strategy, model, callbacks, fit, run folder."""

import dataclasses
import tempfile

import tensorflow as tf

from ldl_fer import callbacks, devices
from ldl_fer.addons import TQDMProgressBar
from ldl_fer.backbones import backbone_variables, build_network, standardize, trained_part
from ldl_fer.bank import NeighborBank
from ldl_fer.classifier import Classifier
from ldl_fer.comparators import COMPARATORS, RANKING
from ldl_fer.config import Config
from ldl_fer.construction import construct_samples
from ldl_fer.errors import InputError
from ldl_fer.model import LDLVA
from ldl_fer.optimizers import learning_rate, network_optimizer, uncertainty_optimizer
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.runs import Run, load_network
from ldl_fer.splits import AnyRecords, opener, training_records


def train(
    config: Config, resume: bool = False, watch: tf.keras.callbacks.Callback | None = None
) -> Run:
    """Trains one network and leaves a run folder.

    Args:
      config: all settings.
      resume: go on where the run in `config.run.run_dir` stopped; without one there, begin.
      watch: is told of the training in place of a progress bar; nothing is printed then.

    Returns:
      The run, with the network of the best validation accuracy. On a machine of several that is
      not the chief, its files lie in the chief's run folder only.

    Raises:
      InputError: for data or settings that cannot be trained on, or a run folder in use.
    """
    strategy = devices.choose_strategy(config.run.strategy)
    _check(config, strategy)
    run = Run(config.run.run_dir)
    if not devices.is_chief(strategy):
        with tempfile.TemporaryDirectory() as folder:
            _train(config, strategy, Run(folder), run if resume else Run(folder), watch)
        return run
    if run.exists() and not resume:
        raise InputError(
            f"{run.folder} already holds a run. Add --resume to go on with it, or choose another "
            "--run_dir."
        )
    _train(config, strategy, run, run, watch)
    return run


def _train(
    config: Config,
    strategy: tf.distribute.Strategy,
    run: Run,
    earlier: Run,
    watch: tf.keras.callbacks.Callback | None,
) -> None:
    """Trains into the folder of `run`, from the state that `earlier` has, if any."""
    chief = devices.is_chief(strategy)
    with strategy.scope():
        classes = len(config.data.class_names)
        network = build_network(config.network, config.data.image_size, classes, config.run.seed)
    opened = opener(network, config.network.frozen)
    training, validation = training_records(config.training_data, config.run.seed, opened)
    _check_size(config, strategy, training)
    if config.network.frozen:
        standardize(network, *training.pooled.moments())
    run.begin(config)
    tf.keras.utils.set_random_seed(config.run.seed)
    model = build_model(config, training, strategy, network)
    epochs_done, checkpoint = _state(model)
    latest = tf.train.latest_checkpoint(earlier.state)
    if latest:
        checkpoint.restore(latest).assert_existing_objects_matched()
        if chief and watch is None:
            print(f"Going on after epoch {int(epochs_done)} of {config.optimizer.epochs}.")
    done, replicas = int(epochs_done), strategy.num_replicas_in_sync
    settings = config.data.num_neighbors, config.method, config.comparator, config.network
    settings = *settings, config.optimizer
    if strategy.cluster_resolver is not None:
        devices.check_agreement(
            strategy,
            {
                "the number of finished epochs": done,
                "the training set": training.annotations().fingerprint(),
                "the settings": (config.data.image_size, config.run.seed, *settings),
            },
        )
    if chief and watch is None:
        _announce(config, run, training, validation, strategy)
    batch_size = config.optimizer.batch_size
    steps = steps_per_epoch(len(training), batch_size, replicas)
    manager = tf.train.CheckpointManager(checkpoint, str(run.state), max_to_keep=2)
    model.fit(
        devices.distribute(
            strategy,
            lambda replicas, own: training_dataset(training, config, done * steps, replicas, own),
        ),
        epochs=config.optimizer.epochs,
        initial_epoch=done,
        steps_per_epoch=steps,
        validation_data=devices.distribute(
            strategy,
            lambda replicas, own: ordered_dataset(
                validation, config, replicas=replicas, own_replicas=own
            ),
        ),
        validation_steps=steps_per_epoch(len(validation), batch_size),
        callbacks=_callbacks(config, run, training, manager, epochs_done, chief, watch),
        verbose=0,
    )
    # Several machines take part in reading a variable that each has its own value of.
    state = [[variable.numpy() for variable in part.variables] for part in _constructing(model)]
    if chief:
        _construct(config, run, training, state, watch is None)


def _construct(config: Config, run: Run, training: AnyRecords, state: list, progress: bool) -> None:
    """Writes samples.csv, by a model on one device: the best network, the last lambda."""
    network, _ = load_network(run.folder, trust_model=config.network.trust_model)
    if config.comparator.method == "ldlva":
        method = dataclasses.replace(config.method, neighbors="forward")  # no second bank
        model = LDLVA(network, method, len(training))
    else:
        model = Classifier(network, len(training))
    for part, values in zip(_constructing(model), state, strict=True):
        for variable, value in zip(part.variables, values, strict=True):
            variable.assign(value)
    samples = construct_samples(model, training, config, run.folder, progress)
    samples.to_csv(run.samples, index=False, float_format="%.5f")


def _constructing(model: Classifier) -> tuple[tf.keras.layers.Layer, ...]:
    return (model.calibrator, model.uncertainty) if isinstance(model, LDLVA) else ()


def build_model(
    config: Config,
    training: AnyRecords,
    strategy: tf.distribute.Strategy | None = None,
    network: tf.keras.Model | None = None,
) -> Classifier:
    """The compiled model of a run, its variables made in the scope of the strategy (None: none).

    A bank that is too large for the devices is made outside of it, in the host's memory.

    Args:
      config: all settings.
      training: the training set.
      strategy: None: the current one.
      network: of `build_network`, made in the strategy's scope; None: a new one.
    """
    strategy = strategy or tf.distribute.get_strategy()
    method, classes = config.method, len(config.data.class_names)
    shared = {"micro_batch_size": config.optimizer.micro_batch_size, "jit": config.run.jit}
    if method.class_weights == "balanced":
        shared["class_weights"] = balanced_weights(training.class_counts)
    if network is None:
        size = config.data.image_size
        with strategy.scope():
            network = build_network(config.network, size, classes, config.run.seed)
    if config.comparator.method in COMPARATORS:
        steps = steps_per_epoch(
            len(training), config.optimizer.batch_size, strategy.num_replicas_in_sync
        )
        make = COMPARATORS[config.comparator.method]
        with strategy.scope():
            model = make(network, config.comparator, len(training), steps, **shared)
            compile_model(model, config)
        return model
    bank, sizes = None, (len(training), trained_part(network).outputs[0].shape[-1], classes)
    if method.label_distribution and method.neighbors == "bank":
        size = NeighborBank.bytes_needed(*sizes)
        if not devices.fits_on_device(size, method.bank_device_share):
            bank = NeighborBank(*sizes, on_host=True, name="bank")
    with strategy.scope():
        model = LDLVA(
            network,
            method,
            len(training),
            bank=bank,
            sync_batch_norm=config.network.sync_batch_norm,
            merge_repeated=not (config.augmentation.pad or config.augmentation.flip),
            **shared,
        )
        compile_model(model, config)
    return model


def compile_model(model: Classifier, config: Config) -> None:
    """Gives a model its optimizer, and LDLVA the second one, with all their variables."""
    slow = backbone_variables(model.network)
    optimizers = [network_optimizer(config.optimizer, config.network.precision, slow)]
    if isinstance(model, LDLVA):
        form = config.method.uncertainty_form
        optimizers.append(uncertainty_optimizer(config.optimizer, form))
    model.compile(*optimizers)
    model.optimizer.build(model.optimized_variables)


def balanced_weights(counts: list[int]) -> list[float]:
    """N / (C N_c) per class; 0 for a class without samples."""
    return [sum(counts) / (len(counts) * count) if count else 0.0 for count in counts]


def _check(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError for settings that exclude each other."""
    if config.network.sync_batch_norm and strategy.num_replicas_in_sync > 1:
        for name, given in (
            ("--micro_batch_size", config.optimizer.micro_batch_size > 0),
            ("--jit", config.run.jit),
        ):
            if given:
                raise InputError(
                    f"--sync_batch_norm does not go with {name}: devices cannot exchange "
                    "statistics from within. Leave one of the two out."
                )
    method = config.comparator.method
    if method in RANKING and config.optimizer.micro_batch_size:
        raise InputError(
            f"--method={method} compares the samples of a batch with each other, which "
            "--micro_batch_size would take apart. Leave it out."
        )


def _check_size(config: Config, strategy: tf.distribute.Strategy, training: AnyRecords) -> None:
    replicas = strategy.num_replicas_in_sync
    for name, size in (
        ("--batch_size", config.optimizer.batch_size),
        ("the number of training images", len(training)),
    ):
        if size < replicas:
            raise InputError(
                f"{name} is {size}, less than the {replicas} devices that share a batch. Raise it, "
                "or use fewer devices: CUDA_VISIBLE_DEVICES names those that are seen."
            )


def _state(model):
    """The epoch counter, and the checkpoint, which holds every variable."""
    epochs_done = tf.Variable(0, trainable=False, dtype=tf.int64, name="epochs_done")
    checkpoint = tf.train.Checkpoint(epochs_done=epochs_done, **model.parts())
    return epochs_done, checkpoint


def _callbacks(config, run, training, manager, epochs_done, chief, watch):
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    rate = tf.keras.callbacks.LearningRateScheduler(
        lambda epoch: learning_rate(config.optimizer, epoch)
    )
    return [
        rate,
        *([watch or TQDMProgressBar(show_epoch_progress=True)] if chief else []),
        callbacks.NumberSummary(writer),
        *([callbacks.PictureSummary(writer, training, config)] if config.run.pictures else []),
        callbacks.BestNetwork(run),
        tf.keras.callbacks.CSVLogger(str(run.log), append=int(epochs_done) > 0),
        callbacks.SaveState(manager, epochs_done),
    ]


def _announce(config, run, training, validation, strategy):
    machine = ", ".join(device.name for device in tf.config.list_logical_devices())
    chosen = "the test set (--select_on_test)" if config.data.select_on_test else "validation"
    print(
        f"{len(training):,} training images, {len(validation):,} for {chosen}, "
        f"{len(config.data.class_names)} classes, {config.data.image_size} px\n"
        f"{config.network.backbone}, batch {config.optimizer.batch_size}, "
        f"{strategy.num_replicas_in_sync} replica(s) on {machine}\n"
        f"Run folder: {run.folder}. Curves: tensorboard --logdir {run.tensorboard}"
    )
