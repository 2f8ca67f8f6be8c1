"""Finds pictures and videos by file, folder or glob, and yields their frames in order.

A frame is a picture or one frame of a video. Pictures are decoded when their frame is loaded, so
that any thread can do it; frames of videos come decoded. An unreadable file is a frame too: loading
it raises the reason, and the rest goes on.
"""

import functools
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ldl_fer.data.pictures import PICTURE_ENDINGS, decoded_image, files_below, picture_bytes
from ldl_fer.errors import InputError

# FFmpeg would write about every damaged video on its own; its frame has the reason.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

VIDEOS = {*(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")}
_MISSED = 0.02  # part of the frames that a video's header may promise too much
_SLOWEST, _FASTEST = 1.0, 240.0  # frames per second that are believed
_USUAL_RATE = 25.0
_NAMED = 8  # endings of files that are left out


@dataclass(frozen=True)
class Source:
    """A file.

    Attributes:
      path: as the user wrote it, or below the folder they named.
      name: the path below that folder, or the file's name; results are named after it.
      is_video: by the file's ending; nothing but a file is one.
    """

    path: Path
    name: str
    is_video: bool


@dataclass(frozen=True)
class Frame:
    """A picture, or a frame of a video.

    Attributes:
      source: the file.
      load: returns RGB uint8 [H, W, 3]; raises OSError or ValueError, whose text says why not.
      number: of the frame in its video, from 0; None for a picture or a video as a whole.
      seconds: from the video's start; None as for `number`.
    """

    source: Source
    load: Callable[[], np.ndarray]
    number: int | None = None
    seconds: float | None = None


def find_sources(inputs: Sequence[str | Path], left_out: list[Path] | None = None) -> list[Source]:
    """Finds the files that the inputs stand for, each once, in the order of the inputs.

    Args:
      inputs: files of any ending; folders, searched with all below them for the endings in
        `PICTURE_ENDINGS` and `VIDEOS`, sorted, linked folders once; globs, ** meaning any folders.
        Files and folders whose name begins with a dot are not searched for.
      left_out: what else the folders hold is added to it.

    Raises:
      InputError: a folder or glob that nothing is found in, or a path that does not exist.
    """
    found, left_out = {}, [] if left_out is None else left_out
    for given in map(str, inputs):
        if glob.has_magic(given) and not Path(given).exists():
            paths = sorted(map(Path, glob.glob(given, recursive=True)))
            if not paths:
                raise InputError(f"no file matches {given}. Check the folder and the ending.")
        elif not Path(given).exists():
            raise InputError(f"there is no file or folder {given}. Correct the path.")
        else:
            paths = [Path(given)]
        for path in paths:
            files = _below(path, left_out) if path.is_dir() else [path]
            for file in files:
                name = file.relative_to(path).as_posix() if path.is_dir() else file.name
                # A pipe or device would make OpenCV wait; asked for its pixels, it is refused.
                is_video = _ending(file) in VIDEOS and file.is_file()
                found.setdefault(file.resolve(), Source(file, name, is_video))
    return list(found.values())


def left_out_note(left_out: Sequence[Path]) -> str:
    """Counts and names files that were left out: by ending, with an example of each."""
    first = {_ending(path): path for path in reversed(left_out)}
    counts = Counter(map(_ending, left_out)).most_common()
    named = [f"{count:,} {ending or 'without'} ({first[ending]})" for ending, count in counts]
    more = f" and {len(named) - _NAMED} more endings" if len(named) > _NAMED else ""
    return (
        f"{len(left_out):,} files are left out, by ending: {', '.join(named[:_NAMED])}{more}. Save "
        "those that are pictures as JPEG or PNG."
    )


def count_frames(sources: Sequence[Source], every: int = 1) -> int:
    """Counts the frames that `frames` yields, as far as the videos' headers are right."""
    return sum(-(-_frame_count(s.path) // every) if s.is_video else 1 for s in sources)


def frames(sources: Sequence[Source], every: int = 1) -> Iterator[Frame]:
    """Yields the pictures, and every n-th frame of the videos, from the first on.

    A video that cannot be opened, has no frame or ends before its header says gives one more frame,
    without a number, whose `load` raises the reason.
    """
    for source in sources:
        if source.is_video:
            yield from _frames(source, every)
        else:
            yield Frame(source, functools.partial(decoded_picture, source.path))


def decoded_picture(path: str | Path) -> np.ndarray:
    """Reads a picture file as RGB uint8 [H, W, 3], upright.

    Raises:
      OSError: it cannot be read, or is a pipe or device.
      ValueError: it cannot be decoded; the text says why.
    """
    return decoded_image(picture_bytes(path))


def frame_rate(path: str | Path) -> float:
    """Returns frames per second of a video, from its header; 25 if that is not credible."""
    rate = _opened(path).get(cv2.CAP_PROP_FPS)
    return rate if _SLOWEST <= rate <= _FASTEST else _USUAL_RATE


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _below(folder: Path, left_out: list[Path]) -> list[Path]:
    endings = {*PICTURE_ENDINGS} | VIDEOS
    files = []
    for file in sorted(files_below(folder)):
        if not any(part.startswith(".") for part in file.relative_to(folder).parts):
            (files if _ending(file) in endings and file.is_file() else left_out).append(file)
    if not files:
        raise InputError(f"{folder} holds no picture and no video ({', '.join(sorted(endings))}).")
    return files


def _opened(path: str | Path) -> cv2.VideoCapture:
    """Opens a video whose frames come upright: a phone's rotation stands in the file's header."""
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # The default differs between versions.
    return video


def _frame_count(path: Path) -> int:
    """Returns the header's number of frames; 1 if it says nothing, or nonsense."""
    count = _opened(path).get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < 1e9 else 1


def _frames(source: Source, every: int) -> Iterator[Frame]:
    video, rate, number = _opened(source.path), frame_rate(source.path), 0
    try:
        while video.grab():
            if number % every == 0:
                seconds = video.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
                if seconds <= 0.0:  # The first frame, or a file without times.
                    seconds = number / rate
                decoded, pixels = video.retrieve()
                if not decoded:
                    break
                image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
                yield Frame(source, functools.partial(np.asarray, image), number, round(seconds, 4))
            number += 1
    finally:
        video.release()
    promised = _frame_count(source.path)
    if not number:
        yield Frame(source, functools.partial(_fail, "not a video that OpenCV can read"))
    elif number < promised * (1.0 - _MISSED) - 1:
        reason = f"the video ends after {number} of {promised} frames: damaged, or cut short"
        yield Frame(source, functools.partial(_fail, reason))


def _fail(reason: str) -> np.ndarray:
    raise ValueError(reason)
