"""Pictures by path, as a training sees them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldl_fer.errors import InputError
from ldl_fer.pixels import decoded_image, picture_bytes, resized

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def read_picture(path: str | Path, image_size: int) -> np.ndarray:
    """Upright RGB pixels, uint8 [S, S, 3].

    Args:
      path: a file in any format that `pixels.decoded_image` takes.
      image_size: S, pixels; resized as records are.

    Raises:
      InputError: there is no such file, or it cannot be decoded.
    """
    try:
        return resized(decoded_image(picture_bytes(path)), image_size)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Name the folder that the paths start from."
        ) from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read: {error}. Replace it or leave it out.") from error


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
    """The picture files in a folder and below, by their suffixes, in the order of their paths.

    Raises:
      InputError: there is none.
    """
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    paths = sorted(path for path in found if path.is_file())
    if not paths:
        raise InputError(
            f"{folder} holds no picture ({', '.join(sorted(_SUFFIXES))}). Name another folder."
        )
    return paths
