"""Turns, scales and cuts out a face, so that its eyes and mouth lie where those of all faces do.

With landmarks, by the similarity (rotation, one scale, shift) that brings them closest to a
template, in least squares. Without, by a square around the box, upright as the picture is.
"""

import math

import cv2
import numpy as np

from ldl_fer.preparation.faces import TEMPLATE_SIZE
from ldl_fer.preparation.faces.detector import Face

# Where the usual alignment of ArcFace (Deng et al. 2019) has them in 112 x 112 pixels: x, y. Left
# and right as seen in the picture: the first eye is the person's right one.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],  # left eye
        [73.5318, 51.5014],  # right eye
        [56.0252, 71.7366],  # tip of the nose
        [41.5493, 92.3655],  # left corner of the mouth
        [70.7299, 92.2041],  # right corner of the mouth
    ]
)

# Where the template's square lies about the cascade's box, in parts of the box's width: medians
# over 380 faces of FER+ that both YuNet and the cascade found.
_SIDE, _RIGHT, _DOWN = 1.14, -0.01, -0.09
_LARGEST = 4096  # pixels, of the picture that is averaged down to the crop


def aligned(image: np.ndarray, face: Face, size: int) -> np.ndarray:
    """Cuts out a face. What lies beyond the picture is black; large faces are averaged down.

    Args:
      image: RGB uint8 [H, W, 3].
      face: one of its faces. Landmarks come to lie as near as a similarity can bring them to the
        template, scaled from 112 to `size` pixels. A box without landmarks becomes an upright
        square that frames the face about as the template does.
      size: height and width of the result, pixels.

    Returns:
      uint8 [size, size, 3].

    Raises:
      ValueError: a size below 1, or landmarks that all lie in one point.
    """
    if size < 1:
        raise ValueError(f"the size of an aligned face is at least 1 pixel, not {size}")
    if face.landmarks is None:
        return _warped(image, _around(face.box, size), size)
    return _warped(image, similarity(face.landmarks, size), size)


def similarity(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns the 2 x 3 matrix from pixels of the picture to pixels of the crop.

    With points as complex numbers a similarity is w = a z + b, so least squares has a closed form:
    a = sum conj(z - mean z) (w - mean w) / sum |z - mean z|^2. (OpenCV's estimateAffinePartial2D
    leaves points out at random.)

    Args:
      landmarks: [5, 2].
      size: height and width of the crop, pixels.

    Raises:
      ValueError: all landmarks lie in one point.
    """
    z = np.asarray(landmarks, np.float64) @ [1, 1j]
    w = ((TEMPLATE + 0.5) * size / TEMPLATE_SIZE - 0.5) @ [1, 1j]
    spread = z - z.mean()
    if not (np.abs(spread) ** 2).sum() > 0:
        raise ValueError("the landmarks of the face all lie in one point")
    a = (spread.conj() * (w - w.mean())).sum() / (np.abs(spread) ** 2).sum()
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _around(box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """Returns the 2 x 3 matrix that takes a square about the box to the crop, without turning."""
    x, y, width, height = box
    scale = size / (_SIDE * width)
    center = np.array([x + width * (0.5 + _RIGHT), y + height * 0.5 + width * _DOWN]) - 0.5
    return np.column_stack([np.eye(2) * scale, (size - 1) / 2 - scale * center])


def _warped(image: np.ndarray, to_crop: np.ndarray, size: int) -> np.ndarray:
    """Warps bilinearly; to a smaller crop at a multiple of its size, which is then averaged."""
    shrinking = 1 / math.hypot(*to_crop[:, 0])
    times = max(1, min(math.ceil(shrinking), _LARGEST // size))
    large = to_crop * float(times)
    large[:, 2] += (times - 1) / 2  # Pixel centers: x -> (x + 1/2) times - 1/2.
    corners = np.array([[0, 0, 1, 1], [0, 1, 0, 1]]) * (size * times - 1) - large[:, 2:]
    x, y = np.linalg.solve(large[:, :2], corners)
    left, top = max(0, math.floor(x.min()) - 2), max(0, math.floor(y.min()) - 2)
    part = image[top : max(top, math.ceil(y.max()) + 3), left : max(left, math.ceil(x.max()) + 3)]
    if not part.size:
        return np.zeros([size, size, 3], np.uint8)
    large[:, 2] += large[:, :2] @ [left, top]  # OpenCV warps no picture of 32,768 pixels a side.
    crop = cv2.warpAffine(part, large, (size * times, size * times), flags=cv2.INTER_LINEAR)
    return cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) if times > 1 else crop
