"""Draws one schematic face from its geometry: the expression is given, all else is random.

Person, pose, light and camera come from the random generator that the caller passes: the same
geometry, generator state and size make the same picture.
"""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

PERSON = 0.08  # standard deviation of each geometry value between people of one latent
_OVERSAMPLING = 4
_SUBPIXEL_BITS = 4


class FaceGeometry(NamedTuple):
    """An expression as shifts of a face's parts: 0 is a face at rest, drawn up to +-1.3."""

    mouth_curvature: float  # > 0: corners up
    mouth_opening: float
    mouth_width: float
    lip_raise: float  # upper lip pulled toward the nose
    brow_height: float
    brow_slope: float  # > 0: inner ends up (grief), < 0: inner ends down (rage)
    frown: float  # brows drawn together, with a crease
    eye_openness: float
    pupil: float
    nose_wrinkle: float
    head_drop: float


def draw_face(geometry: FaceGeometry, random: np.random.Generator, size: int) -> np.ndarray:
    """Draws one face: a person, a pose, a light and a camera at random around the geometry.

    Args:
      geometry: the expression; the person adds their own deviation.
      random: source of everything else.
      size: height and width, pixels.

    Returns:
      [size, size, 3] uint8, RGB.
    """
    personal = np.array(geometry) + random.normal(0.0, PERSON, len(geometry))
    geometry = FaceGeometry(*np.clip(personal, -1.3, 1.3).tolist())
    skin = np.array([236.0, 194.0, 164.0]) * random.uniform(0.4, 1.05) ** np.array(
        [0.85, 1.0, 1.15]
    )
    skin += random.normal(0.0, 8.0, 3)
    hair = random.uniform(15.0, 70.0) + random.uniform(0.0, 90.0) * np.array([1.0, 0.75, 0.45])
    side = size * _OVERSAMPLING
    coarse = random.uniform(40.0, 210.0) + random.normal(0.0, 25.0, 3)
    coarse = coarse + random.normal(0.0, 25.0, (4, 4, 3))
    coarse = np.clip(np.round(coarse), 0, 255).astype(np.uint8)
    canvas = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    pen = _Pen(canvas, _pose(geometry.head_drop, side, random))
    width, jaw = random.uniform(0.7, 0.84), random.uniform(0.05, 0.4)
    _draw_head(pen, skin, hair, width, jaw, random)
    drop = 0.12 * geometry.head_drop
    for mirror in (-1.0, 1.0):
        _draw_eye(pen, geometry, mirror, drop, skin, hair, random)
    _draw_nose(pen, geometry, drop, skin)
    if random.random() < 0.12:  # beard
        beard = _oval(0.0, 0.02, width - 0.02, 1.0, jaw)
        beard = beard[beard[:, 1] > 0.25]
        pen.fill(np.vstack([beard, [[-0.45, 0.3], [0.0, 0.4], [0.45, 0.3]]]), (hair + skin) / 2)
    _draw_mouth(pen, geometry, drop, skin)
    if random.random() < 0.12:  # glasses
        for mirror in (-1.0, 1.0):
            pen.line(_oval(mirror * 0.34, drop - 0.12, 0.25, 0.2), hair * 0.6, 0.04, closed=True)
        pen.line([[-0.1, drop - 0.14], [0.1, drop - 0.14]], hair * 0.6, 0.04)
    return _photograph(canvas, size, random)


class _Pen:
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


def _oval(x: float, y: float, width: float, height: float, jaw: float = 0.0) -> np.ndarray:
    """Returns 48 points, [48, 2], of an ellipse by its half axes; `jaw` narrows its lower half."""
    turn = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    narrowing = 1.0 - jaw * np.maximum(np.sin(turn), 0.0) ** 2
    return np.stack([x + width * np.cos(turn) * narrowing, y + height * np.sin(turn)], axis=-1)


def _bytes(color: Iterable[float]) -> tuple[int, ...]:
    return tuple(min(max(round(float(value)), 0), 255) for value in color)


def _pose(head_drop: float, side: int, random: np.random.Generator) -> np.ndarray:
    """Draws a pose: matrix [2, 3] from face units to pixels."""
    angle = random.normal(0.0, 0.08)
    shear = random.normal(0.0, 0.05)
    zoom = side * random.uniform(0.43, 0.5) * np.array([random.uniform(0.9, 1.08), 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(zoom)
    middle = side * (0.5 + random.normal(0.0, 0.025, 2) + [0.0, 0.02 + 0.04 * head_drop])
    return np.column_stack([linear, middle])


def _draw_head(
    pen: _Pen,
    skin: np.ndarray,
    hair: np.ndarray,
    width: float,
    jaw: float,
    random: np.random.Generator,
) -> None:
    style = random.choice(["bald", "short", "long"], p=[0.1, 0.5, 0.4])
    clothes = random.uniform(20.0, 220.0, 3)
    if style == "long":
        pen.fill(_oval(0.0, 0.1, width + 0.2, 1.25, jaw=-0.1), hair)
    pen.fill([[-0.3, 0.6], [0.3, 0.6], [0.35, 1.6], [-0.35, 1.6]], skin * 0.82)
    pen.fill([[-0.3, 1.2], [0.3, 1.2], [1.2, 1.6], [1.2, 2.5], [-1.2, 2.5], [-1.2, 1.6]], clothes)
    for mirror in (-1.0, 1.0):
        pen.fill(_oval(mirror * width, 0.0, 0.11, 0.2), skin * 0.88)
    pen.fill(_oval(0.0, 0.0, width, 1.0, jaw), skin * 0.92)
    pen.fill(_oval(0.0, -0.02, width - 0.08, 0.92, jaw), skin)
    if style != "bald":
        line = random.uniform(-0.75, -0.58)
        part = random.uniform(-0.6, 0.6)
        cap = _oval(0.0, -0.02, width + 0.05, 1.08)
        crown = cap[cap[:, 1] < line + 0.2]
        pen.fill(np.vstack([crown, [[part, line - 0.12]]]), hair)


def _draw_eye(
    pen: _Pen,
    geometry: FaceGeometry,
    mirror: float,
    drop: float,
    skin: np.ndarray,
    hair: np.ndarray,
    random: np.random.Generator,
) -> None:
    across = np.linspace(-1.0, 1.0, 17)
    arch = 1.0 - across**2
    open_height = 0.105 * np.exp(0.85 * geometry.eye_openness)
    center = np.array([mirror * 0.34, drop - 0.12])
    droop = 0.05 * geometry.brow_slope * across  # outer corners fall as inner brows rise
    upper = np.stack([mirror * across * 0.18, droop - open_height * arch], axis=-1) + center
    lower = np.stack([mirror * across * 0.18, droop + 0.65 * open_height * arch], axis=-1) + center
    eye = np.vstack([upper, lower[::-1]])
    pen.fill(eye, [240.0, 238.0, 232.0])
    gaze = center + [random.normal(0.0, 0.012), -0.01]
    pen.fill(_oval(gaze[0], gaze[1], 0.1, 0.1), hair * 0.5 + 25.0, inside=eye)
    pupil = 0.05 * np.exp(0.5 * geometry.pupil)
    pen.fill(_oval(gaze[0], gaze[1], pupil, pupil), [8.0, 8.0, 8.0], inside=eye)
    pen.line(upper, skin * 0.3, 0.04)
    pen.line(lower, skin * 0.6, 0.02)
    height = drop - 0.36 - 0.13 * geometry.brow_height
    inner = 0.14 - 0.05 * geometry.frown
    slope = 0.11 * geometry.brow_slope
    brow = np.array([[inner, height - slope], [0.34, height - 0.05], [0.56, height + 0.5 * slope]])
    pen.line(brow * [mirror, 1.0], hair * 0.8, 0.075)
    if geometry.frown > 0.1:
        fade = min(geometry.frown, 1.0)
        crease = np.array([[0.05, height - 0.06], [0.055, height + 0.12]]) * [mirror, 1.0]
        pen.line(crease, skin * (1.0 - 0.5 * fade), 0.03)


def _draw_nose(pen: _Pen, geometry: FaceGeometry, drop: float, skin: np.ndarray) -> None:
    wrinkle = max(geometry.nose_wrinkle, 0.0)
    tip = drop + 0.24 - 0.05 * wrinkle
    wing = 0.12 + 0.04 * wrinkle
    pen.line(
        [[-wing, tip - 0.03], [-0.05, tip + 0.03], [0.05, tip + 0.03], [wing, tip - 0.03]],
        skin * 0.6,
        0.045,
    )
    pen.line([[0.05, drop - 0.12], [0.09, tip - 0.1]], skin * 0.8, 0.04)
    if wrinkle < 0.1:
        return
    shade = skin * (1.0 - 0.5 * min(wrinkle, 1.0))
    for level in (-0.12, -0.04, 0.04):
        pen.line(
            [[-0.1, drop + level], [0.0, drop + level + 0.03], [0.1, drop + level]], shade, 0.03
        )
    for mirror in (-1.0, 1.0):  # fold from nose to mouth
        fold = np.array([[wing + 0.04, tip - 0.04], [0.3, tip + 0.1], [0.4, tip + 0.3]])
        pen.line(fold * [mirror, 1.0], shade, 0.03)


def _draw_mouth(pen: _Pen, geometry: FaceGeometry, drop: float, skin: np.ndarray) -> None:
    across = np.linspace(-1.0, 1.0, 25)
    arch = 1.0 - across**2
    width = 0.33 * np.exp(0.45 * geometry.mouth_width)
    opening = 0.34 * max(geometry.mouth_opening, 0.02)
    raised = 0.1 * max(geometry.lip_raise, 0.0)
    middle = drop + 0.55 + 0.2 * geometry.mouth_curvature * (arch - 0.55)
    upper = np.stack([across * width, middle - (0.35 * opening + raised) * arch], axis=-1)
    lower = np.stack([across * width, middle + 0.65 * opening * arch], axis=-1)
    inside = np.vstack([upper, lower[::-1]])
    pen.fill(inside, [60.0, 20.0, 25.0])
    teeth = np.vstack([upper, (upper + [0.0, 0.09])[::-1]])
    pen.fill(teeth, [232.0, 228.0, 215.0], inside=inside)
    pen.line(inside, skin * [0.72, 0.45, 0.45], 0.055, closed=True)


def _photograph(canvas: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Shrinks the canvas and adds light from a side, blur and sensor noise."""
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    angle, strength = random.uniform(0.0, 2.0 * np.pi), random.uniform(0.0, 0.6)
    along = np.linspace(-1.0, 1.0, size)
    slope = np.cos(angle) * along[np.newaxis, :] + np.sin(angle) * along[:, np.newaxis]
    light = random.uniform(0.65, 1.15) * (1.0 + strength * slope)
    small *= light[..., np.newaxis]
    small = cv2.GaussianBlur(small, (0, 0), size / 48.0 * random.uniform(0.2, 0.8))
    small += random.normal(0.0, random.uniform(2.0, 9.0), small.shape)
    return np.clip(np.round(small), 0, 255).astype(np.uint8)
