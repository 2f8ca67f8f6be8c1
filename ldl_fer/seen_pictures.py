"""Pictures read ahead, with the faces found in them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.face_prediction import FacePrediction
from ldl_fer.faces import Face, aligned
from ldl_fer.footage import Shot, decoded_picture
from ldl_fer.pixels import resized

_END: Any = object()
Picture = np.ndarray | str | Path | Shot


@dataclass
class Answer:
    """What became of one item of a stream.

    Attributes:
      item: as it was given.
      image: RGB uint8 [H, W, 3]; None if it could not be read, or pictures are not kept.
      size: its width and height, pixels; (0, 0) if it could not be read.
      faces: largest first; empty if there is none.
      error: why it could not be read; empty if it could.
    """

    item: Picture
    image: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    faces: list[FacePrediction] = field(default_factory=list)
    error: str = ""

    @property
    def shot(self) -> Shot:
        """The item, of a stream of `footage.shots`."""
        assert isinstance(self.item, Shot)
        return self.item


@dataclass
class Seen:
    """An answer before the network has spoken.

    `known` holds for each face what `FacePrediction` has of the detector; `crops` the face as the
    network takes it, and as the valence-arousal regressor does where there is one.
    """

    answer: Answer
    known: list[dict[str, Any]] = field(default_factory=list)
    crops: list[tuple[np.ndarray, ...]] = field(default_factory=list)


def pixels_of(item: Picture) -> np.ndarray:
    """RGB uint8 [H, W, 3].

    Raises:
      OSError, ValueError: it is no picture, or cannot be read; the text says why.
    """
    if isinstance(item, Shot):
        return item.load()
    image = decoded_picture(item) if isinstance(item, (str, Path)) else item
    if not isinstance(image, np.ndarray):
        raise ValueError(f"not a picture, but {image!r}: give a path or RGB uint8 [H, W, 3]")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"not an RGB picture, uint8 [H, W, 3]: {image.dtype} {image.shape}")
    return image


def known_of(face: Face | None, width: int, height: int) -> dict[str, Any]:
    """What `FacePrediction` has of the detector; without a face, the whole picture's box."""
    if face is None:
        return {"box": (0.0, 0.0, float(width), float(height))}
    return {"box": face.box, "score": face.score, "landmarks": face.landmarks}


def crop_of(image: np.ndarray, face: Face | None, size: int) -> np.ndarray:
    """The face aligned; of a whole picture, resized as the pictures of a training are."""
    return resized(image, size) if face is None else aligned(image, face, size)


def ahead(see: Callable[[Picture], Seen], items: Iterable, threads: int) -> Iterator[Seen]:
    """`see` of every item, in their order, done ahead: one thread draws items, others see."""
    drawn = iter(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as workers:

        def task():
            item = reader.submit(next, drawn, _END)

            def run():
                return _END if item.result() is _END else see(item.result())

            return workers.submit(run)

        tasks = deque(task() for _ in range(2 * threads))
        while (seen := tasks.popleft().result()) is not _END:
            tasks.append(task())
            yield seen
