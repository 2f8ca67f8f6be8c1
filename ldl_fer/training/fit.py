"""Runs Keras' `fit` from any step on."""

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.progress import tqdm
from ldl_fer.data.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.data.sets import AnyRecords
from ldl_fer.methods import METHODS, neighbors_read
from ldl_fer.methods.classifier import Classifier
from ldl_fer.training import devices
from ldl_fer.training.state import TrainingState


def fit(
    config: Config,
    model: Classifier,
    state: TrainingState,
    training: AnyRecords,
    validation: AnyRecords,
    strategy: tf.distribute.Strategy,
    callbacks: list[tf.keras.callbacks.Callback],
    progress: bool = False,
) -> None:
    """Trains from where `state` stands, in the middle of an epoch too, to the end.

    Before the first step, a method that looks up outputs visits every training sample once: one
    pass over the training set, in evaluation mode, of the network or of those it learns from.

    Args:
      config: of the run.
      model: compiled.
      state: where the training stands; the `SaveState` counts on.
      training, validation: the sets.
      strategy: the one that the model was made for.
      callbacks: for Keras, a `SaveState` last.
      progress: whether to show a bar for that pass, if it takes longer than two seconds.
    """
    if not state.step and METHODS[config.method].visits_first(config):
        _visit_all(config, model, training, strategy, progress)
    validated = {
        "validation_data": devices.distribute(
            strategy,
            lambda replicas, own: ordered_dataset(
                validation, config, replicas=replicas, own_replicas=own
            ),
        ),
        "validation_steps": steps_per_epoch(len(validation), config.optimizer.batch_size),
    }
    wanted = neighbors_read(config), METHODS[config.method].runs_neighbors(config)

    def epochs(first: int, end: int, steps: int) -> None:
        start = state.step
        model.fit(
            devices.distribute(
                strategy,
                lambda replicas, own: training_dataset(
                    training, config, start, replicas, own, *wanted
                ),
            ),
            initial_epoch=first,
            epochs=end,
            steps_per_epoch=steps,
            callbacks=callbacks,
            verbose=0,
            **validated,
        )

    begun, left = state.epochs_done, state.steps_per_epoch - state.steps_done
    if not left:
        with strategy.scope():
            _end_epoch(model, begun, callbacks, *validated.values())
    elif state.steps_done:
        epochs(begun, begun + 1, left)
    epochs(state.epochs_done, config.optimizer.epochs, state.steps_per_epoch)


def _visit_all(
    config: Config,
    model: Classifier,
    training: AnyRecords,
    strategy: tf.distribute.Strategy,
    progress: bool,
) -> None:
    """Has the model visit every training sample, not augmented."""
    visit = tf.function(lambda batch: strategy.run(model.visit, args=(batch,)))
    batches = devices.distribute(
        strategy,
        lambda replicas, own: ordered_dataset(
            training, config, replicas=replicas, own_replicas=own
        ),
    )
    total = steps_per_epoch(len(training), config.optimizer.batch_size)
    bar = tqdm(batches, "first look-ups", total, unit="batch", delay=2, disable=not progress)
    for batch in bar:
        visit(batch)


def _end_epoch(
    model: Classifier,
    epoch: int,
    callbacks: list[tf.keras.callbacks.Callback],
    validation: tf.data.Dataset,
    steps: int,
) -> None:
    """Does what `fit` does after an epoch's last step: validation and callbacks."""
    called = tf.keras.callbacks.CallbackList(callbacks, model=model, epochs=epoch + 1, steps=0)
    called.on_train_begin()
    called.on_epoch_begin(epoch)
    results = {m.name: float(m.result()) for m in (*model.means.values(), model.accuracy)}
    found = model.evaluate(validation, steps=steps, callbacks=called, return_dict=True, verbose=0)
    called.on_epoch_end(epoch, results | {f"val_{name}": value for name, value in found.items()})
    called.on_train_end()
