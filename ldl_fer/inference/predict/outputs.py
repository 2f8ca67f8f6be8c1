"""Predicts all faces of pictures and videos, and writes them: JSON lines, CSV, annotated pictures.

JSON lines have an object for each picture or frame, the CSV a row for each face. A picture without
a face is an object with an empty list `faces`, and a row whose `faces` is 0; one that could not be
read has the reason in `error`. Both grow as pictures are done; annotated pictures and videos get
their names when they are complete.
"""

import contextlib
import csv
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ldl_fer.config.command_line import unread
from ldl_fer.config.progress import tqdm
from ldl_fer.errors import InputError
from ldl_fer.files import check_place, check_replaceable, growing_file, whole_file
from ldl_fer.inference.predict.drawing import draw_predictions, verdict
from ldl_fer.inference.predict.face import FacePrediction
from ldl_fer.inference.predict.predictor import Predictor
from ldl_fer.inference.predict.records import PLACE, columns_of, record, rows
from ldl_fer.inference.predict.sources import Source, count_frames, frame_rate, frames
from ldl_fer.inference.predict.stream import Answer

_ENDINGS = (".jsonl", ".csv")
_MARKS = {".csv": ",".join(PLACE) + ",faces,face", ".jsonl": '{"file": '}  # of our own outputs
_FRAMES_UNLOOKED, _ROOM = 64, 2**20  # of a video; bytes that must be free
_PICTURES_KEPT = {".jpg", ".jpeg", ".png", ".webp"}  # endings that annotated pictures keep


def predict_sources(
    predictor: Predictor,
    sources: Sequence[Source],
    outputs: Sequence[str | Path] = (),
    drawing_folder: str | Path | None = None,
    *,
    every: int = 1,
    whole: bool = False,
    print_faces: bool = False,
    progress: bool = True,
) -> dict[str, int]:
    """Predicts all faces of pictures and videos and writes the files that were asked for.

    A picture that cannot be read is named on stderr, and goes into the outputs with the reason.

    Args:
      predictor: the model.
      sources: of `sources.find_sources`.
      outputs: files that end in .jsonl or .csv.
      drawing_folder: annotated pictures and videos go there; None: none are drawn.
      every: of a video, every n-th frame is looked at.
      whole: pictures are face crops, as for the predictor; for drawing.
      print_faces: whether each face is printed as a line; where nothing else is asked for, the
        work ends when nobody reads these.
      progress: whether to show a progress bar.

    Returns:
      Counts: `frames` (pictures and frames that were read), `faces`, `ambiguous`, `without_face`,
      `unreadable`.

    Raises:
      InputError: as `check_outputs`, an input would be replaced, or disk errors.
    """
    check_outputs(outputs, sources)
    targets = drawing_paths(sources, drawing_folder) if drawing_folder else {}
    counts = dict.fromkeys(("frames", "faces", "ambiguous", "without_face", "unreadable"), 0)
    with contextlib.ExitStack() as stack:
        takers = [
            stack.enter_context(
                json_lines(output)
                if Path(output).suffix == ".jsonl"
                else table(output, predictor.class_names)
            )
            for output in outputs
        ]
        if targets:
            takers.append(stack.enter_context(drawings(targets, whole, every)))
        answers = predictor.stream(frames(sources, every), keep_images=bool(targets))
        total = count_frames(sources, every)
        try:
            for answer in tqdm(answers, "pictures", total, unit="picture", disable=not progress):
                for take in takers:
                    take(answer)
                counts["unreadable" if answer.error else "frames"] += 1
                counts["faces"] += len(answer.faces)
                counts["ambiguous"] += sum(face.ambiguous for face in answer.faces)
                counts["without_face"] += not (answer.faces or answer.error)
                if answer.error:
                    tqdm.write(f"{answer.frame.source.path}: {answer.error}", sys.stderr)
                elif print_faces:
                    tqdm.write("\n".join(_lines(answer)))
                if unread() and not takers:
                    break
        except KeyboardInterrupt:
            if outputs:
                done = counts["frames"] + counts["unreadable"]
                named = ", ".join(map(str, outputs))
                tqdm.write(f"{named}: {done:,} of {total:,} pictures and frames", sys.stderr)
            raise
    return counts


def check_outputs(outputs: Sequence[str | Path], sources: Sequence[Source]) -> None:
    """Checks that outputs can be written, before time is spent on them.

    Raises:
      InputError: an ending is another than .jsonl or .csv, a file is an input, a folder, named
        twice, or there and not written by this command, or its folder cannot be written to.
    """
    inputs, taken = {source.path.resolve() for source in sources}, set()
    for output in map(Path, outputs):
        if output.suffix not in _ENDINGS:
            raise InputError(f"--output={output} must end in {' or '.join(_ENDINGS)}.")
        if output.resolve() in inputs:
            raise InputError(f"--output={output} is an input. Name another file.")
        if output.resolve() in taken:
            raise InputError(f"--output={output} is named twice. Leave one out.")
        taken.add(output.resolve())
        if output.is_dir():
            raise InputError(f"--output={output} is a folder. Name a file in it.")
        check_place(output, f"--output={output}")
        check_replaceable(output, _MARKS[output.suffix])


@contextlib.contextmanager
def json_lines(path: str | Path) -> Iterator[Callable[[Answer], None]]:
    """Yields a function that adds an answer to a file of JSON lines."""
    with growing_file(path) as append:
        yield lambda answer: append(json.dumps(record(answer), ensure_ascii=False) + "\n")


@contextlib.contextmanager
def table(path: str | Path, class_names: Sequence[str]) -> Iterator[Callable[[Answer], None]]:
    """Yields a function that adds an answer to a CSV."""
    columns = columns_of(class_names)
    header = dict(zip(columns, columns, strict=True))

    def add(cells: Sequence[dict]) -> None:
        lines = io.StringIO()
        writer = csv.DictWriter(lines, columns, extrasaction="ignore", lineterminator="\n")
        writer.writerows(cells)
        append(lines.getvalue())

    with growing_file(path) as append:
        add([header])
        yield lambda answer: add(rows(answer, class_names))


@contextlib.contextmanager
def drawings(targets: dict[Source, Path], whole: bool, every: int) -> Iterator:
    """Yields a function that draws an answer: to its target, or into its source's video.

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
            source = answer.frame.source
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
    """Names the annotated pictures and videos below the folder, each another.

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
    """Yields a function that adds a frame, RGB, to an MPEG-4 video; it is made to fit the first."""
    with whole_file(path) as partial:
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
        _check(writer.isOpened(), path)
        count = 0

        def write(image: np.ndarray) -> None:
            nonlocal count
            count += 1
            if count % _FRAMES_UNLOOKED == 1:  # OpenCV says nothing of a full disk
                _check(shutil.disk_usage(partial.parent).free > _ROOM, path)
            if image.shape[1::-1] != size:
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            writer.write(np.ascontiguousarray(image[..., ::-1]))

        try:
            yield write
        finally:
            writer.release()
        written = cv2.VideoCapture(str(partial))
        whole = written.get(cv2.CAP_PROP_FRAME_COUNT) == count
        written.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
        _check(whole and written.read()[0], path)


def _write_picture(path: Path, image: np.ndarray) -> None:
    _, content = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]))
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _lines(answer: Answer) -> list[str]:
    frame = answer.frame
    place = str(frame.source.path)
    if frame.number is not None:
        place += f" {frame.seconds:.2f} s"
    return [f"{place}: {_words(face)}" for face in answer.faces] or [f"{place}: no face"]


def _words(face: FacePrediction) -> str:
    first = sorted(face.distribution.items(), key=lambda item: item[1], reverse=True)[:3]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in first)
    x, y, width, height = (round(side) for side in face.box)
    words = f"{verdict(face)} ({shares}; entropy {face.entropy:.2f} nats"
    if face.valence is not None:
        words += f"; valence {face.valence:+.2f}, arousal {face.arousal:+.2f}"
    return f"{words}) at {x},{y} {width}x{height}"


def _check(written: bool, path: Path) -> None:
    if not written:
        raise InputError(f"cannot write {path}. Name another --draw folder, with free space.")
