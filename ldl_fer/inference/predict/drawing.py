"""Draws predictions on a picture: a box around each face, beside it its distribution in bars."""

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from ldl_fer.inference.predict.face import FacePrediction
from ldl_fer.plots import drawable, font_file

# One color a class, distinct to most color-blind people (after Okabe and Ito 2008); RGB.
COLORS = (
    *((200, 200, 200), (240, 228, 66), (86, 180, 233), (230, 159, 0)),
    *((204, 121, 167), (0, 158, 115), (213, 94, 0), (0, 114, 178)),
)
DOUBT = (255, 255, 255)
_Box = tuple[int, ...]  # x, y, width, height
_Color = tuple[int, int, int]
_PAPER, _INK, _RAIL = (24, 24, 24), (240, 240, 240), (80, 80, 80)
_OPACITY = 0.8  # of a chart over the picture
_TEXT_OF_STRIP = 1 / 24  # part of a whole picture's height
_WIDTH = 18  # of a chart, in heights of its text
_FACES_WEIGH = 4  # hiding a face is worse than hiding a chart, so many times
_SHORT_SIDE = 360  # pixels; smaller pictures are enlarged, or no chart could be read
_TEXT_LEAST, _TEXT_MOST = 10, 1 / 40  # its height: pixels, and part of the picture's shorter side
_TEXT_OF_FACE = 1 / 14  # part of a face's height: a chart is about as high as its face


def draw_predictions(
    image: np.ndarray, faces: list[FacePrediction], whole: bool = False
) -> np.ndarray:
    """Draws boxes and bar charts on a copy of a picture.

    A box and its chart have the color of the leading class. The verdict on an ambiguous face names
    both leading classes, and its box is dashed. Pictures whose shorter side is below 360 pixels are
    enlarged.

    Args:
      image: RGB uint8 [H, W, 3]; it is not changed.
      faces: its faces; any number.
      whole: the picture is one face: the chart goes beside it, on a strip that widens the picture,
        also where there is no face, so that all pictures of a video are of one size.

    Returns:
      RGB uint8 [H', W', 3], both even, as videos want it.
    """
    scale = max(1.0, _SHORT_SIDE / min(image.shape[:2]))
    canvas = image.copy()
    if scale > 1.0:
        canvas = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    most = min(canvas.shape[:2]) * _TEXT_MOST
    if whole:
        text = round(canvas.shape[0] * _TEXT_OF_STRIP)
        strip = np.full([canvas.shape[0], _WIDTH * text, 3], _PAPER, np.uint8)
        for face in faces[:1]:
            _lay(strip, _chart(face, text), (0, 0), 1.0)
        return _even(np.hstack([canvas, strip]))
    boxes = [tuple(round(side * scale) for side in face.box) for face in faces]
    texts = [max(_TEXT_LEAST, round(min(most, box[3] * _TEXT_OF_FACE))) for box in boxes]
    for face, box, text in zip(faces, boxes, texts, strict=True):
        _draw_box(canvas, box, _color(face), face.ambiguous, max(1, text // 6))
    laid = []
    for face, box, text in zip(faces, boxes, texts, strict=True):
        chart = _chart(face, text)
        size = chart.shape[1::-1]
        place = _place(box, size, canvas.shape[1::-1], boxes, laid)
        laid.append((*place, *size))
        _lay(canvas, chart, place, _OPACITY)
        _link(canvas, laid[-1], box, _color(face), max(1, text // 6))
    return _even(canvas)


def verdict(face: FacePrediction, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Names the leading class of a face, or both leading ones where it is ambiguous.

    Args:
      face: the prediction.
      names: class name -> the name to show in its place.
    """
    first, second = (names.get(name, name) for name in (face.leading, face.runner_up))
    return f"{first} or {second}?" if face.ambiguous else first


def _color(face: FacePrediction, name: str = "") -> tuple[int, int, int]:
    return COLORS[list(face.distribution).index(name or face.leading) % len(COLORS)]


def _chart(face: FacePrediction, text: int) -> np.ndarray:
    """Draws verdict, a bar for each class, entropy, valence, arousal; RGB, `_WIDTH` texts wide."""
    line, gap = round(1.35 * text), text // 2
    classes = tuple(face.distribution)
    names = dict(zip(classes, drawable(classes), strict=True))
    foot = [f"entropy {face.entropy:.2f} nats"]
    if face.valence is not None:
        foot.append(f"valence {face.valence:+.2f}  arousal {face.arousal:+.2f}")
    rows = 1 + len(face.distribution) + len(foot)
    chart = np.full([rows * line + 2 * gap, _WIDTH * text, 3], _PAPER, np.uint8)
    _write(chart, verdict(face, names), gap, gap, text, DOUBT if face.ambiguous else _color(face))
    left, right = 6 * text, 14 * text
    for row, (name, probability) in enumerate(face.distribution.items(), start=1):
        y = gap + row * line
        _write(chart, names[name], gap, y, text, _INK, left - 2 * gap)
        chart[y + text // 4 : y + text, left:right] = _RAIL
        end = left + round(probability * (right - left))
        chart[y + text // 4 : y + text, left:end] = _color(face, name)
        _write(chart, f"{probability:.0%}", right + gap, y, text, _INK)
    for row, words in enumerate(foot, start=rows - len(foot)):
        _write(chart, words, gap, gap + row * line, text, _INK)
    return chart


def _place(
    box: _Box,
    size: tuple[int, ...],
    picture: tuple[int, ...],
    boxes: Sequence[_Box],
    laid: Sequence[_Box],
) -> tuple[int, int]:
    """Places a chart at a side of its box, inside the picture, where it hides least."""
    (x, y, width, height), (across, down) = box, size
    gap = max(2, height // 20)
    right, left, low, high = x + width + gap, x - across - gap, y + height + gap, y - down - gap
    end, foot = x + width - across, y + height - down
    places = [(right, y), (left, y), (x, low), (x, high)]
    places += [(right, foot), (left, foot), (end, low), (end, high)]
    room = [max(0, picture[0] - across), max(0, picture[1] - down)]
    inside = [tuple(np.clip(place, 0, room).tolist()) for place in places]

    def hidden(place):
        area = (*place, *size)
        on_faces = sum(_overlap(area, other) for other in boxes)
        return _FACES_WEIGH * on_faces + sum(_overlap(area, other) for other in laid)

    return min(inside, key=hidden)


def _overlap(first: _Box, second: _Box) -> int:
    """Counts the pixels that two boxes x, y, width, height share."""
    sides = [
        min(first[i] + first[i + 2], second[i] + second[i + 2]) - max(first[i], second[i])
        for i in (0, 1)
    ]
    return max(0, sides[0]) * max(0, sides[1])


def _draw_box(canvas: np.ndarray, box: _Box, color: _Color, dashed: bool, thickness: int) -> None:
    x, y, width, height = box
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    parts = 9 if dashed else 1
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for part in range(0, parts, 2):
            ends = [start + (end - start) * p / parts for p in (part, part + 1)]
            first, last = (tuple(map(int, point.round())) for point in ends)
            cv2.line(canvas, first, last, color, thickness, cv2.LINE_AA)


def _link(canvas: np.ndarray, area: _Box, box: _Box, color: _Color, thickness: int) -> None:
    """Frames a chart and ties it to its box by a short line: which face it speaks of."""
    (x, y, width, height), (left, top, across, down) = area, box
    middle = np.array([left + across / 2, top + down / 2])
    first = np.clip(middle, (x, y), (x + width, y + height))
    last = np.clip(first, (left, top), (left + across, top + down))
    ends = [tuple(map(int, point.round())) for point in (first, last)]
    cv2.line(canvas, *ends, color, 2 * thickness, cv2.LINE_AA)
    cv2.rectangle(canvas, (x, y), (x + width - 1, y + height - 1), color, thickness)


def _lay(canvas: np.ndarray, chart: np.ndarray, place: tuple[int, int], opacity: float) -> None:
    x, y = place
    part = canvas[y : y + chart.shape[0], x : x + chart.shape[1]]
    chart = chart[: part.shape[0], : part.shape[1]]
    part[:] = cv2.addWeighted(chart, opacity, part, 1.0 - opacity, 0.0)


def _write(
    canvas: np.ndarray,
    words: str,
    x: int,
    y: int,
    text: int,
    color: _Color,
    width: int | None = None,
) -> None:
    """Writes by Pillow: OpenCV's letters are ASCII alone, names of classes need not be."""
    mask = _letters(words, text)[:, :width]
    part = canvas[y : y + mask.shape[0], x : x + mask.shape[1]]
    mask = mask[: part.shape[0], : part.shape[1], np.newaxis] / 255.0
    part[:] = np.round(part * (1.0 - mask) + np.array(color) * mask)


@functools.lru_cache(maxsize=1024)
def _letters(words: str, text: int) -> np.ndarray:
    """Draws words: uint8 [h, w], 255 where ink is."""
    font = ImageFont.truetype(font_file(words) or font_manager.findfont("DejaVu Sans"), text)
    mask = Image.new("L", (max(1, int(font.getlength(words)) + 2), round(1.3 * text)))
    ImageDraw.Draw(mask).text((0, 0), words, 255, font)
    return np.asarray(mask)


def _even(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
