"""Training checkpoints that are whole or not there, and the one before in case one gets damaged.

A checkpoint is a folder `step-<number>` (`step-<number>-again`, if there is one of that step):
TensorFlow's own two files, and their SHA256SUMS. It is written under a name that begins with
`.partial-`, read back, and renamed; only then the oldest goes. So whenever the process dies, the
newest folder of that name is whole.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.checksums import damage, write_checksums
from ldl_fer.errors import InputError

KEPT = 2
_FILES = "variables"


class Checkpoints:
    """The newest `KEPT` checkpoints of a folder."""

    def __init__(self, folder: Path, objects: tf.train.Checkpoint) -> None:
        """Takes the folder, and what is saved and restored; nothing is read or made."""
        self.folder = folder
        self.objects = objects

    def save(self, step: int) -> None:
        """Writes a checkpoint, reads it back, and drops all but the newest `KEPT`.

        Raises:
          FloatingPointError: a variable holds what is not a finite number; the text names it.
            Nothing is kept of such a checkpoint.
          InputError: the checkpoint cannot be written; those before are untouched.
        """
        partial = self.folder / f".partial-{os.getpid()}"
        try:
            self._clear_partial()
            partial.mkdir(parents=True)
            self.objects.write(str(partial / _FILES))
            _check_numbers(partial / _FILES)
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

    def _read(self, files: Path) -> None:
        try:
            self.objects.read(str(files)).assert_existing_objects_matched()
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
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*"))


def _check_numbers(files: Path) -> None:
    """Reads all tensors back, which compares their checksums, and looks for NaN and infinity."""
    reader = tf.train.load_checkpoint(str(files))
    for name, kind in reader.get_variable_to_dtype_map().items():
        values = reader.get_tensor(name)
        if kind.is_floating and not np.isfinite(np.asarray(values, np.float32)).all():
            raise FloatingPointError(name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"))


def _flush(folder: Path) -> None:
    """Makes files and folder last through a loss of power."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: Exception) -> str:
    """One line of what went wrong, without TensorFlow's names of operations and files."""
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    if isinstance(error, tf.errors.OpError):
        text = text.rpartition("; ")[2].partition(" [Op:")[0]
    return " ".join(text.split("\n")[0].split())
