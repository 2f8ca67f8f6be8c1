"""Predictions on disk: JSON lines, a CSV, and annotated pictures and videos.

JSON lines have an object for each picture or frame, the CSV a row for each face. A picture without
a face is an object with an empty list `faces`, and a row whose `faces` is 0; one that could not be
read tells why in `error`. All files get their names when they are complete.
"""

import contextlib
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.face_prediction import FacePrediction
from ldl_fer.files import whole_file
from ldl_fer.footage import Source, frame_rate
from ldl_fer.prediction_drawing import draw_predictions
from ldl_fer.seen_pictures import Answer

PLACE = ("file", "frame", "seconds", "width", "height", "error")
BOX = ("x", "y", "box_width", "box_height")
_PICTURES_KEPT = {".jpg", ".jpeg", ".png", ".webp"}  # endings that annotated pictures keep


def face_record(face: FacePrediction) -> dict:
    """What JSON lines say of a face: box and landmarks in pixels, entropy in nats."""
    return {
        "box": [round(side, 2) for side in face.box],
        "score": _rounded(face.score),
        "landmarks": None
        if face.landmarks is None
        else face.landmarks.astype(float).round(2).tolist(),
        "leading": face.leading,
        "confidence": _rounded(face.confidence),
        "runner_up": face.runner_up,
        "margin": _rounded(face.margin),
        "entropy": _rounded(face.entropy),
        "ambiguous": face.ambiguous,
        "doubts": list(face.doubts),
        "valence": _rounded(face.valence),
        "arousal": _rounded(face.arousal),
        "distribution": {name: _rounded(p) for name, p in face.distribution.items()},
    }


def record(answer: Answer) -> dict:
    """What JSON lines say of an answer to a shot."""
    return _place(answer) | {"faces": [face_record(face) for face in answer.faces]}


def rows(answer: Answer, class_names: Sequence[str]) -> list[dict]:
    """What the CSV says of it: a row for each face, or one with `faces` 0."""
    place = _place(answer) | {"faces": len(answer.faces)}
    if not answer.faces:
        return [place]
    made = []
    for number, face in enumerate(answer.faces):
        told = face_record(face)
        box, shares = told.pop("box"), told.pop("distribution")
        told |= {"face": number, "doubts": ";".join(told["doubts"])}
        told |= dict(zip(BOX, box, strict=True))
        told |= {f"probability_{name}": shares[name] for name in class_names}
        made.append(place | told)
    return made


@contextlib.contextmanager
def json_lines(path: str | Path) -> Iterator:
    """A function that adds an answer to a file of JSON lines."""
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        yield lambda answer: file.write(json.dumps(record(answer), ensure_ascii=False) + "\n")


@contextlib.contextmanager
def table(path: str | Path, class_names: Sequence[str]) -> Iterator:
    """A function that adds an answer to a CSV."""
    columns = [
        *PLACE, "faces", "face", *BOX, "score", "leading", "confidence", "runner_up", "margin",
        "entropy", "ambiguous", "doubts", "valence", "arousal",
        *(f"probability_{name}" for name in class_names),
    ]  # fmt: skip
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        yield lambda answer: writer.writerows(rows(answer, class_names))


@contextlib.contextmanager
def drawings(targets: dict[Source, Path], whole: bool, every: int) -> Iterator:
    """A function that draws an answer: a picture to its target, a frame into its source's video.

    Args:
      targets: of `drawing_paths`.
      whole: as `draw_predictions` takes it.
      every: frames of a video from one answer to the next; the annotated video has those alone
        and lasts as long.
    """
    with contextlib.ExitStack() as video:  # the one that is being written
        now, write = None, None

        def draw(answer: Answer) -> None:
            nonlocal now, write
            source = answer.shot.source
            if source != now:
                video.close()
                now, write = source, None
            if answer.image is None:
                return
            drawn = draw_predictions(answer.image, answer.faces, whole)
            if not source.is_video:
                _write_picture(targets[source], drawn)
                return
            if write is None:
                rate = frame_rate(source.path) / every
                write = video.enter_context(_video(targets[source], drawn.shape[1::-1], rate))
            write(drawn)

        yield draw


def drawing_paths(sources: Sequence[Source], folder: str | Path) -> dict[Source, Path]:
    """Where the annotated pictures and videos go: their names below the folder, each another.

    Raises:
      InputError: a source itself would be replaced.
    """
    folder, taken, paths = Path(folder), set(), {}
    read = {source.path.resolve() for source in sources}
    for source in sources:
        name = Path(source.name)
        ending = ".mp4" if source.is_video else name.suffix
        if not source.is_video and ending.lower() not in _PICTURES_KEPT:
            ending = ".png"
        number, path = 1, folder / name.with_suffix(ending)
        while str(path).lower() in taken:
            number += 1
            path = folder / name.with_name(f"{name.stem}_{number}{ending}")
        if path.resolve() in read:
            raise InputError(
                f"{path} is an input and would be replaced: name another --draw folder."
            )
        taken.add(str(path).lower())
        paths[source] = path
    return paths


@contextlib.contextmanager
def _video(path: Path, size: tuple[int, ...], rate: float) -> Iterator:
    """A function that adds a frame, RGB, to an MPEG-4 video; it is made to fit the first."""
    with whole_file(path) as partial:
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
        _check(writer.isOpened(), path)

        def write(image: np.ndarray) -> None:
            if image.shape[1::-1] != size:
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            writer.write(np.ascontiguousarray(image[..., ::-1]))

        try:
            yield write
        finally:
            writer.release()


def _write_picture(path: Path, image: np.ndarray) -> None:
    with whole_file(path) as partial:
        _check(cv2.imwrite(str(partial), np.ascontiguousarray(image[..., ::-1])), path)


def _place(answer: Answer) -> dict:
    shot, (width, height) = answer.shot, answer.size
    values = str(shot.source.path), shot.frame, shot.seconds, width, height, answer.error
    return dict(zip(PLACE, values, strict=True))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _check(written: bool, path: Path) -> None:
    if not written:
        raise InputError(f"cannot write {path}. Name another --draw folder, with free space.")
