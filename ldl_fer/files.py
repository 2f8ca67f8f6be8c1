"""Files that are there whole or not at all, and paths that may be one file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ldl_fer.errors import InputError


def write_whole(path: str | Path, text: str) -> None:
    """Writes a UTF-8 text file, whole or not at all, making its folder where there is none.

    Raises:
      InputError: it cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yields a path beside `path`, of the same ending, that takes its place if the block succeeds.

    The folder is made where there is none.

    Raises:
      InputError: it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path}: {reason}. Name another file.") from error


@contextlib.contextmanager
def claimed(path: str | Path) -> Iterator[bool]:
    """Yields whether this process alone may do what the lock file `path` stands for.

    The claim ends with the block, or with the process, however it ends. The file may stay. Where
    the file system knows no locks, the answer is yes.

    Raises:
      InputError: the file cannot be made.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write into {path.parent}: {reason}. Name another.") from error
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except OSError:
        pass
    try:
        yield True
    finally:
        lock.release()


def same_file(first: str | Path, second: str | Path) -> bool:
    """Returns whether both paths exist and lead to one file."""
    return os.path.exists(first) and os.path.exists(second) and os.path.samefile(first, second)
