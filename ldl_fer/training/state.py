"""The state of a training: everything that the next step depends on, kept in checkpoints."""

import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.files import damage, plain_path, write_checksums
from ldl_fer.methods.classifier import Classifier

KEPT = 2
_FILES = "variables"
_LOOKED_AT = 2**20  # numbers at a time


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
        self._optimizer = model.optimizer
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

        Where its epochs had another number of steps, the optimizer goes on as after so many epochs
        of today's.

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
        if batches[0] != self.steps_per_epoch:  # by these steps methods know the epoch
            self._optimizer.iterations.assign(epochs * self.steps_per_epoch)
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
        """Restores what `note_metrics` kept: all replicas' values, in equal shares."""
        strategy = tf.distribute.get_strategy()
        for kept, value in zip(self._means, self._metrics, strict=True):
            share = kept / tf.cast(strategy.num_replicas_in_sync, kept.dtype)
            strategy.run(value.assign, args=(share,))


class Checkpoints:
    """The newest `KEPT` checkpoints of a folder."""

    def __init__(self, folder: Path, objects: tf.train.Checkpoint) -> None:
        """Takes the folder, and the objects to save and restore; nothing is read or made."""
        self.folder = folder
        self.objects = objects
        self._looked_at: list[int] = []  # ids of variables that `_look` looks at

    def save(self, step: int) -> None:
        """Writes a checkpoint, if all numbers are finite, and drops all but the newest `KEPT`.

        Raises:
          FloatingPointError: a variable holds what is not a finite number; the text names it.
            Nothing is written.
          InputError: the checkpoint cannot be written; those before are untouched.
        """
        self._check_numbers()
        partial = self.folder / f".partial-{os.getpid()}"
        try:
            self._clear_partial()
            partial.mkdir(parents=True)
            files = plain_path(partial) / _FILES
            self.objects.write(str(files))
            write_checksums(partial)
            _flush(partial)
            final = self.folder / f"step-{step:09d}"
            while final.exists():  # saved before and after the epoch's validation
                final = final.with_name(f"{final.name}-again")
            partial.rename(final)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                f"cannot save the training's state in {self.folder}: {_reason(error)}. What was "
                "saved before is untouched: make room and go on with --resume."
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for old in _saved(self.folder)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def restore(self, folder: Path | None = None) -> Path | None:
        """Reads the newest checkpoint that is whole, and warns of newer ones that are not.

        Args:
          folder: where to look, if it is not the folder that is written to. Damaged checkpoints
            are removed in the latter only.

        Returns:
          The checkpoint; None if there is none.

        Raises:
          InputError: none of several is whole, or it was made with other settings.
        """
        folder = folder or self.folder
        if (folder / "checkpoint").exists():
            raise InputError(
                f"{folder} is of an earlier version of ldl_fer, which this one cannot go on from. "
                "Train anew in another --run_dir."
            )
        found, damaged = _saved(folder), []
        while found:
            newest = found.pop()
            problem = damage(newest, needed=[f"{_FILES}.index"])
            if problem is None:
                self._read(newest / _FILES)
                for path in damaged if folder == self.folder else []:
                    shutil.rmtree(path)
                return newest
            damaged.append(newest)
            print(
                f"warning: a checkpoint is damaged, {problem}; "
                f"{'going back to the one before' if found else 'there is none before it'}.",
                file=sys.stderr,
            )
        if damaged:
            raise InputError(
                f"no checkpoint in {folder} is whole, so this run cannot be resumed. Train anew in "
                "another --run_dir."
            )
        return None

    def _check_numbers(self) -> None:
        """Looks for NaN and infinity, by one call: 2.15 keeps 40 bytes of each made eagerly."""
        found = [(name, v) for name, v in _variables(self.objects) if v.dtype.is_floating]
        variables = [variable for _, variable in found]
        if self._looked_at != (known := [id(variable) for variable in variables]):
            self._looked_at, self._look = known, tf.function(lambda: _finite(variables))
        for (name, _), finite in zip(found, self._look().numpy(), strict=True):
            if not finite:
                raise FloatingPointError(name)

    def _read(self, files: Path) -> None:
        try:
            self.objects.read(
                str(plain_path(files.parent) / _FILES)
            ).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise InputError(
                f"{files.parent} does not fit these settings: {_reason(error)} Resume with the "
                "settings that the run was begun with (no flag but --resume and --run_dir), or "
                "train anew in another --run_dir."
            ) from error

    def _clear_partial(self) -> None:
        for left in self.folder.glob(".partial-*"):  # of a process that was killed
            shutil.rmtree(left)


def _saved(folder: Path) -> list[Path]:
    """Returns the checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*"))


def _finite(variables: Sequence[tf.Variable]) -> tf.Tensor:
    """Says of each variable whether all its numbers are finite, where it lies: [M] booleans."""
    answers = []
    for variable in variables:
        with tf.device(variable.device):
            answers.append(_all_finite(variable))
    return tf.stack(answers)


def _all_finite(variable: tf.Variable) -> tf.Tensor:
    """Looks at some rows at a time, where there are many numbers: a bank is large.

    Once rows of a variable were written, TensorFlow reads it as a copy.
    """
    if variable.shape.num_elements() <= _LOOKED_AT:
        return tf.reduce_all(tf.math.is_finite(variable))
    rows, *row = variable.shape
    step = max(1, _LOOKED_AT // math.prod(row))

    def look(start: tf.Tensor) -> tf.Tensor:
        part = tf.gather(variable, tf.range(start, tf.minimum(start + step, rows)))
        return tf.reduce_all(tf.math.is_finite(part))

    starts = tf.range(0, rows, step)
    return tf.reduce_all(
        tf.map_fn(look, starts, fn_output_signature=tf.bool, parallel_iterations=1)
    )


def _variables(objects: tf.train.Checkpoint) -> Iterator[tuple[str, tf.Variable]]:
    """Yields all variables of a checkpoint with the shortest of their names in it."""
    view = tf.train.TrackableView(objects)
    found, names = [objects], {id(objects): ""}
    for parent in found:  # which grows
        for name, child in view.children(parent).items():
            if id(child) not in names:
                names[id(child)] = f"{names[id(parent)]}/{name}".removeprefix("/")
                found.append(child)
    for one in found:
        if isinstance(one, tf.Variable):
            yield names[id(one)], one


def _flush(folder: Path) -> None:
    """Makes files and folder last through a loss of power."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: Exception) -> str:
    """Returns one line of an error, without TensorFlow's names of operations and files."""
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    if isinstance(error, tf.errors.OpError):
        text = text.rpartition("; ")[2].partition(" [Op:")[0]
    return " ".join(text.split("\n")[0].split())
