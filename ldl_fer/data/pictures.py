"""Reads any picture file as pixels, and makes it what a record stores."""

import contextlib
import errno
import io
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from ldl_fer.config.progress import tqdm
from ldl_fer.errors import InputError

# Of files that are taken for pictures where a folder is searched, in lower case.
PICTURE_ENDINGS = (
    *(".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".pjpeg"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
JPEG_QUALITY = 95
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
# What makes each orientation upright: mirrored left to right or not, then quarters to the left.
_TURNS = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3)}
_TURNS |= {7: (True, 3), 8: (False, 1)}
_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG"
_PNG_BIT_DEPTH = 24  # offset of that byte in every PNG file
_TIFF = (b"II*\0", b"MM\0*")
_GIF = (b"GIF87a", b"GIF89a")
_HEIF = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}  # brands in its header
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # boxed, and bare
# What every message about unreadable pictures of a set says.
SKIPPING = "Training and evaluation leave pictures that cannot be read out by --on_bad_image=skip."
_NOT_THERE = "Name the folder that the paths start from"
_DAMAGED = "Replace it or leave it out"


def read_picture(
    path: str | Path, image_size: int, cure: str = "", row: int | None = None
) -> np.ndarray:
    """Reads upright RGB pixels, uint8 [S, S, 3].

    Args:
      path: a file in any format that `decoded_image` takes.
      image_size: S, pixels; resized as records are.
      cure, row: for messages, as `named_when_unreadable` takes them.

    Raises:
      InputError: there is no such file, or it cannot be decoded.
    """
    with named_when_unreadable(path, cure, row):
        return resized(decoded_image(picture_bytes(path)), image_size)


def read_pictures(paths: Sequence[str | Path], image_size: int, text: str = "") -> np.ndarray:
    """Reads pictures of one size, uint8 [M, S, S, 3].

    Args:
      paths: M of them, at least one.
      image_size: S, pixels.
      text: of the progress bar; empty: there is none.

    Raises:
      InputError: as `read_picture`.
    """
    bar = tqdm(paths, text, unit="picture", disable=not text)
    return np.stack([read_picture(path, image_size) for path in bar])


def pictures_in(folder: str | Path) -> list[Path]:
    """Returns the picture files in a folder and below, by their endings, sorted by path.

    Raises:
      InputError: there is none.
    """
    files = (path for path in files_below(folder) if path.suffix.lower() in PICTURE_ENDINGS)
    paths = sorted(path for path in files if path.is_file())
    if not paths:
        raise InputError(
            f"{folder} holds no picture ({', '.join(PICTURE_ENDINGS)}). Name another folder."
        )
    return paths


def files_below(folder: str | Path) -> Iterator[Path]:
    """Yields all that is no folder in a folder and below; folders that cannot be read as well.

    Links to folders are followed, but no folder is looked into twice; its own place comes before
    links to it.
    """
    pending, seen, failed = deque([Path(folder)]), set[Path](), list[OSError]()
    while pending:
        start = pending.popleft()
        if start.resolve() in seen:
            continue
        for place, folders, files in os.walk(start, onerror=failed.append):
            seen.add(Path(place).resolve())
            below = [Path(place, name) for name in sorted(folders)]
            pending += [path for path in below if path.is_symlink()]
            folders[:] = [
                path.name for path in below if not path.is_symlink() and path.resolve() not in seen
            ]
            yield from (Path(place, name) for name in files)
    yield from (Path(error.filename) for error in failed)


def picture_bytes(path: str | Path) -> bytes:
    """Reads a picture file's bytes; a pipe or device, which may never end, is not opened.

    Raises:
      OSError: it cannot be read, or is no file; `strerror` says why.
      ValueError: no file can have that name.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir() and path.exists():
        raise OSError(errno.EINVAL, "it is a pipe or device, not a file", str(path))
    return path.read_bytes()


def decoded_image(content: bytes) -> np.ndarray:
    """Decodes a picture file to the pixels that one sees: EXIF rotation applied.

    Gray becomes three equal channels, what is transparent is laid on white, 16 bits are scaled to
    8 (of 12 bits in a file of 16 those 12).

    Args:
      content: a file in any format that OpenCV reads; of an animation, the first picture.

    Returns:
      RGB uint8 [H, W, 3].

    Raises:
      ValueError: if the picture cannot be decoded, is transparent all over, or has more pixels
        than Pillow holds harmless (179 million, twice `PIL.Image.MAX_IMAGE_PIXELS`; half a
        gigabyte); the text says why.
    """
    _check_size(content)
    return _to_8_bits(_decode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR_RGB))


def resized(picture: np.ndarray, image_size: int) -> np.ndarray:
    """Makes a picture square; its aspect ratio is not kept.

    Sides that are too long shrink by area averaging, those too short grow by cubics.

    Args:
      picture: [H, W] or [H, W, channels], uint8 or uint16.
      image_size: height and width of the result, pixels.
    """
    height, width = picture.shape[:2]
    if max(height, width) > image_size:
        shrunk = (min(width, image_size), min(height, image_size))
        picture = cv2.resize(picture, shrunk, interpolation=cv2.INTER_AREA)
    if min(height, width) < image_size:
        picture = cv2.resize(picture, (image_size, image_size), interpolation=cv2.INTER_CUBIC)
    return picture


def stored_image(content: bytes, image_size: int | None) -> tuple[bytes, bool]:
    """Returns the bytes to store of a picture file: the same if they will do, else re-encoded.

    They will do if they are JPEG or PNG, image_size x image_size, 8-bit, gray or RGB, without
    transparency and without an EXIF rotation. Any other picture is decoded once and made so: EXIF
    rotation applied, laid on white where it is transparent, 16 bits scaled to 8, gray kept gray,
    resized to the square without keeping its aspect ratio, and encoded again, a JPEG as
    JPEG of quality 95, all else as PNG (lossless).

    Args:
      content: a file in any format that OpenCV reads.
      image_size: height and width, pixels; None keeps the picture's own.

    Returns:
      The encoded picture, and whether it is `content` itself. `encoded_pictures.decode_picture`
      reads it.

    Raises:
      ValueError: as `decoded_image`.
    """
    _check_size(content)
    if _is_fit(content, image_size):
        _decoded_as_in_training(content)
        return content, True
    picture = _decode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    picture = _to_8_bits(resized(picture, image_size) if image_size else picture)
    is_jpeg = content.startswith(_JPEG)
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
    _, encoded = cv2.imencode(".jpg" if is_jpeg else ".png", picture, settings)
    return encoded.tobytes(), False


def stored_pixels(content: bytes, image_size: int) -> np.ndarray:
    """Returns the pixels of what `stored_image` would store, RGB uint8 [S, S, 3].

    It is decoded once; only a JPEG, whose encoding loses something, is encoded and decoded again.

    Raises:
      ValueError: as `decoded_image`.
    """
    _check_size(content)
    if _is_fit(content, image_size):
        return _decoded_as_in_training(content)
    if content.startswith(_JPEG):
        content, _ = stored_image(content, image_size)
        return _decoded_by_opencv(content, cv2.IMREAD_COLOR_RGB)
    picture = _decode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    picture = _to_8_bits(resized(picture, image_size))
    kind = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(picture, kind)


@contextlib.contextmanager
def named_when_unreadable(
    path: str | Path, cure: str = "", row: int | None = None
) -> Iterator[None]:
    """Turns an error that the block raises about a picture into a sentence that names it.

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


def _check_size(content: bytes) -> None:
    """Raises ValueError for an empty file, JPEG 2000, a damaged PNG, or far too many pixels."""
    if not content:
        raise ValueError("the file is empty")
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF:
        raise ValueError("HEIC or AVIF, which is not read; save it as JPEG or PNG")
    if content.startswith(_JPEG_2000):
        raise ValueError("JPEG 2000, whose damage OpenCV does not survive; save it as PNG or JPEG")
    try:
        with Image.open(io.BytesIO(content)) as header:
            if header.format == "PNG":
                header.verify()
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; make it smaller"
        ) from error
    except Exception as error:  # Pillow raises many kinds: the decoder judges damage.
        if content.startswith(_PNG):  # OpenCV 4.11 never comes back from some damaged ones.
            raise ValueError("the picture is damaged or cut short") from error


def _decode(content: bytes, flags: int) -> np.ndarray:
    """Decodes to [H, W] or [H, W, 3], uint8 or uint16 of full range, upright, on white.

    `flags` are OpenCV's; BGR unless they have IMREAD_COLOR_RGB.
    """
    if content.startswith(_GIF) or _has_transparency(content):
        picture = _on_white(_layers(content))
        if flags & cv2.IMREAD_ANYCOLOR and (picture == picture[..., :1]).all():
            return np.ascontiguousarray(picture[..., 0])
        return picture if flags & cv2.IMREAD_COLOR_RGB else np.ascontiguousarray(picture[..., ::-1])
    webp = content[8:12] == b"WEBP"
    if webp:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION  # OpenCV 4.11 does in any case, 4.14 does not.
    picture = _full_range(_decoded_by_opencv(content, flags))
    return _upright(picture, _orientation(content)) if webp else picture


def _decoded_by_opencv(content: bytes, flags: int) -> np.ndarray:
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in error.err:
            raise ValueError(
                "it has more pixels than OpenCV is allowed; make it smaller"
            ) from error
        raise ValueError(f"OpenCV cannot decode it ({error.err})") from error
    if picture is None:
        raise ValueError("not a picture OpenCV can decode, or damaged, or cut short")
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its pixels are {picture.dtype}; save it with 8 or 16 bits per channel")
    return picture


def _has_transparency(content: bytes) -> bool:
    """Returns whether a PNG, WebP or TIFF file has an alpha channel or a transparent color."""
    if not (content.startswith((_PNG, *_TIFF)) or content[8:12] == b"WEBP"):
        return False
    try:
        with Image.open(io.BytesIO(content)) as header:
            return header.has_transparency_data
    except Exception:  # Pillow raises many kinds: let the decoder judge damage.
        return False


def _layers(content: bytes) -> np.ndarray:
    """Decodes a file with transparency, or a GIF's first picture: RGBA [H, W, 4], upright.

    Pillow decodes, since OpenCV multiplies a TIFF's colors, drops gray's transparent value, and
    knows no GIF before 4.12; but 16 bits, of which Pillow leaves 8.
    """
    if content.startswith(_PNG) and content[_PNG_BIT_DEPTH] == 16:
        picture = _decoded_by_opencv(content, cv2.IMREAD_UNCHANGED)
        if picture.shape[2:] == (4,):
            colors = _full_range(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB))
            picture = np.dstack([colors, _full_range(picture[..., 3])])
            return _upright(picture, _orientation(content))
    try:
        with Image.open(io.BytesIO(content)) as first:
            return np.asarray(ImageOps.exif_transpose(first).convert("RGBA"))
    except Exception as error:  # Pillow raises many kinds.
        raise ValueError("the picture is damaged or cut short") from error


def _on_white(layers: np.ndarray) -> np.ndarray:
    """Returns RGB [H, W, 3] of RGBA [H, W, 4], laid on white; refuses what shows nothing."""
    wide = np.promote_types(layers.dtype, f"u{2 * layers.itemsize}")  # products just fit into it
    alpha, most = layers[..., 3:].astype(wide), wide.type(np.iinfo(layers.dtype).max)
    if not alpha.any():
        raise ValueError("it is transparent all over; save it without transparency")
    mixed = layers[..., :3] * alpha + most * (most - alpha)
    return ((mixed + most // wide.type(2)) // most).astype(layers.dtype)


def _full_range(picture: np.ndarray) -> np.ndarray:
    """Stretches 8 or 12 bits that lie in 16; a picture of 16 bits so dark would show nothing."""
    if picture.dtype == np.uint8 or (largest := int(picture.max())) >= 1 << 12:
        return picture
    return np.round(picture * (65535 / (255 if largest < 1 << 8 else 4095))).astype(np.uint16)


def _orientation(content: bytes) -> int:
    """Returns the EXIF orientation that Pillow reads; 1 where there is none."""
    try:
        with Image.open(io.BytesIO(content)) as header:
            return header.getexif().get(_ORIENTATION, 1)
    except Exception:  # No header that Pillow understands: no rotation that is known.
        return 1


def _upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Applies an EXIF orientation."""
    flip, turn = _TURNS.get(orientation, (False, 0))
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if flip else picture, turn))


def _to_8_bits(picture: np.ndarray) -> np.ndarray:
    """Scales 0..65535 to 0..255 (division by 257, rounded); leaves 8 bits as they are.

    Args:
      picture: [H, W] or [H, W, channels], uint8 or uint16.

    Returns:
      Of the same shape, uint8.
    """
    if picture.dtype == np.uint8:
        return picture
    return cv2.convertScaleAbs(picture, alpha=1 / 257)  # No copy in between: it may be large.


def _is_fit(content: bytes, image_size: int | None) -> bool:
    """Returns whether the header promises what records hold; pixels are not decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as header:
            if image_size and header.size != (image_size, image_size):
                return False
            if header.mode not in ("L", "RGB"):
                return False
            if header.format == "PNG":
                plain = b"tRNS" not in content and b"eXIf" not in content
                return plain and content[_PNG_BIT_DEPTH] == 8
            return header.format == "JPEG" and header.getexif().get(_ORIENTATION, 1) == 1
    except Exception:  # Pillow raises many kinds on damaged headers: let the decoder judge them.
        return False


def _decoded_as_in_training(content: bytes) -> np.ndarray:
    """Decodes what is fit to be stored; raises ValueError where training could not."""
    import tensorflow as tf  # Seconds, and not needed where pictures are only decoded.

    from ldl_fer.networks.encoded_pictures import decode_picture

    try:
        return decode_picture(content).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError("the picture is damaged or cut short") from error
