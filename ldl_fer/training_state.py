"""Where a training stands: everything that the next step depends on, kept in checkpoints."""

from pathlib import Path

import tensorflow as tf

from ldl_fer.checkpoints import Checkpoints
from ldl_fer.errors import InputError
from ldl_fer.methods.classifier import Classifier


class TrainingState:
    """A model with its optimizers and running metrics, and the place in the order of the data.

    Attributes:
      epochs_done: number of finished epochs, validation included.
      steps_done: number of steps done in the epoch after those, 0 to `steps_per_epoch`.
      steps_per_epoch: number of steps in an epoch.
    """

    def __init__(
        self, model: Classifier, steps_per_epoch: int, batch_size: int, folder: Path
    ) -> None:
        """Takes a compiled model, the steps of an epoch, their size, and where to save."""
        self.steps_per_epoch, self.batch_size = steps_per_epoch, batch_size
        self.epochs_done = self.steps_done = 0
        self._metrics = [value for metric in model.metrics for value in metric.variables]
        self._place = tf.Variable(
            [0, 0, steps_per_epoch, batch_size], trainable=False, dtype=tf.int64
        )
        self._means = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self._metrics]
        objects = tf.train.Checkpoint(place=self._place, means=self._means, **model.parts())
        self.checkpoints = Checkpoints(folder, objects)

    @property
    def step(self) -> int:
        """Number of steps done in all."""
        return self.epochs_done * self.steps_per_epoch + self.steps_done

    def restore(self, folder: Path) -> None:
        """Takes the state of the newest whole checkpoint of a folder, if there is one.

        Raises:
          InputError: as `Checkpoints.restore`; or the training was stopped within an epoch and
            its batches are others now.
        """
        if self.checkpoints.restore(folder) is None:
            return
        epochs, within, *batches = (int(value) for value in self._place.numpy())
        if within and batches != [self.steps_per_epoch, self.batch_size]:
            raise InputError(
                f"{folder} was left within an epoch of {batches[0]} batches of {batches[1]}; now "
                f"there are {self.steps_per_epoch} of {self.batch_size}. Finish it with the same "
                "--batch_size, data and number of devices."
            )
        self.epochs_done, self.steps_done = epochs, within

    def save(self) -> None:
        """Writes a checkpoint of where the training stands, as `Checkpoints.save`."""
        self._place.assign(
            [self.epochs_done, self.steps_done, self.steps_per_epoch, self.batch_size]
        )
        self.checkpoints.save(self.step)

    def note_metrics(self) -> None:
        """Keeps the running metrics for `save`; validation starts them anew."""
        for kept, value in zip(self._means, self._metrics, strict=True):
            kept.assign(value.numpy())

    def recall_metrics(self) -> None:
        """Inverse of `note_metrics`: all replicas' values, in equal shares."""
        strategy = tf.distribute.get_strategy()
        for kept, value in zip(self._means, self._metrics, strict=True):
            share = kept / tf.cast(strategy.num_replicas_in_sync, kept.dtype)
            strategy.run(value.assign, args=(share,))
