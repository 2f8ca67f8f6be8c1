"""Decodes picture files within a graph, to the pixels that OpenCV reads from them."""

import tensorflow as tf

JPEG_TRANSFORM = "INTEGER_ACCURATE"  # OpenCV's; the default is off by up to 20 gray levels

_PNG, _PNG_KIND = b"\x89PNG", 25  # its beginning; offset of the kind of colors, 4 and more: alpha
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
# For each orientation, 0 to 8: whether to mirror left to right first, then quarters to the left.
_MIRRORED = (False, False, True, False, True, True, False, True, False)
_QUARTERS = (0, 0, 0, 2, 2, 1, 3, 3, 1)
# Bytes; EXIF stands in the first 64 KiB, but for what other programs put before it.
_SEARCHED = 1 << 20
_EXIF = b"Exif\0\0"
_ENTRY = 12  # bytes of an entry of EXIF's table


def decode_picture(content: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF or BMP file as it lies, EXIF rotation not applied.

    Args:
      content: a string.

    Returns:
      RGB uint8 [H, W, 3].

    Raises:
      tf.errors.InvalidArgumentError: it is no such file, or is damaged.
    """
    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method=JPEG_TRANSFORM),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, 3])


def decode(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes images [M] of size x size pixels to uint8 [M, size, size, 3]."""

    def one(content):
        return tf.ensure_shape(decode_picture(content), [size, size, 3])

    return tf.map_fn(one, encoded, fn_output_signature=tf.uint8, parallel_iterations=32)


def decode_upright(content: tf.Tensor) -> tf.Tensor:
    """Decodes a picture file as `data.pictures.decoded_image` does, but for rare cases.

    A JPEG's EXIF rotation is applied; of a PNG, 16 bits become 8, and what its alpha channel makes
    transparent is laid on white. EXIF of other files, and a transparent color, do not count.

    Args:
      content: a string.
    """
    kind = tf.io.decode_raw(tf.strings.substr(content, 0, _PNG_KIND + 1), tf.uint8)
    is_png = _begins(tf.cast(kind, tf.int64), _PNG) & (tf.size(kind) > _PNG_KIND)
    is_plain = tf.cond(
        is_png, lambda: (kind[_PNG_KIND - 1] <= 8) & (kind[_PNG_KIND] & 4 == 0), lambda: True
    )
    picture = tf.cond(is_plain, lambda: decode_picture(content), lambda: _decode_png(content))
    orientation = jpeg_orientation(content)
    mirrored = tf.gather(tf.constant(_MIRRORED), orientation)
    picture = tf.cond(mirrored, lambda: tf.reverse(picture, [1]), lambda: picture)
    return tf.image.rot90(picture, tf.gather(tf.constant(_QUARTERS), orientation))


def _decode_png(content: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG of 16 bits or with an alpha channel to RGB uint8 [H, W, 3], on white."""
    layers = tf.cast(tf.io.decode_png(content, channels=4, dtype=tf.uint16), tf.int64)
    is_deep = tf.strings.substr(content, _PNG_KIND - 1, 1) == b"\x10"

    def full_range(values: tf.Tensor) -> tf.Tensor:
        largest = tf.reduce_max(values)
        most = tf.where(largest < 1 << 8, 255, tf.where(largest < 1 << 12, 4095, 65535))
        scale = tf.where(is_deep, 65535 / most, 1.0)
        return tf.cast(tf.round(tf.cast(values, tf.float64) * scale), tf.int64)

    colors, alpha = full_range(layers[..., :3]), full_range(layers[..., 3:])
    mixed = (colors * alpha + 65535 * (65535 - alpha) + 65535 // 2) // 65535
    return tf.cast(tf.round(mixed / 257), tf.uint8)


def jpeg_orientation(content: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation of a JPEG file, int32 in 1..8; 1 where there is none.

    Args:
      content: a string; of other files, and where EXIF is damaged, the orientation is 1.
    """
    data = tf.io.decode_raw(tf.strings.substr(content, 0, _SEARCHED), tf.uint8)
    data, size = tf.cast(data, tf.int64), tf.size(data, tf.int64)

    def is_other_segment(place: tf.Tensor) -> tf.Tensor:
        """Tells whether a segment with a length begins at a place, but not EXIF's."""
        marker = data[place : place + 2]
        known = tf.size(marker) == 2
        known = known & tf.reduce_all(marker[:1] == 0xFF) & tf.reduce_all(marker[1:] != 0xDA)
        return known & ~_begins(data[place + 4 :], _EXIF)

    start = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.while_loop(
            is_other_segment,
            lambda place: place + 2 + _number(data[place + 2 : place + 4], False),
            [tf.constant(2, tf.int64)],
        )[0],
        lambda: size,
    )
    exif = data[tf.minimum(start + 4, size) :]
    table = exif[len(_EXIF) :]
    found = _begins(exif, _EXIF) & (tf.size(table) >= 8)
    return tf.cond(found, lambda: _orientation(table), lambda: 1)


def _orientation(table: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in EXIF's table, bytes [M >= 8]; 1 where it has none."""
    little = table[0] == ord("I")
    first = tf.minimum(_number(table[4:8], little), tf.size(table, tf.int64))
    count = _number(table[first : first + 2], little)
    entries = table[first + 2 : first + 2 + count * _ENTRY]
    entries = tf.reshape(entries[: tf.size(entries) // _ENTRY * _ENTRY], [-1, _ENTRY])
    is_wanted = _number(entries[:, :2], little) == _ORIENTATION
    value = _number(tf.boolean_mask(entries, is_wanted)[:1, 8:10], little)
    value = tf.reduce_sum(value)  # 0 without such an entry
    return tf.cast(tf.where((value >= 1) & (value <= 8), value, 1), tf.int32)


def _number(data: tf.Tensor, little: tf.Tensor | bool) -> tf.Tensor:
    """Returns the integers of bytes [..., M], whose first is the smallest if `little`."""
    data = tf.cond(tf.cast(little, tf.bool), lambda: data, lambda: tf.reverse(data, [-1]))
    weights = tf.cast(256, tf.int64) ** tf.range(tf.shape(data, tf.int64)[-1])
    return tf.reduce_sum(data * weights, axis=-1)


def _begins(data: tf.Tensor, word: bytes) -> tf.Tensor:
    """Tells whether bytes begin with a word."""
    first = data[: len(word)]
    return tf.cond(
        tf.size(first) == len(word),
        lambda: tf.reduce_all(first == tf.constant(list(word), tf.int64)),
        lambda: False,
    )
