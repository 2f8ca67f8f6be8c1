"""Pictures are decoded in a graph to the pixels that OpenCV and Pillow read from them."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from ldl_fer.data.pictures import decoded_image
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


def deep(bits, channels):
    shape = (9, 14, channels) if channels > 1 else (9, 14)
    pixels = RANDOM.integers(0, 1 << bits, shape, np.uint16)
    pixels.flat[0] = (1 << bits) - 1
    if channels == 4:
        pixels[..., 3] <<= 16 - bits
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_laid_on_white(mode):
    layers = Image.fromarray(RANDOM.integers(0, 256, [9, 14, 4], np.uint8)).convert(mode)
    content = saved(layers, "PNG")
    np.testing.assert_array_equal(upright(content), decoded_image(content))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_16_bits_become_8(bits, channels):
    content = deep(bits, channels)
    found = upright(content).numpy().astype(int)
    np.testing.assert_allclose(found, decoded_image(content), atol=1)  # rounded twice
    assert found.max() > 200


@pytest.mark.parametrize("mode", ["P", "1", "L", "RGB"])
def test_plain_pngs_are_what_they_were(mode):
    for content in (saved(smooth(9, 14).convert(mode), "PNG"), b"\x89PNG"):
        try:
            expected = decode_picture(content).numpy()
        except tf.errors.InvalidArgumentError:
            with pytest.raises(tf.errors.InvalidArgumentError):
                upright(content)
        else:
            np.testing.assert_array_equal(upright(content), expected)


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
