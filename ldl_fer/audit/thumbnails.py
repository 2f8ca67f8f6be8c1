"""Small JPEG pictures as text, for a page that holds all it shows."""

import base64
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from tqdm import tqdm

from ldl_fer.pixels import decoded_image

_QUALITY = 85


def thumbnails(
    picture: Callable[[int], bytes], rows: Sequence[int], side: int, progress: bool = True
) -> tuple[list[str], list[str]]:
    """Pictures no larger than `side` x `side` pixels, aspect ratio kept, smaller ones as they are.

    Args:
      picture: row -> the bytes of a picture file.
      rows: whose pictures.
      side: pixels.
      progress: whether to show a bar.

    Returns:
      A base64 JPEG for each row, and what could not be read, as sentences. An unreadable picture
      is a gray square.
    """

    def one(row: int) -> tuple[str, str | None]:
        try:
            image, problem = decoded_image(picture(row)), None
        except (OSError, ValueError) as error:
            image, problem = np.full([side, side, 3], 160, np.uint8), f"row {row}: {error}"
        return _encoded(image, side), problem

    with ThreadPoolExecutor() as pool:
        made = list(
            tqdm(pool.map(one, rows), "pictures", len(rows), unit="picture", disable=not progress)
        )
    return [text for text, _ in made], [problem for _, problem in made if problem]


def _encoded(image: np.ndarray, side: int) -> str:
    scale = side / max(image.shape[:2])
    if scale < 1.0:
        size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return base64.b64encode(content).decode()
