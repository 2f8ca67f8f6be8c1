"""What a picture looks like, in a few numbers: a perceptual hash that keeps its decimals."""

import cv2
import numpy as np

_FREQUENCIES = 16  # of the cosine transform, in each direction
_SIDE = 32  # pixels, before the transform
_LEAST = 1e-3  # norm of what is not one gray value

# Bool [255]: the numbers of a signature that change sign when the picture is mirrored.
ODD = (np.arange(_FREQUENCIES**2) % 2 == 1)[1:]


def signature(gray: np.ndarray) -> np.ndarray:
    """What a picture looks like, whatever its size, brightness and contrast.

    Args:
      gray: uint8 [H, W].

    Returns:
      Float32 [255] of norm 1: cosine transform of the picture made 32 x 32, its 16 x 16 lowest
      frequencies without the mean, by row. The product of two signatures is the correlation of
      the pictures so blurred. All zero for a picture of one gray value.
    """
    small = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_FREQUENCIES, :_FREQUENCIES].ravel()[1:]
    norm = np.linalg.norm(low)
    return low / norm if norm > _LEAST else np.zeros_like(low)
