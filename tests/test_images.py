"""Each way a picture can differ from what records hold."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from ldl_fer.images import stored_image

SIZE = 16
RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
GRAY = RANDOM.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


def saved(picture, file_format, **settings):
    """RGB or gray pixels as a file of Pillow's making."""
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, file_format, **settings)
    return file.getvalue()


def oriented(tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def pixels(content):
    """What training sees: [H, W] where the file is gray, else [H, W, 3] RGB."""
    decoded = tf.io.decode_image(content, expand_animations=False).numpy()
    return decoded[..., 0] if decoded.shape[-1] == 1 else decoded


def is_png(content):
    return content.startswith(b"\x89PNG")


@pytest.mark.parametrize("picture", [COLOR, GRAY], ids=["rgb", "gray"])
@pytest.mark.parametrize(
    ("file_format", "settings"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 70}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": oriented(1)}),
    ],
)
def test_fit_pictures_are_copied(picture, file_format, settings):
    content = saved(picture, file_format, **settings)
    assert stored_image(content, SIZE) == (content, True)
    assert stored_image(content, None) == (content, True)


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("picture", [COLOR, GRAY], ids=["rgb", "gray"])
def test_other_formats_become_png_without_loss(file_format, picture):
    if file_format == "BMP" and picture.ndim == 2:
        picture = np.dstack([picture] * 3)  # OpenCV reads palettes, which gray BMPs have, as color
    content, copied = stored_image(saved(picture, file_format), SIZE)
    assert is_png(content)
    assert not copied
    np.testing.assert_array_equal(pixels(content), picture)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("tag", range(2, 9))
def test_exif_rotation_is_applied(file_format, tag):
    # Four flat quadrants tell all eight orientations apart; which is upright, Pillow knows too.
    picture = np.kron([[230, 20], [120, 60]], np.ones([8, 8])).astype(np.uint8)
    picture = np.dstack([picture] * 3)
    source = saved(picture, file_format, exif=oriented(tag))
    content, copied = stored_image(source, SIZE)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(source))))
    assert not copied
    assert is_png(content) == (file_format == "PNG")
    # Exact as PNG; JPEG's 8 x 8 blocks are the quadrants, and flat blocks stay within 3 levels.
    tolerance = 0 if file_format == "PNG" else 3
    np.testing.assert_allclose(pixels(content).astype(int), upright, atol=tolerance)
    again, copied = stored_image(content, SIZE)
    assert copied  # nothing of the rotation is left in the file
    assert again == content


def test_transparency_is_dropped_not_blended():
    alpha = RANDOM.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    source = saved(Image.fromarray(np.dstack([COLOR, alpha]), "RGBA"), "PNG")
    content, copied = stored_image(source, SIZE)
    assert not copied
    np.testing.assert_array_equal(pixels(content), COLOR)


def test_transparent_color_is_dropped():
    source = saved(COLOR, "PNG", transparency=tuple(COLOR[0, 0].tolist()))
    content, copied = stored_image(source, SIZE)
    assert not copied
    np.testing.assert_array_equal(pixels(content), COLOR)


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("shape", [(SIZE, SIZE), (SIZE, SIZE, 3)], ids=["gray", "rgb"])
def test_16_bits_are_scaled_to_8(extension, shape):
    deep = RANDOM.integers(0, 65536, shape, dtype=np.uint16)
    deep.flat[:3] = 0, 65535, 128  # 128 / 257 rounds to 0
    content, copied = stored_image(cv2.imencode(extension, deep)[1].tobytes(), SIZE)
    assert not copied
    # round(x / 257), which maps 0..65535 onto 0..255
    expected = np.round(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(
        pixels(content), expected if deep.ndim == 2 else expected[..., ::-1]
    )


@pytest.mark.parametrize("mode", ["P", "1"])
def test_palettes_and_bits_become_8_bit_channels(mode):
    source = Image.fromarray(COLOR).convert(mode)
    content, copied = stored_image(saved(source, "PNG"), SIZE)
    assert not copied
    wanted = np.asarray(source.convert("RGB" if mode == "P" else "L"))
    np.testing.assert_array_equal(pixels(content), wanted)


def test_four_channel_jpeg_becomes_rgb():
    source = saved(Image.new("CMYK", (SIZE, SIZE), (0, 255, 255, 0)), "JPEG", quality=95)
    content, copied = stored_image(source, SIZE)
    assert not copied
    # Full magenta and yellow is red; JPEG keeps a flat color within a few levels.
    np.testing.assert_allclose(pixels(content).reshape(-1, 3), [[255, 0, 0]] * SIZE**2, atol=6)


def test_shrinking_averages_areas():
    source = saved(COLOR, "PNG")
    content, copied = stored_image(source, SIZE // 4)
    # A pixel is the mean of a 4 x 4 block, rounded.
    means = COLOR.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).mean(axis=(1, 3))
    assert not copied
    assert is_png(content)
    np.testing.assert_allclose(pixels(content), means, atol=0.5)


def test_enlarging_is_cubic():
    source = saved(GRAY, "PNG")
    content, _ = stored_image(source, 24)
    expected = cv2.resize(GRAY, (24, 24), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(pixels(content), expected)


def test_one_side_shrinks_while_the_other_grows():
    tall = np.repeat(np.arange(0, 250, 5, dtype=np.uint8)[:, None], 8, axis=1)  # 50 x 8, a ramp
    content, _ = stored_image(saved(tall, "PNG"), 10)
    # Rows are means of 5 rows, 5 (5 r + 2); columns were all alike and stay so.
    expected = np.repeat((25 * np.arange(10) + 10)[:, None], 10, axis=1)
    np.testing.assert_array_equal(pixels(content), expected)


def test_jpeg_stays_jpeg_of_high_quality():
    ramp = np.repeat(np.linspace(0, 255, 64, dtype=np.uint8)[None], 64, axis=0)
    content, copied = stored_image(saved(ramp, "JPEG", quality=95), 32)
    assert not copied
    assert content.startswith(b"\xff\xd8")
    assert pixels(content).shape == (32, 32)  # gray stays gray
    np.testing.assert_allclose(pixels(content).astype(float), ramp[::2, ::2] + 2.0, atol=5)


@pytest.mark.parametrize("image_size", [SIZE, 8, None])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        saved(COLOR, "PNG")[:-20],
        saved(COLOR, "PNG")[:40],
        saved(COLOR, "JPEG")[:-20],
        saved(COLOR, "PNG").replace(b"IDAT", b"IDAT\xff\xff", 1),
        cv2.imencode(".tiff", GRAY.astype(np.float32))[1].tobytes(),
    ],
    ids=["empty", "text", "cut_png", "cut_header", "cut_jpeg", "damaged_png", "float"],
)
def test_unreadable_pictures_are_refused(content, image_size):
    with pytest.raises(ValueError, match="empty|damaged|cut short|float32|OpenCV"):
        stored_image(content, image_size)


def test_whatever_is_accepted_can_be_decoded_in_training():
    # Random damage: either refused, or what is stored decodes to the right shape.
    source, accepted = saved(COLOR, "JPEG"), 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        damaged = bytearray(source)
        damaged[random.integers(len(damaged))] = random.integers(256)
        try:
            content, _ = stored_image(bytes(damaged), SIZE)
        except ValueError:
            continue
        assert pixels(content).shape[:2] == (SIZE, SIZE)
        accepted += 1
    assert 0 < accepted < 200
