"""Runs Keras' `fit` from any step on."""

import tensorflow as tf

from ldl_fer.config import Config
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
) -> None:
    """Trains from where `state` stands, in the middle of an epoch too, to the end.

    Args:
      config: of the run.
      model: compiled.
      state: where the training stands; the `SaveState` counts on.
      training, validation: the sets.
      strategy: the one that the model was made for.
      callbacks: for Keras, a `SaveState` last.
    """
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
