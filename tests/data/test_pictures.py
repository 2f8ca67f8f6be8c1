"""Pictures are read as records would hold them, stored without loss, or refused by name."""

import io
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from ldl_fer.data.pictures import (
    PICTURE_ENDINGS,
    decoded_image,
    named_when_unreadable,
    pictures_in,
    read_picture,
    read_pictures,
    resized,
    stored_image,
    stored_pixels,
)
from ldl_fer.errors import InputError
from ldl_fer.networks.encoded_pictures import decode_picture

SIZE = 16
RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
GRAY = RANDOM.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)


def _write(path, seed, *shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert cv2.imwrite(str(path), picture)
    return picture


def test_size_gray_and_order_of_channels(tmp_path):
    color = _write(tmp_path / "color.png", 0, 8, 8, 3)
    np.testing.assert_array_equal(read_picture(tmp_path / "color.png", 8), color[..., ::-1])
    gray = _write(tmp_path / "gray.png", 1, 8, 8)
    expected = np.repeat(gray[..., np.newaxis], 3, axis=-1)
    np.testing.assert_array_equal(read_picture(tmp_path / "gray.png", 8), expected)
    _write(tmp_path / "wide.png", 2, 10, 30, 3)
    found = read_pictures([tmp_path / "wide.png", tmp_path / "gray.png"], 8)
    assert (found.shape, found.dtype) == ((2, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(found[1], expected)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.png cannot be read: No such file"):
        read_picture(tmp_path / "none.png", 8)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png cannot be read"):
        read_pictures([tmp_path / "text.png"], 8)


def test_a_path_is_named_once_with_its_row_and_the_cure_at_hand(tmp_path):
    """An OSError of Python holds the path itself."""
    lost = tmp_path / "none.png"
    with pytest.raises(InputError) as caught:
        read_picture(lost, 8, "Drop the row", 3)
    assert str(caught.value) == (
        f"row 3: {lost} cannot be read: No such file or directory. Drop the row."
    )
    with pytest.raises(InputError) as caught, named_when_unreadable("a.png"):
        raise ValueError("it is cut short")
    assert str(caught.value) == "a.png cannot be read: it is cut short. Replace it or leave it out."


def test_a_pipe_does_not_make_it_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="pipe.png cannot be read: it is a pipe or device"):
        read_picture(tmp_path / "pipe.png", 8)


@pytest.mark.parametrize("ending", PICTURE_ENDINGS)
def test_what_counts_as_a_picture_can_be_read(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    kind = {".jfif": ".jpg", ".pjpeg": ".jpg"}.get(ending, ending)
    if ending == ".gif":
        Image.new("RGB", (8, 8), (255, 255, 255)).save(path)
    else:
        white = np.full([8, 8] if ending in (".pbm", ".pgm") else [8, 8, 3], 255, np.uint8)
        path.write_bytes(cv2.imencode(kind, white)[1])
    assert pictures_in(tmp_path) == [path]
    assert read_picture(path, 8).min() > 250


def test_linked_folders_are_looked_into_once(tmp_path):
    for name in ("in/a.png", "away/b.png"):
        _write(tmp_path / name, 0, 4, 4, 3)
    for link in ("in/link", "in/again", "away/loop"):
        (tmp_path / link).symlink_to(tmp_path / ("in" if "loop" in link else "away"))
    found = [str(path.relative_to(tmp_path)) for path in pictures_in(tmp_path / "in")]
    assert found == ["in/a.png", "in/again/b.png"]


def test_the_first_picture_of_an_animated_gif():
    first, second = np.zeros([8, 8, 3], np.uint8), np.full([8, 8, 3], 255, np.uint8)
    first[:4] = (255, 0, 0)
    file = io.BytesIO()
    more = [Image.fromarray(second)]
    Image.fromarray(first).save(file, "GIF", save_all=True, append_images=more)
    np.testing.assert_array_equal(decoded_image(file.getvalue()), first)
    stored, is_copy = stored_image(file.getvalue(), 8)
    assert not is_copy
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))), first)
    gray, _ = stored_image(saved(Image.fromarray(second), "GIF"), 8)
    assert Image.open(io.BytesIO(gray)).mode == "L"
    for cut in (15, 30, len(file.getvalue()) // 2):
        with pytest.raises(ValueError, match="damaged or cut short"):
            decoded_image(file.getvalue()[:cut])


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
def test_pictures_that_are_not_read_are_called_by_name(brand):
    with pytest.raises(ValueError, match="HEIC or AVIF, which is not read; save it as JPEG"):
        decoded_image(b"\0\0\0\x18ftyp" + brand + bytes(100))


def test_pictures_of_a_folder(tmp_path):
    for name in ("b.PNG", "a/c.jpg", "a/b.png"):
        _write(tmp_path / name, 0, 4, 4, 3)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.png").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in pictures_in(tmp_path)]
    assert found == ["a/b.png", "a/c.jpg", "b.PNG"]
    with pytest.raises(InputError, match="holds no picture"):
        pictures_in(tmp_path / "folder.png")


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
    """Returns the pixels that training sees: [H, W] of a gray file, else RGB [H, W, 3]."""
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


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag", range(2, 9))
def test_exif_rotation_is_applied(file_format, tag):
    # Four flat quadrants tell all eight orientations apart; which is upright, Pillow knows too.
    picture = np.kron([[230, 20], [120, 60]], np.ones([8, 8])).astype(np.uint8)
    picture = np.dstack([picture] * 3)
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    source = saved(picture, file_format, exif=oriented(tag), **lossless)
    content, copied = stored_image(source, SIZE)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(source))))
    assert not copied
    assert is_png(content) == (file_format != "JPEG")
    # Exact without loss; JPEG's 8 x 8 blocks are the quadrants: flat, they stay within 3 levels.
    tolerance = 3 if file_format == "JPEG" else 0
    np.testing.assert_allclose(pixels(content).astype(int), upright, atol=tolerance)
    np.testing.assert_allclose(decoded_image(source).astype(int), upright, atol=tolerance)
    again, copied = stored_image(content, SIZE)
    assert copied  # nothing of the rotation is left in the file
    assert again == content


def on_white(layers):
    """Pixels of RGBA, [..., 4], as a viewer shows them on white."""
    alpha = layers[..., 3:] / 255
    return np.round(layers[..., :3] * alpha + 255 * (1 - alpha))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag", [1, 6, 7])
def test_what_is_transparent_is_laid_on_white(mode, file_format, tag):
    alpha = RANDOM.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    alpha[:4], alpha[4:8] = 0, 255
    layers = Image.fromarray(np.dstack([COLOR, alpha])).convert(mode)
    settings = {"lossless": True} if file_format == "WEBP" else {}
    source = saved(layers, file_format, exif=oriented(tag), **settings)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(source))).convert("RGBA"))
    np.testing.assert_allclose(decoded_image(source).astype(int), on_white(upright), atol=1)
    content, copied = stored_image(source, SIZE)
    assert not copied and pixels(content).ndim == (3 if mode == "RGBA" else 2)
    np.testing.assert_array_equal(
        decoded_image(source), np.broadcast_to(pixels(content).reshape(SIZE, SIZE, -1), COLOR.shape)
    )


@pytest.mark.parametrize("picture", [COLOR, GRAY], ids=["rgb", "gray"])
def test_a_transparent_color_is_white(picture):
    hidden = picture[0, 0].tolist()
    source = saved(picture, "PNG", transparency=tuple(hidden) if picture.ndim == 3 else hidden)
    content, copied = stored_image(source, SIZE)
    assert not copied
    is_hidden = (picture == picture[0, 0]).reshape(SIZE, SIZE, -1).all(axis=2)
    wanted = picture.copy()
    wanted[is_hidden] = 255
    np.testing.assert_array_equal(pixels(content), wanted)


def test_a_transparent_color_of_a_gif_and_of_a_palette_is_white():
    palette = Image.fromarray(COLOR).quantize(8)
    is_hidden = np.asarray(palette) == 3
    for file_format in ("GIF", "PNG"):
        decoded = decoded_image(saved(palette, file_format, transparency=3))
        assert is_hidden.any() and (decoded[is_hidden] == 255).all()
        wanted = np.asarray(palette.convert("RGB"))[~is_hidden]
        np.testing.assert_array_equal(decoded[~is_hidden], wanted)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_a_picture_transparent_all_over_is_refused(file_format):
    layers = Image.fromarray(np.dstack([COLOR, np.zeros_like(GRAY)]))
    content = saved(layers, file_format, **({"exact": True} if file_format == "WEBP" else {}))
    for read in (decoded_image, lambda content: stored_image(content, SIZE)):
        with pytest.raises(ValueError, match="transparent all over"):
            read(content)


def test_16_bits_with_transparency():
    layers = RANDOM.integers(0, 65536, (SIZE, SIZE, 4), dtype=np.uint16)
    source = cv2.imencode(".png", layers)[1].tobytes()  # BGRA
    wanted = on_white(layers[..., [2, 1, 0, 3]] / 257)
    np.testing.assert_allclose(decoded_image(source), wanted, atol=1)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("extension", [".png", ".tiff", ".pgm"])
def test_12_bits_in_a_file_of_16_are_not_black(bits, extension):
    deep = RANDOM.integers(0, 1 << bits, (2 * SIZE, 2 * SIZE), dtype=np.uint16)
    deep[0, 0] = (1 << bits) - 1
    content = cv2.imencode(extension, deep)[1].tobytes()
    wanted = deep * (255 / ((1 << bits) - 1))
    np.testing.assert_allclose(decoded_image(content)[..., 0], wanted, atol=0.51)
    # Records shrink before they scale: their pixels are of the same brightness.
    means = wanted.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels(stored_image(content, SIZE)[0]), means, atol=1)


def test_12_bits_with_transparency_are_not_black():
    layers = RANDOM.integers(0, 4096, (SIZE, SIZE, 4), dtype=np.uint16)
    layers[..., 3] = 65535
    decoded = decoded_image(cv2.imencode(".png", layers)[1].tobytes())
    np.testing.assert_allclose(decoded, layers[..., 2::-1] * (255 / 4095), atol=0.51)


def test_a_black_picture_of_16_bits_stays_black():
    deep = np.zeros([SIZE, SIZE], np.uint16)
    assert not decoded_image(cv2.imencode(".png", deep)[1].tobytes()).any()


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
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50),
        saved(COLOR, "JPEG")[:-20],
        saved(COLOR, "PNG").replace(b"IDAT", b"IDAT\xff\xff", 1),
        cv2.imencode(".tiff", GRAY.astype(np.float32))[1].tobytes(),
    ],
    ids=["empty", "text", "cut_png", "cut_header", "jpeg_2000", "cut_jpeg", "damaged_png", "float"],
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


def test_decoding_makes_every_picture_rgb_of_8_bits():
    alpha = RANDOM.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    transparent = Image.fromarray(np.dstack([COLOR, alpha]))
    palette = Image.fromarray(COLOR).convert("P")
    for content, wanted in [
        (saved(COLOR, "PNG"), COLOR),
        (saved(COLOR, "BMP"), COLOR),
        (saved(GRAY, "PNG"), np.dstack([GRAY] * 3)),
        (saved(transparent, "PNG"), on_white(np.asarray(transparent))),
        (saved(palette, "PNG"), np.asarray(palette.convert("RGB"))),
        # 16 bits: round(x / 257), here of all 65,536 values and of colors
        (cv2.imencode(".png", deep)[1].tobytes(), np.dstack([np.round(deep / 257)] * 3)),
        (
            cv2.imencode(".png", np.dstack([deep, deep // 2, deep // 4]))[1].tobytes(),  # BGR
            np.round(np.dstack([deep // 4, deep // 2, deep]) / 257),
        ),
    ]:
        decoded = decoded_image(content)
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, wanted)


def test_decoding_agrees_with_what_records_store():
    ramp = np.repeat(np.arange(0, 8 * SIZE, 8, dtype=np.uint8)[None], SIZE, axis=0)
    for picture in (ramp, np.dstack([ramp, 255 - ramp, ramp // 2])):
        source = saved(picture, "JPEG", quality=95)
        seen = pixels(stored_image(source, SIZE)[0]).reshape(SIZE, SIZE, -1)
        # Two JPEG decoders, OpenCV's and TensorFlow's, may differ by a few levels.
        np.testing.assert_allclose(
            decoded_image(source).astype(int), np.broadcast_to(seen, [SIZE, SIZE, 3]), atol=4
        )


def test_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    # 20,000 x 20,000 gray pixels in a file of 49 kB: 1.2 GB as RGB.
    content = saved(Image.new("1", (20_000, 20_000)), "PNG")
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ValueError, match="more than 178,956,970 pixels; make it smaller"):
        decoded_image(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a picture", saved(COLOR, "PNG")[:-20], saved(COLOR, "WEBP")[:-20]],
    ids=["empty", "text", "cut_png", "cut_webp"],
)
def test_undecodable_files_are_refused_with_the_reason(content):
    with pytest.raises(ValueError, match="empty|damaged|cut short|OpenCV"):
        decoded_image(content)


def test_resizing_shrinks_and_grows_gray_and_color():
    assert resized(GRAY, 8).shape == (8, 8)
    assert resized(COLOR, 24).shape == (24, 24, 3)
    assert resized(COLOR, SIZE) is COLOR


HUGE = {
    "PAM": b"P7\nWIDTH 20000\nHEIGHT 20000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n",
    "HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20000 +X 20000\n",
    "PFM": b"PF\n20000 20000\n-1.0\n",
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_pictures_of_formats_that_opencv_alone_reads(kind):
    """In a process of its own: OpenCV looks at its limit when it is loaded."""
    program = f"from ldl_fer.data.pictures import decoded_image; decoded_image({HUGE[kind]!r})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ValueError: it has more pixels than OpenCV is allowed" in ended.stderr


def test_a_png_with_a_wrong_checksum_is_refused_undecoded():
    """OpenCV 4.11 never comes back from some damaged ones."""
    content = bytearray(saved(COLOR, "PNG"))
    content[29] ^= 1  # of the first chunk's checksum
    for read in (decoded_image, lambda content: stored_image(content, SIZE)):
        with pytest.raises(ValueError, match="^the picture is damaged or cut short"):
            read(bytes(content))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("shape", [(9, 9, 3), (9, 9), (13, 6, 3), (9, 9, 4)])
def test_stored_pixels_are_those_of_what_would_be_stored(file_format, shape):
    if file_format == "JPEG" and shape[-1] == 4:
        pytest.skip("JPEG has no transparency")
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = saved(Image.fromarray(picture), file_format)
    for size in (9, 7):
        stored, _ = stored_image(content, size)
        np.testing.assert_array_equal(stored_pixels(content, size), decode_picture(stored))
    with pytest.raises(ValueError):
        stored_pixels(content[: len(content) // 2], 9)
