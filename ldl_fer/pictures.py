"""Pictures by path, as a training sees them."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldl_fer.errors import InputError
from ldl_fer.pixels import PICTURE_ENDINGS, decoded_image, picture_bytes, resized

_NOT_THERE = "Name the folder that the paths start from"
_DAMAGED = "Replace it or leave it out"


@contextlib.contextmanager
def named_when_unreadable(
    path: str | Path, cure: str = "", row: int | None = None
) -> Iterator[None]:
    """Whatever the block raises about a picture becomes a sentence that names it.

    Args:
      path: of the picture.
      cure: what to do about it; empty: what is usual.
      row: its number in the CSV; None: it is of no CSV.

    Raises:
      InputError: the block raised OSError or ValueError.
    """
    place = path if row is None else f"row {row}: {path}"
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{place} cannot be read: {reason}. {cure or _NOT_THERE}.") from error
    except ValueError as error:
        raise InputError(f"{place} cannot be read: {error}. {cure or _DAMAGED}.") from error


def read_picture(
    path: str | Path, image_size: int, cure: str = "", row: int | None = None
) -> np.ndarray:
    """Upright RGB pixels, uint8 [S, S, 3].

    Args:
      path: a file in any format that `pixels.decoded_image` takes.
      image_size: S, pixels; resized as records are.
      cure, row: for messages, as `named_when_unreadable` takes them.

    Raises:
      InputError: there is no such file, or it cannot be decoded.
    """
    with named_when_unreadable(path, cure, row):
        return resized(decoded_image(picture_bytes(path)), image_size)


def read_pictures(paths: Sequence[str | Path], image_size: int, text: str = "") -> np.ndarray:
    """Pictures of one size, uint8 [M, S, S, 3].

    Args:
      paths: M of them, at least one.
      image_size: S, pixels.
      text: what the progress bar says; empty: there is none.

    Raises:
      InputError: as `read_picture`.
    """
    bar = tqdm(paths, text, unit="picture", disable=not text)
    return np.stack([read_picture(path, image_size) for path in bar])


def pictures_in(folder: str | Path) -> list[Path]:
    """The picture files in a folder and below, by their endings, in the order of their paths.

    Raises:
      InputError: there is none.
    """
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURE_ENDINGS)
    paths = sorted(path for path in found if path.is_file())
    if not paths:
        raise InputError(
            f"{folder} holds no picture ({', '.join(PICTURE_ENDINGS)}). Name another folder."
        )
    return paths
