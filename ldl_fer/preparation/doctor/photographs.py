"""Says of two pictures that look alike whether they are versions of one photograph.

Two photographs of one session have the same person, light and background, and correlate as much as
two versions of one photograph do; what differs is the expression: a few details. So the second
picture is laid over the first (an affine map, found by cv2.findTransformECC), both are freed of
what is coarse, and the details are compared window by window. Versions of one photograph agree in
all windows but those that a watermark covers; two photographs do not where the face has moved.

The border, 0.9 for the lowest fiftieth of the windows, was measured. Of 1,000 faces that were
encoded anew (JPEG quality 40 to 95), made half to twice as large, moved by up to a pixel of 48,
made brighter, darker or of another contrast, 95 % are one photograph; the others are blurred or
overexposed beyond recognition. Of the 672 near duplicates of FER2013 87 % are; most others have
watermarks, and all five that are two photographs are among them. Of 358 drawn pairs of one person
with two expressions in the same light, before the same background, 1 % are; of 389 real faces whose
mouth, brows or eyes were moved on the computer 13 %, moved so little that it is hardly seen. Of
whole photos with small faces it says nothing: two that differ in the face alone are one photograph
to it.
"""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.pictures import decoded_image, picture_bytes
from ldl_fer.preparation.doctor.pictures import Pictures

ONE_PHOTOGRAPH = 0.9  # agreement from which two pictures are one photograph
_SIDES = (64, 160)  # pixels that are compared, at least and at most
_COARSE, _FINE = 5.3, 1.0  # standard deviations between which details are kept, pixels
_WINDOW = 13  # pixels, odd
_FLAT = 0.05  # part of the largest variance, below which a window has no details
_LOWEST = 0.02
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-4)  # of the affine map


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns how well the details of two pictures agree, where they do so least.

    Args:
      first, second: gray, uint8 [H, W], of any sizes.

    Returns:
      In [-1, 1]: the 2 % quantile of the correlations within windows; -1 where nothing is left to
      compare.
    """
    side = int(np.clip(min(first.shape + second.shape), *_SIDES))
    one, two = (
        cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        for picture in (first, second)
    )
    two, seen = _laid_over(one, two)
    one, two = (
        cv2.GaussianBlur(picture, (0, 0), _FINE) - cv2.GaussianBlur(picture, (0, 0), _COARSE)
        for picture in (one, two)
    )
    variances = _mean(one * one) - _mean(one) ** 2, _mean(two * two) - _mean(two) ** 2
    covariance = _mean(one * two) - _mean(one) * _mean(two)
    sharpest = np.max([v / max(v.max(), 1e-6) for v in variances], axis=0)
    inner = slice(_WINDOW // 2, -(_WINDOW // 2))
    used = ((sharpest > _FLAT) & seen)[inner, inner]
    if not used.any():
        return -1.0
    norms = np.sqrt(np.maximum(variances[0] * variances[1], 1e-6))
    return float(np.quantile((covariance / norms)[inner, inner][used], _LOWEST))


def of_one_photograph(
    pictures: Pictures, pairs: np.ndarray, mirrored: np.ndarray, progress: bool = True
) -> np.ndarray:
    """Returns which pairs are versions of one photograph, bool [P].

    Args:
      pictures: of `look_at`.
      pairs: int [P, 2], numbers of pictures.
      mirrored: bool [P], whether one is compared with the other's mirror image.
      progress: show a bar with time left.
    """

    def compare(pair: int) -> bool:
        try:
            first, second = (
                cv2.cvtColor(decoded_image(picture_bytes(pictures.file(p))), cv2.COLOR_RGB2GRAY)
                for p in pairs[pair]
            )
        except (OSError, ValueError):  # It was there when it was looked at.
            return False
        return agreement(first, second[:, ::-1] if mirrored[pair] else second) >= ONE_PHOTOGRAPH

    with ThreadPoolExecutor(processors()) as pool:
        found = tqdm(
            pool.map(compare, range(len(pairs))),
            "comparing details",
            len(pairs),
            unit="pair",
            delay=2,
            disable=not progress,
        )
        return np.fromiter(found, bool, len(pairs))


def _laid_over(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the second picture moved over the first, and bool [H, W]: where it shows anything."""
    move = np.eye(2, 3, dtype=np.float32)
    softened = [cv2.GaussianBlur(picture, (0, 0), _FINE) for picture in (one, two)]
    try:
        _, move = cv2.findTransformECC(*softened, move, cv2.MOTION_AFFINE, _STEPS, None, 5)
    except cv2.error:  # They have nothing in common; the picture stays where it is.
        return two, np.ones(two.shape, bool)
    size, inverse = two.shape[::-1], cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(np.ones_like(two), move, size, flags=cv2.INTER_NEAREST | inverse)
    moved = cv2.warpAffine(
        two, move, size, flags=cv2.INTER_LINEAR | inverse, borderMode=cv2.BORDER_REPLICATE
    )
    return moved, seen > 0


def _mean(values: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(values, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
