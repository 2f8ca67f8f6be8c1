"""MediaPipe's face mesh: 468 points in 3-D of a face, by TensorFlow's own TFLite interpreter.

The file is `face_landmark.tflite`, of the package mediapipe up to 0.10 (Apache-2.0), folder
mediapipe/modules/face_landmark. It wants an upright face with some room around it. So it is asked
three times: with a margin around the whole picture, then, as MediaPipe does from one frame of a
video to the next, with the square around the points that it found, turned until the eyes are level.
"""

import hashlib
import math
import struct
import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from ldl_fer.errors import InputError

POINTS = 468
_EYE_CORNERS = (33, 263)  # the outer ones, the person's right first
_MARGIN = 1 / 3  # added to a picture's longer side
_LOOKS = 3
_ROOM = 1.5  # a window's side, in longer sides of the points' box: MediaPipe's own
_WANTED = (
    f"a landmark model takes float32 [1, S, S, 3] and gives {POINTS * 3} numbers and a score: "
    "MediaPipe's face_landmark.tflite"
)


class FaceMesh:
    """The network, called with a picture, from any thread.

    Attributes:
      size: S, height and width of the pictures that it takes, pixels.
      digest: SHA-256 of its file, hexadecimal.
    """

    def __init__(self, path: str | Path) -> None:
        """Loads the file.

        Raises:
          InputError: there is none, it is damaged, or is of another network.
        """
        self._path, self._of_thread = path, threading.local()
        self._content = _content(path)
        self.digest = hashlib.sha256(self._content).hexdigest()
        interpreter = self._interpreter()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        by_size = {int(np.prod(output["shape"])): output["index"] for output in outputs}
        shape = inputs[0]["shape"].tolist()
        fits = len(inputs) == 1 and len(shape) == 4 and [1, shape[1], 3] == [shape[0], *shape[2:]]
        kinds = {detail["dtype"] for detail in (*inputs, *outputs)}
        if not fits or sorted(by_size) != [1, POINTS * 3] or kinds != {np.float32}:
            raise InputError(
                f"{path} is another network: it takes {_said(inputs)} and gives {_said(outputs)}; "
                f"{_WANTED}."
            )
        self.size = shape[1]
        self._input, self._points = inputs[0]["index"], by_size[POINTS * 3]
        self._score = by_size[1]

    def __call__(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns points, float32 [468, 3], and a score, above 0 where there is a face.

        Points are x, y, z in pixels of the picture, z smaller the nearer to the camera; NaN where
        there is no face.

        Args:
          picture: RGB uint8 [H, W, 3], of one face.
        """
        shrink = min(1.0, 2 * self.size / max(picture.shape[:2]))  # else a window skips pixels
        if shrink < 1:
            picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        height, width = picture.shape[:2]
        window = _Window((width - 1) / 2, (height - 1) / 2, max(height, width) * (1 + _MARGIN))
        for _ in range(_LOOKS):
            points, score = self._answer(picture, window)
            window = _window_around(points)
        is_face = score > 0 and np.isfinite(points).all()
        return points / shrink if is_face else np.full_like(points, np.nan), score

    def _answer(self, picture: np.ndarray, window: "_Window") -> tuple[np.ndarray, float]:
        """Returns points in pixels of the picture, and the score, of what a window shows."""
        to_input = window.matrix(self.size)
        seen = cv2.warpAffine(
            picture,
            to_input,
            (self.size, self.size),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        interpreter = self._interpreter()
        interpreter.set_tensor(self._input, seen[np.newaxis].astype(np.float32) / 255)
        interpreter.invoke()
        points = interpreter.get_tensor(self._points).reshape(POINTS, 3)
        score = interpreter.get_tensor(self._score).item()
        places = cv2.transform(points[np.newaxis, :, :2], cv2.invertAffineTransform(to_input))[0]
        return np.column_stack([places, points[:, 2] * window.side / self.size]), score

    def _interpreter(self) -> tf.lite.Interpreter:
        """Returns this thread's interpreter.

        It takes one picture at a time: a batch is no faster, and threads of its own wait for each
        other.
        """
        if not hasattr(self._of_thread, "interpreter"):
            interpreter = tf.lite.Interpreter(model_content=self._content, num_threads=1)
            try:
                interpreter.allocate_tensors()
            except RuntimeError as error:  # operators that TFLite does not have
                reason = str(error).splitlines()[0]
                raise InputError(f"{self._path} cannot be run: {reason}; {_WANTED}.") from error
            self._of_thread.interpreter = interpreter
        return self._of_thread.interpreter


class _Window(NamedTuple):
    """A square of a picture: its center, its side, pixels, and how far it is turned, radians."""

    x: float
    y: float
    side: float
    turn: float = 0.0

    def matrix(self, size: int) -> np.ndarray:
        """Returns what takes places in the picture to those in an input of S pixels, [2, 3]."""
        cosine, sine = math.cos(self.turn), math.sin(self.turn)
        linear = np.array([[cosine, sine], [-sine, cosine]]) * size / self.side
        middle = np.full(2, (size - 1) / 2)
        return np.column_stack([linear, middle - linear @ (self.x, self.y)])


def _window_around(points: np.ndarray) -> _Window:
    """Returns the square around points [468, 3], with room, turned as the eyes are."""
    right, left = points[_EYE_CORNERS, :2]
    turn = math.atan2(*(left - right)[::-1])
    axes = _Window(0, 0, 1, turn).matrix(1)[:, :2]
    upright = points[:, :2] @ axes.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2 @ axes
    return _Window(x, y, _ROOM * max(*(high - low), 1.0), turn)


def _content(path: str | Path) -> bytes:
    """Reads a .tflite file, whole: the interpreter itself does not survive half a file.

    Raises:
      InputError: it cannot be read, is none, or is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Give MediaPipe's face_landmark.tflite."
        ) from error
    if content[4:8] != b"TFL3":
        raise InputError(f"{path} is no .tflite file; {_WANTED}.")
    try:
        schema.ModelT.InitFromPackedBuf(content, 0)
    except (struct.error, ValueError, TypeError, IndexError, MemoryError) as error:
        raise InputError(f"{path} is damaged or cut short: {error}. Copy it anew.") from error
    return content


def _said(details: list[dict]) -> str:
    return ", ".join(f"{np.dtype(d['dtype']).name} {d['shape'].tolist()}" for d in details)
