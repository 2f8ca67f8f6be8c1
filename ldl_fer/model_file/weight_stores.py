"""The arrays of a model file: not larger than the file lets expect, in no other file, no pickle."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import h5py

from ldl_fer.errors import InputError

WEIGHTS = "model.weights.h5"  # of a .keras archive
_LARGEST_RATIO = 20  # weights hardly compress
_SMALL = 50 * 2**20  # bytes that do no harm whatever the ratio


def check_weights(path: str | Path, content: IO[bytes] | None = None) -> None:
    """Looks through an HDF5 file without reading its arrays.

    Args:
      path: the file, or what to call `content`.
      content: a file within another one.

    Raises:
      InputError: it is damaged; an array is kept in another file; or the arrays, unpacked, are many
        times larger than the file.
    """
    path = Path(path)
    try:
        packed = path.stat().st_size
        with h5py.File(content or path) as file:
            unpacked = sum(_bytes(file, path))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except InputError:
        raise
    except Exception as error:  # h5py has OSError, RuntimeError, KeyError and more for damage
        raise InputError(f"{path} is damaged: {error}. Get it again.") from error
    _check_size(path, packed, unpacked)


def check_archive(path: Path) -> None:
    """Looks through a .keras archive without unpacking it.

    Raises:
      InputError: it is damaged, a bomb, or its weights lie in a pickle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(path, path.stat().st_size, sum(x.file_size for x in archive.infolist()))
            names = archive.namelist()
            if any(name.endswith(".npz") for name in names):
                raise InputError(
                    f"{path} keeps its weights as .npz, which Keras reads by pickle, so that they "
                    "can hold code. Save the model anew with h5py installed."
                )
            damaged = archive.testzip()
            if damaged:
                raise InputError(f"{path} is damaged: {damaged} in it is. Get it again.")
            if WEIGHTS in names:
                with archive.open(WEIGHTS) as content:
                    check_weights(path, content)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist.") from error
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{path} is damaged or neither .h5, .keras nor a SavedModel: {error}. Get it again."
        ) from error


def _bytes(group: h5py.Group, path: Path) -> Iterator[int]:
    """Of each array, unpacked."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{path} is refused: {group.name}/{name} is a link out of its place.")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _bytes(item, path)
        elif item.external or item.is_virtual:
            raise InputError(f"{path} is refused: it keeps {item.name} in another file.")
        else:
            yield item.size * item.dtype.itemsize


def _check_size(path: Path, packed: int, unpacked: int) -> None:
    if unpacked > max(_SMALL, _LARGEST_RATIO * packed):
        raise InputError(
            f"{path} is refused: its {packed:,} bytes unpack to {unpacked:,}, which no weights do."
        )
