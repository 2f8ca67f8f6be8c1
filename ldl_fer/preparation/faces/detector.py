"""Finds faces in a picture by YuNet, or by the cascade that OpenCV brings along.

YuNet (Wu et al. 2023) also gives five landmarks of each face, finds faces that are turned or partly
covered, and is faster. Its .onnx file is not part of this package: OpenCV's model zoo has
it, https://github.com/opencv/opencv_zoo, face_detection_yunet.

YuNet looks at a picture in several sizes. In the largest its longest side is at most `longest_side`
pixels, so very large pictures cost no more than large ones; in the smallest the picture is 224
pixels long and lies within a black border, for faces that fill it.
"""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.preparation.faces import LONGEST_SIDE, MIN_SCORE

CASCADE = "haarcascade_frontalface_alt2.xml"
_SMALLEST, _BORDER = 224, 48  # pixels
_SAME_FACE = 0.4  # overlap (intersection over union) of boxes that are one face
_STEP, _AGREEING, _WINDOW = 1.1, 5, 24  # the cascade's scales, fewest hits, smallest box (pixels)


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
      box: x and y of its upper left corner, width and height, pixels; may reach out of the picture.
      score: in [0, 1]. YuNet's own; for the cascade n / (n + 5), n the number of overlapping hits,
        which is no probability.
      landmarks: float32 [5, 2], x and y in pixels: the eye, nose tip and corners of the mouth in
        the order of `alignment.TEMPLATE`; None from the cascade.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray | None = None


class FaceDetector:
    """Finds faces; safe to be called from several threads at once.

    Attributes:
      name: identifies the detector and its settings.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        min_score: float = MIN_SCORE,
        longest_side: int = LONGEST_SIDE,
    ) -> None:
        """Loads the detector.

        Args:
          model: YuNet's .onnx file; None: OpenCV's cascade of frontal faces, without landmarks.
          min_score: YuNet's faces below it, in [0, 1], are left out; the cascade has none such.
          longest_side: larger pictures are shrunk to it, pixels. YuNet sees most faces that are
            then 40 pixels wide, the cascade those of 24 pixels; raise it to find smaller ones in
            larger pictures, at a cost that grows with its square.

        Raises:
          InputError: the file is missing or no YuNet, or a number is out of range.
        """
        if not 0.0 <= min_score <= 1.0:
            raise InputError(f"the least score of a face is in [0, 1], not {min_score}.")
        if longest_side < _SMALLEST:
            raise InputError(f"longest_side is at least {_SMALLEST} pixels, not {longest_side}.")
        self._longest_side, self._min_score = longest_side, min_score
        self._of_thread = threading.local()  # OpenCV's detectors keep state: one for each thread
        self._content = _read(model) if model else b""
        self.name = f"{CASCADE} longest_side={longest_side}"
        if model:
            digest = hashlib.sha256(self._content).hexdigest()[:12]
            self.name = f"yunet {digest} min_score={min_score} longest_side={longest_side}"
        try:
            self.detect(np.zeros([32, 32, 3], np.uint8))
        except cv2.error as error:
            raise InputError(
                f"{model} is no YuNet that OpenCV {cv2.__version__} can run. "
                "Give the .onnx file of OpenCV's model zoo, "
                "face_detection_yunet, or none for the cascade."
            ) from error

    @property
    def advice(self) -> str:
        """What to do where it finds no face, in flags of the commands."""
        small = f"raise --longest_side={self._longest_side}, to which pictures are shrunk"
        if not self._content:
            return (
                "YuNet's file as --detector finds more faces than the cascade, and turned ones; "
                f"for small faces in large photos {small}."
            )
        return (
            f"For small faces in large photos {small}: of a face at least 40 pixels must be left. "
            f"For turned or covered ones lower --min_score={self._min_score}."
        )

    def detect(self, image: np.ndarray) -> list[Face]:
        """Finds the faces of a picture, the one with the largest box first.

        Args:
          image: RGB uint8 [H, W, 3], of any size.

        Raises:
          ValueError: the array is no such picture.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"not an RGB picture: {image.dtype} of shape {image.shape}")
        found = self._yunet(image) if self._content else self._cascade(image)
        return sorted(found, key=lambda face: face.box[2] * face.box[3], reverse=True)

    def _yunet(self, image: np.ndarray) -> list[Face]:
        """Looks for faces in several sizes of the picture; leaves out doubles."""
        if not hasattr(self._of_thread, "yunet"):
            self._of_thread.yunet = cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(self._content, np.uint8), np.empty(0, np.uint8), (32, 32)
            )
            self._of_thread.yunet.setScoreThreshold(self._min_score)
        detector, rows = self._of_thread.yunet, []  # a row: x, y, w, h, five points, score
        for side in _sides(max(image.shape[:2]), self._longest_side):
            seen, scale, border = _resized(image, side, _BORDER if side == _SMALLEST else 0)
            detector.setInputSize(seen.shape[1::-1])
            found = detector.detect(cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))[1]
            if found is not None:
                found[:, [0, 1, *range(4, 14)]] -= border
                found[:, :14] /= scale
                rows += found.tolist()
        kept = cv2.dnn.NMSBoxes([row[:4] for row in rows], [row[14] for row in rows], 0, _SAME_FACE)
        points = [np.array(rows[i][4:14], np.float32).reshape(5, 2) for i in kept]
        return [
            Face(tuple(rows[i][:4]), min(rows[i][14], 1.0), landmarks)
            for i, landmarks in zip(kept, points, strict=True)
        ]

    def _cascade(self, image: np.ndarray) -> list[Face]:
        if not hasattr(self._of_thread, "cascade"):
            self._of_thread.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE)
        side = max(_SMALLEST, min(max(image.shape[:2]), self._longest_side))
        seen, scale, border = _resized(image, side, _BORDER)
        boxes, hits = self._of_thread.cascade.detectMultiScale2(
            cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), _STEP, _AGREEING, minSize=(_WINDOW, _WINDOW)
        )
        faces = []
        for (x, y, width, height), count in zip(boxes, hits, strict=True):
            box = np.array([x - border, y - border, width, height]) / scale
            faces.append(Face(tuple(box.tolist()), float(count / (count + _AGREEING))))
        return faces


def _read(model: str | Path) -> bytes:
    try:
        content = Path(model).read_bytes()
    except OSError as error:
        raise InputError(
            f"{model} cannot be read: {error.strerror}. Name YuNet's .onnx file, or none for the "
            "cascade that OpenCV brings along."
        ) from error
    if not content:
        raise InputError(f"{model} is empty. Fetch YuNet's .onnx file again.")
    return content


def _sides(longest: int, most: int) -> list[int]:
    """Returns the longest sides, pixels, in which YuNet looks at a picture of `longest`."""
    sides = [_SMALLEST]
    side = min(longest, most)
    while side > _SMALLEST:
        sides.append(side)
        side = side // 4 if side > 6 * _SMALLEST else 0
    return sides


def _resized(image: np.ndarray, side: int, border: int) -> tuple[np.ndarray, float, int]:
    """Makes the longest side `side`, with a black border; returns picture, scale and border."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    seen = cv2.resize(image, shape, interpolation=way)
    if border:
        seen = cv2.copyMakeBorder(seen, *[border] * 4, cv2.BORDER_CONSTANT)
    return seen, scale, border
