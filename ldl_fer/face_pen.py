"""A pen that draws polygons and lines in units of a face."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import ArrayLike

_SUBPIXEL_BITS = 4


class Pen:
    """Draws on a canvas in face units: origin between nose and eyes, y down, chin at y = 1."""

    def __init__(self, canvas: np.ndarray, pose: np.ndarray) -> None:
        self.canvas = canvas
        self.pose = pose  # [2, 3]: face units to pixels

    def _pixels(self, points: ArrayLike) -> np.ndarray:
        placed = np.asarray(points) @ self.pose[:, :2].T + self.pose[:, 2]
        return np.round(placed * 2**_SUBPIXEL_BITS).astype(np.int32)

    def fill(
        self, points: ArrayLike, color: Iterable[float], inside: ArrayLike | None = None
    ) -> None:
        """Fills a polygon, [n, 2]; only within the polygon `inside` where one is given."""
        if inside is None:
            cv2.fillPoly(
                self.canvas, [self._pixels(points)], _bytes(color), cv2.LINE_AA, _SUBPIXEL_BITS
            )
            return
        masks = np.zeros((2, *self.canvas.shape[:2]), np.uint8)
        for mask, shape in zip(masks, (points, inside), strict=True):
            cv2.fillPoly(mask, [self._pixels(shape)], 1, cv2.LINE_8, _SUBPIXEL_BITS)
        self.canvas[(masks[0] & masks[1]) > 0] = _bytes(color)

    def line(
        self, points: ArrayLike, color: Iterable[float], width: float, closed: bool = False
    ) -> None:
        """Draws a line through points, [n, 2], `width` face units thick."""
        thickness = max(1, round(width * np.sqrt(abs(np.linalg.det(self.pose[:, :2])))))
        cv2.polylines(
            self.canvas,
            [self._pixels(points)],
            closed,
            _bytes(color),
            thickness,
            cv2.LINE_AA,
            _SUBPIXEL_BITS,
        )


def oval(x: float, y: float, width: float, height: float, jaw: float = 0.0) -> np.ndarray:
    """[48, 2]: an ellipse by its half axes; `jaw` narrows its lower half."""
    turn = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    narrowing = 1.0 - jaw * np.maximum(np.sin(turn), 0.0) ** 2
    return np.stack([x + width * np.cos(turn) * narrowing, y + height * np.sin(turn)], axis=-1)


def _bytes(color: Iterable[float]) -> tuple[int, ...]:
    return tuple(min(max(round(float(value)), 0), 255) for value in color)
