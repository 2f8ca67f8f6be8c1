"""A folder of records is made beside its place, and takes it when it is complete."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ldl_fer.errors import InputError
from ldl_fer.manifest import MANIFEST


@contextlib.contextmanager
def whole_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` if the block succeeds, else is removed.

    Its name tells the process: a killed one leaves NAME-*.partial-<pid> behind, and nothing else.

    Args:
      folder: to make; parents are made too.
      overwrite: replace a folder of records.

    Raises:
      InputError: the place is taken, or the folder cannot be made.
    """
    folder = folder.resolve()
    _check_free(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        _move_into_place(partial, folder, overwrite)
    except BaseException:  # ^C too
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _check_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder}: exists and is not a folder of records. Name another one.")
    if not overwrite:
        raise InputError(f"{folder}: holds records already. Name another folder or --overwrite.")


def _move_into_place(partial: Path, folder: Path, overwrite: bool) -> None:
    former = partial.with_name(f"{partial.name}-former")
    if overwrite and folder.exists():
        folder.rename(former)
    try:
        partial.rename(folder)
    except BaseException as error:
        if former.exists():
            former.rename(folder)
        if isinstance(error, OSError):
            raise InputError(f"{folder}: cannot be made ({error.strerror}).") from error
        raise
    shutil.rmtree(former, ignore_errors=True)
