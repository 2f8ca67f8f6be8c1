"""Reads an HDF5 file in a process of its own first: from a damaged one HDF5 may never come back."""

import contextlib
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py

from ldl_fer.errors import InputError
from ldl_fer.model_file.weight_stores import WEIGHTS, check_weights

_SECONDS = 30  # to begin with, on a busy machine
_PROGRAM = f"import sys; from {__name__} import read; read(sys.argv[1])"
_BYTES_PER_SECOND = 10e6  # of the slowest disk


def try_reading(path: Path) -> None:
    """Does nothing if the file can be read to its end, or told to be wrong, in good time.

    Args:
      path: a .keras file, or, by any other name, HDF5; it need not exist.

    Raises:
      InputError: reading it does not end, or kills the process.
    """
    if not path.is_file():
        return
    command = [sys.executable, "-c", _PROGRAM, str(path.absolute())]
    seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path} is damaged: reading it does not end (stopped after {seconds:.0f} s). Get it "
            "again."
        ) from error
    if done.returncode < 0:
        raise InputError(
            f"{path} is damaged: reading it ends by signal {-done.returncode}. Get it again."
        )


def read(path: str | Path) -> None:
    """Reads all that can be read of the file; what is wrong with it is not told."""
    path, content = Path(path), None
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(Exception))
        if path.suffix == ".keras":
            content = stack.enter_context(zipfile.ZipFile(path)).open(WEIGHTS)
        file = stack.enter_context(h5py.File(content or path))
        _read_attributes(file)
        check_weights(path, content)  # no array is larger than the file lets expect
        _read_items(file)


def _read_items(group: h5py.Group) -> None:
    for name in group:
        with contextlib.suppress(Exception):
            item = group[name]
            _read_attributes(item)
            if isinstance(item, h5py.Group):
                _read_items(item)
            else:
                item[()]


def _read_attributes(item: h5py.Group | h5py.Dataset) -> None:
    for name in item.attrs:
        with contextlib.suppress(Exception):
            item.attrs[name]
