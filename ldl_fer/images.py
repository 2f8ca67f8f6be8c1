"""A picture file as records hold it: JPEG or PNG, 8 bits, gray or RGB, upright, square."""

import io

import cv2
from PIL import Image

from ldl_fer.pixels import ORIENTATION, check_size, decode, resized, to_8_bits

JPEG_QUALITY = 95
_PNG_BIT_DEPTH = 24  # offset of that byte in every PNG file


def stored_image(content: bytes, image_size: int | None) -> tuple[bytes, bool]:
    """What is stored of a picture file: the same bytes if they will do, else a re-encoded picture.

    They will do if they are JPEG or PNG, image_size x image_size, 8-bit, gray or RGB, without
    transparency and without an EXIF rotation. Any other picture is decoded once and made so: EXIF
    rotation applied, transparency dropped (the colors beneath it stay), 16 bits scaled to 8, gray
    kept gray, resized to the square without keeping its aspect ratio, and encoded again, a JPEG as
    JPEG of quality 95, all else as PNG (lossless).

    Args:
      content: a file in any format that OpenCV reads.
      image_size: height and width, pixels; None keeps the picture's own.

    Returns:
      The encoded picture, and whether it is `content` itself. `tf.io.decode_image` reads it.

    Raises:
      ValueError: as `pixels.decoded_image`.
    """
    check_size(content)
    if _is_fit(content, image_size):
        _check_decodes(content)
        return content, True
    picture = decode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    picture = to_8_bits(resized(picture, image_size) if image_size else picture)
    is_jpeg = content.startswith(b"\xff\xd8")
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
    _, encoded = cv2.imencode(".jpg" if is_jpeg else ".png", picture, settings)
    return encoded.tobytes(), False


def _is_fit(content: bytes, image_size: int | None) -> bool:
    """Whether the header promises what records hold; pixels are not decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as header:
            if image_size and header.size != (image_size, image_size):
                return False
            if header.mode not in ("L", "RGB"):
                return False
            if header.format == "PNG":
                plain = b"tRNS" not in content and b"eXIf" not in content
                return plain and content[_PNG_BIT_DEPTH] == 8
            return header.format == "JPEG" and header.getexif().get(ORIENTATION, 1) == 1
    except Exception:  # Pillow raises many kinds on damaged headers: let the decoder judge them.
        return False


def _check_decodes(content: bytes) -> None:
    """Raises ValueError unless training will be able to decode the bytes."""
    import tensorflow as tf  # Seconds, and not needed where pictures are only decoded.

    try:
        tf.io.decode_image(content, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError("the picture is damaged or cut short") from error
