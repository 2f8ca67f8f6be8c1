"""Faces of several pictures in full batches, and their predictions handed back in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from ldl_fer.face_prediction import FacePrediction
from ldl_fer.seen_pictures import Answer, Seen

_HELD_BYTES = 2**28  # of pictures that wait for a batch to fill
_HELD_ANSWERS = 1024


def answered(
    pictures: Iterable[Seen],
    predict: Callable[[list[dict], list[tuple]], list[FacePrediction]],
    batch_size: int,
) -> Iterator[Answer]:
    """The answers of pictures, in their order, each as soon as all its faces are predicted.

    Args:
      pictures: drawn from one at a time.
      predict: `known` and `crops` of some faces, as `Seen` has them -> their predictions.
      batch_size: faces are predicted in multiples of it, but for the last, and where the pictures
        that wait are more than 1,024 or take more than 256 MB.
    """
    waiting, known, crops, held = deque(), [], [], 0
    for seen in pictures:
        waiting.append((seen.answer, len(seen.known)))
        known += seen.known
        crops += seen.crops
        held += _bytes(seen.answer)
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
