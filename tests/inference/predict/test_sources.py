"""Pictures, folders, globs and videos become frames; what is damaged becomes a reason."""

import os

import numpy as np
import pytest
from helpers.color_model import write_picture, write_video

from ldl_fer.errors import InputError
from ldl_fer.inference.predict.sources import count_frames, find_sources, frames


def names(sources):
    return [source.name for source in sources]


def test_finds_files_folders_and_globs_each_once(tmp_path):
    for name in ("b.png", "a.JPG", "sub/c.png", "sub/.hidden.png", ".cache/d.png", "x[1].png"):
        write_picture(tmp_path / name, (1, 2, 3))
    (tmp_path / "notes.txt").write_text("no picture")
    write_video(tmp_path / "sub" / "v.mp4", [(0, 0, 0)])
    assert names(find_sources([tmp_path])) == [
        "a.JPG",
        "b.png",
        "sub/c.png",
        "sub/v.mp4",
        "x[1].png",
    ]
    assert names(find_sources([tmp_path / "b.png", tmp_path]))[0] == "b.png"
    assert len(find_sources([tmp_path / "b.png", tmp_path])) == 5
    assert names(find_sources([f"{tmp_path}/**/*.png"])) == ["b.png", "c.png", "x[1].png"]
    assert names(find_sources([tmp_path / "x[1].png"])) == ["x[1].png"]  # not a glob
    with pytest.raises(InputError, match=r"no file matches .*/\*.webp"):
        find_sources([f"{tmp_path}/*.webp"])
    for lost in ("none.png", "none.mp4", "none"):
        with pytest.raises(InputError, match=f"there is no file or folder {tmp_path}/{lost}"):
            find_sources([tmp_path / lost])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture and no video"):
        find_sources([tmp_path / "empty"])


@pytest.mark.parametrize("ending", ["mp4", "avi"])
def test_every_nth_frame_with_its_time(tmp_path, ending):
    grays = [20 * i for i in range(11)]
    video = write_video(tmp_path / f"v.{ending}", [(g, g, g) for g in grays], rate=12.5)
    sources = find_sources([video])
    found = list(frames(sources, every=4))
    assert [frame.number for frame in found] == [0, 4, 8]
    # frame / 12.5 frames per second
    np.testing.assert_allclose([frame.seconds for frame in found], [0.0, 0.32, 0.64], atol=2e-3)
    brightness = [frame.load().mean() for frame in found]
    np.testing.assert_allclose(brightness, [0, 80, 160], atol=4)  # lossy
    assert [count_frames(sources, every) for every in (1, 4, 20)] == [11, 3, 1]


@pytest.mark.parametrize("name", ["pipe.png", "pipe.mp4"])
def test_a_pipe_is_named_and_does_not_make_it_wait(tmp_path, name):
    os.mkfifo(tmp_path / name)
    sources = find_sources([tmp_path / name])
    assert count_frames(sources) == 1
    (frame,) = frames(sources)
    with pytest.raises(OSError, match="it is a pipe or device"):
        frame.load()


def test_pictures_are_rgb_and_upright(tmp_path):
    (frame,) = frames(find_sources([write_picture(tmp_path / "p.png", (200, 100, 50), 3, 5)]))
    assert (frame.number, frame.seconds) == (None, None)
    np.testing.assert_array_equal(frame.load(), np.full([3, 5, 3], (200, 100, 50)))


def test_damage_is_a_reason(tmp_path):
    random = np.random.default_rng(0)
    whole = write_video(tmp_path / "whole.avi", random.integers(0, 255, [60, 3]), size=(320, 240))
    content = whole.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) * 2 // 3])
    (tmp_path / "noise.mp4").write_bytes(b"nonsense")
    (tmp_path / "noise.png").write_bytes(b"nonsense")
    *whole_frames, last = frames(find_sources([tmp_path / "cut.avi"]))
    assert 20 < len(whole_frames) < 60 and last.number is None
    with pytest.raises(ValueError, match=f"ends after {len(whole_frames)} of 60 frames"):
        last.load()
    for name, reason in (("noise.mp4", "not a video"), ("noise.png", "not a picture")):
        (frame,) = frames(find_sources([tmp_path / name]))
        with pytest.raises(ValueError, match=reason):
            frame.load()
