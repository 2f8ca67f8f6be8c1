"""Pictures are decoded in a graph to the pixels that OpenCV and Pillow read from them."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from ldl_fer.networks.encoded_pictures import decode_picture, decode_upright, jpeg_orientation

RANDOM = np.random.default_rng(0)
ORIENTATION = 0x0112
upright = tf.function(decode_upright, input_signature=[tf.TensorSpec([], tf.string)])
orientation = tf.function(jpeg_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def smooth(height, width):
    """Returns a picture without edges, as a JPEG keeps it."""
    colors = RANDOM.integers(0, 256, [height // 8 + 2, width // 8 + 2, 3], np.uint8)
    return Image.fromarray(cv2.resize(colors, (width, height), interpolation=cv2.INTER_CUBIC))


def saved(picture, file_format="JPEG", **settings):
    file = io.BytesIO()
    picture.save(file, file_format, **settings)
    return file.getvalue()


def exif(tag, endian="<"):
    made = Image.Exif()
    made.endian = endian
    made[0x010E], made[0x0131], made[ORIENTATION] = "description", "software " * 9, tag
    return made.tobytes()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_what_opencv_reads(mode, subsampling, progressive):
    for quality in (20, 75, 98):
        picture = smooth(*RANDOM.integers(1, 90, 2)).convert(mode)
        settings = {"quality": quality, "progressive": progressive}
        settings |= {"subsampling": subsampling} if mode == "RGB" else {}
        content = saved(picture, **settings)
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(decode_picture(content), expected)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF"])
def test_other_files_keep_their_pixels(file_format):
    picture = smooth(9, 14).quantize(16).convert("RGB")
    content = saved(picture, file_format)
    np.testing.assert_array_equal(upright(content), np.asarray(picture))
    assert orientation(content) == 1


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("tag", range(1, 9))
def test_the_orientation_of_a_jpeg_is_applied(tag, endian):
    content = saved(smooth(17, 23), exif=exif(tag, endian), quality=100, subsampling=0)
    assert orientation(content) == tag
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))).astype(int)
    found = upright(content).numpy()
    assert np.abs(found - expected).max() <= 2  # two decoders
    np.testing.assert_array_equal(
        found, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    )


def test_exif_behind_other_segments():
    segment = (
        b"\xff\xe1" + (2 + 300).to_bytes(2, "big") + b"http://ns.adobe.com/xap/1.0/".ljust(300)
    )
    content = saved(smooth(5, 7), exif=exif(6))
    assert orientation(content[:2] + segment * 3 + content[2:]) == 6


@pytest.mark.parametrize("tag", [0, 9, 65535])
def test_no_such_orientation(tag):
    assert orientation(saved(smooth(5, 7), exif=exif(tag))) == 1


def test_no_exif_and_no_picture():
    assert orientation(saved(smooth(5, 7))) == 1
    made = Image.Exif()
    made[0x0131] = "software"
    assert orientation(saved(smooth(5, 7), exif=made.tobytes())) == 1
    for content in (
        b"",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe1",
        b"\xff\xd8\xff\xe1\0\x08Exif\0\0",
        b"x",
    ):
        assert orientation(content) == 1
    with pytest.raises(tf.errors.InvalidArgumentError):
        upright(b"no picture")


def test_damaged_exif_ends_in_an_orientation():
    content = saved(smooth(5, 7), exif=exif(6))
    for _ in range(300):
        damaged = bytearray(content[: RANDOM.choice([RANDOM.integers(4, 250), len(content)])])
        for place in RANDOM.integers(2, min(200, len(damaged)), 3):
            damaged[place] = RANDOM.integers(256)
        assert 1 <= orientation(bytes(damaged)) <= 8
