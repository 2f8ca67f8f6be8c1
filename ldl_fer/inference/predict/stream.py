"""The way of many pictures through a predictor: detected ahead, predicted in batches, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.inference.predict.face import FacePrediction
from ldl_fer.inference.predict.sources import Frame

Picture = np.ndarray | str | Path | Frame
_END: Any = object()
_HELD_BYTES = 2**28  # of pictures that wait for a batch to fill
_HELD_ANSWERS = 1024


@dataclass
class Answer:
    """The faces of one item of a stream, or why it could not be read.

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
    def frame(self) -> Frame:
        """The item, of a stream of `sources.frames`."""
        assert isinstance(self.item, Frame)
        return self.item


@dataclass
class Detected:
    """A picture with the faces found in it, before the network.

    Attributes:
      answer: without predictions yet.
      known: for each face, the attributes of `FacePrediction` that the detector gives.
      crops: for each face, the network's input, and the valence-arousal regressor's if there is
        one.
    """

    answer: Answer
    known: list[dict[str, Any]] = field(default_factory=list)
    crops: list[tuple[np.ndarray, ...]] = field(default_factory=list)


def read_ahead(
    detect: Callable[[Picture], Detected], items: Iterable, threads: int
) -> Iterator[Detected]:
    """Yields `detect` of every item, in their order; one thread draws, others detect ahead."""
    drawn = iter(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as workers:

        def task():
            item = reader.submit(next, drawn, _END)

            def run():
                return _END if item.result() is _END else detect(item.result())

            return workers.submit(run)

        tasks = deque(task() for _ in range(2 * threads))
        while (detected := tasks.popleft().result()) is not _END:
            tasks.append(task())
            yield detected


def batched(
    pictures: Iterable[Detected],
    predict: Callable[[list[dict], list[tuple]], list[FacePrediction]],
    batch_size: int,
) -> Iterator[Answer]:
    """Yields the answers of pictures, in their order, each as soon as its faces are predicted.

    Args:
      pictures: drawn from one at a time.
      predict: `known` and `crops` of some faces, as `Detected` has them -> their predictions.
      batch_size: faces are predicted in multiples of it, but for the last, and where the pictures
        that wait are more than 1,024 or take more than 256 MB.
    """
    waiting, known, crops, held = deque(), [], [], 0
    for detected in pictures:
        waiting.append((detected.answer, len(detected.known)))
        known += detected.known
        crops += detected.crops
        held += _bytes(detected.answer)
        rushed = held > _HELD_BYTES or len(waiting) > _HELD_ANSWERS
        if len(crops) < batch_size and not rushed:
            continue
        ready = len(crops) if rushed else len(crops) // batch_size * batch_size
        predictions = predict(known[:ready], crops[:ready])
        known, crops = known[ready:], crops[ready:]
        for answer in _hand_out(waiting, deque(predictions)):
            held -= _bytes(answer)
            yield answer
    yield from _hand_out(waiting, deque(predict(known, crops)))


def _bytes(answer: Answer) -> int:
    return 0 if answer.image is None else answer.image.nbytes


def _hand_out(waiting: deque, predictions: deque) -> Iterator[Answer]:
    """Takes the answers whose faces are all predicted, or begun to be, off the waiting line."""
    while waiting and len(waiting[0][0].faces) + len(predictions) >= waiting[0][1]:
        answer, count = waiting.popleft()
        while len(answer.faces) < count:
            answer.faces.append(predictions.popleft())
        yield answer
    if predictions:
        waiting[0][0].faces.extend(predictions)
