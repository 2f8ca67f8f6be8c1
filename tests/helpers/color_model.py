"""A model and a detector whose answers follow from a picture's colors, for the tests of predicting.

The model's probabilities are the shares of red, green and blue in the sum of all pixels. The
detector finds (red value of the first pixel) // 10 faces, all about the middle of 16 x 16 pixels.
"""

import cv2
import numpy as np

from ldl_fer.evaluation.trained_model import TrainedModel
from ldl_fer.preparation.faces.detector import Face

CLASS_NAMES = ("Red", "Grün", "Blue")
SIZE = 8


class ColorModel:
    """The network; it remembers the sizes of its batches."""

    def __init__(self):
        """No batch so far."""
        self.batches = []

    def __call__(self, images):
        assert images.shape[1:] == (SIZE, SIZE, 3) and images.dtype == np.uint8
        self.batches.append(len(images))
        sums = images.astype(np.float64).sum(axis=(1, 2)) + 1e-3
        return (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32)


def color_model(temperature=None):
    return TrainedModel(ColorModel(), CLASS_NAMES, SIZE, temperature)


class CornerDetector:
    """Faces of 10, 9.9, ... pixels; see above."""

    def detect(self, image):
        count = int(image[0, 0, 0]) // 10
        return [Face((3.0, 3.0, 10 - i / 10, 10 - i / 10), 0.9) for i in range(count)]


def plain(color, height=16, width=16):
    """A picture of one RGB color."""
    return np.full([height, width, 3], color, np.uint8)


def write_picture(path, color, height=16, width=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), plain(color, height, width)[..., ::-1])
    return path


def write_video(path, colors, rate=10.0, size=(64, 48)):
    """A frame for each color."""
    code = cv2.VideoWriter_fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), code, rate, size)
    for color in colors:
        writer.write(plain(color, size[1], size[0])[..., ::-1].copy())
    writer.release()
    return path
