"""Trains from beginning to end: data, strategy, model, callbacks, fit, run folder."""

import shlex
import sys
import tempfile

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.checks import checkpoint_interval
from ldl_fer.config.progress import shown_as
from ldl_fer.data.pipeline import steps_per_epoch
from ldl_fer.data.pooled_records import PooledRecords
from ldl_fer.data.sets import AnyRecords, opener, training_records
from ldl_fer.errors import InputError
from ldl_fer.files import check_utf8, claimed, whole_file
from ldl_fer.methods import METHODS, network_of_method, training_data
from ldl_fer.methods.optimizers import learning_rate
from ldl_fer.networks.head import standardize
from ldl_fer.training import devices
from ldl_fer.training.build import build_model, facts_of_labels, load_teachers
from ldl_fer.training.callbacks import (
    BestNetwork,
    NumberSummary,
    PictureSummary,
    progress_bars,
)
from ldl_fer.training.checks import (
    check_epochs,
    check_machines,
    check_sampling,
    check_seed,
    check_settings,
    check_size,
    doubts,
    left_behind,
)
from ldl_fer.training.fit import fit
from ldl_fer.training.interruption import SaveState, StopSignals
from ldl_fer.training.run import Run, load_network
from ldl_fer.training.samples import construct_samples
from ldl_fer.training.state import TrainingState


def train(
    config: Config,
    resume: bool = False,
    watch: tf.keras.callbacks.Callback | None = None,
    progress: bool = True,
) -> Run:
    """Trains one network and leaves a run folder.

    Args:
      config: all settings.
      resume: go on where the run in `config.run.run_dir` stopped; without one there, begin.
      watch: a callback in place of the progress bar; nothing is printed then.
      progress: whether to show progress and to print what is trained, and doubts about it.

    Returns:
      The run, with the network of the best validation accuracy: `log`, `samples`, `figure()`. On
      a machine of several that is not the chief, its files lie in the chief's run folder only.

    Raises:
      InputError: for data or settings that cannot be trained on, a run folder in use, a state
        that cannot be saved, or a loss that is no finite number any more.
      Stopped: SIGTERM, SIGHUP or ^C came, and what was done until then is saved.
    """
    if not progress:
        with shown_as("none"):
            return train(config, resume, watch or tf.keras.callbacks.Callback())
    for name in ("run_dir", "records_dir"):
        check_utf8(getattr(config.run if name == "run_dir" else config.data, name), f"--{name}")
    strategy = devices.choose_strategy(config.run.strategy)
    check_settings(config, strategy)
    run = Run(config.run.run_dir)
    if not devices.is_chief(strategy):
        with tempfile.TemporaryDirectory() as folder:
            _train(config, strategy, Run(folder), run if resume else Run(folder), resume, watch)
        return run
    run.check_new(resume)
    _train(config, strategy, run, run, resume, watch)
    return run


def _train(
    config: Config,
    strategy: tf.distribute.Strategy,
    run: Run,
    earlier: Run,
    resume: bool,
    watch: tf.keras.callbacks.Callback | None,
) -> None:
    """Trains into the folder of `run`, from the state that `earlier` has, if any."""
    chief = devices.is_chief(strategy)
    with strategy.scope():
        network = network_of_method(config)
        teachers = load_teachers(config, network)
    open_set = opener(network, config.network.frozen)
    training, validation = training_records(training_data(config), config.run.seed, open_set)
    check_size(config, strategy, training)
    check_sampling(config, training)
    if isinstance(training, PooledRecords):
        standardize(network, *training.pooled.moments)
    with claimed(run.lock) as mine:
        if not mine:
            raise InputError(
                f"another training is at work in {run.folder}. Wait for its end, or choose another "
                "--run_dir."
            )
        run.check_new(resume)
        tf.keras.utils.set_random_seed(config.run.seed)
        model = build_model(config, training, strategy, network, teachers)
        batch_size = config.optimizer.batch_size
        steps = steps_per_epoch(len(training), batch_size, strategy.num_replicas_in_sync)
        state = TrainingState(model, steps, batch_size, run.state)
        state.restore(earlier.state)
        check_epochs(config, state)
        check_seed(config, earlier, state)
        check_machines(config, strategy, training, state)
        run.begin(config)
        run.keep_log(state.epochs_done)
        if chief and watch is None:
            _announce(config, run, training, validation, strategy, state)
            for text in doubts(config, training, validation):
                print(f"warning: {text}", file=sys.stderr)
        with StopSignals(wanted=strategy.cluster_resolver is None) as signals:
            saving = SaveState(state, _interval(config, strategy), signals, training, config)
            all_callbacks = [*_callbacks(config, run, training, chief, watch), saving]
            progress = chief and watch is None
            fit(config, model, state, training, validation, strategy, all_callbacks, progress)
        if chief:
            plain = network if devices.is_plain(config, strategy) else None
            _construct(config, run, training, steps, watch is None, plain)


def _construct(
    config: Config,
    run: Run,
    training: AnyRecords,
    steps: int,
    progress: bool,
    network: tf.keras.Model | None,
) -> None:
    """Writes samples.csv, by a model on one device: network and method of the best epoch.

    The network given, if any, takes the weights of that epoch.
    """
    network, _ = load_network(run.folder, "best", network, config.network.trust_model)
    facts = facts_of_labels(config, training)
    model = METHODS[config.method](network, config, len(training), steps, **facts)
    run.load_method(model.kept_with_best())
    samples = construct_samples(model, training, config, run.folder, progress)
    with whole_file(run.samples_file) as partial:
        samples.to_csv(partial, index=False, float_format="%.5f")


def _interval(config: Config, strategy: tf.distribute.Strategy) -> tuple[int, float]:
    """Returns when to save; machines save together, and their clocks differ."""
    steps, minutes = checkpoint_interval("checkpoint_every", config.run.checkpoint_every)
    return steps, minutes if strategy.cluster_resolver is None else 0.0


def _callbacks(config, run, training, chief, watch):
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    rate = tf.keras.callbacks.LearningRateScheduler(
        lambda epoch: learning_rate(config.optimizer, epoch)
    )
    return [
        rate,
        *(([watch] if watch else progress_bars()) if chief else []),
        NumberSummary(writer),
        *([PictureSummary(writer, training, config)] if config.run.pictures else []),
        BestNetwork(run),
        tf.keras.callbacks.CSVLogger(str(run.log_file), append=True),
    ]


def _announce(config, run, training, validation, strategy, state):
    machine = ", ".join(device.name for device in tf.config.list_logical_devices())
    chosen = "the test set (--select_on_test)" if config.data.select_on_test else "validation"
    print(
        f"{len(training):,} training images, {len(validation):,} for {chosen}, "
        f"{len(config.data.class_names)} classes, {config.data.image_size} px\n"
        f"{config.network.backbone}, batch {config.optimizer.batch_size}, "
        f"{strategy.num_replicas_in_sync} replica(s) on {machine}\n"
        f"Run folder: {run.folder}. Curves: "
        f"tensorboard --logdir {shlex.quote(str(run.tensorboard))}"
    )
    if note := left_behind(config):
        print(note)
    if state.step:
        print(
            f"Going on after {state.epochs_done} of {config.optimizer.epochs} epochs and "
            f"{state.steps_done:,} of {state.steps_per_epoch:,} steps of the next."
        )
