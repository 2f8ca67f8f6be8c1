"""All faces of pictures and videos predicted, written, drawn, printed and counted."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from ldl_fer.errors import InputError
from ldl_fer.face_prediction import FacePrediction
from ldl_fer.footage import Source, count_shots, shots
from ldl_fer.prediction_drawing import verdict
from ldl_fer.prediction_files import drawing_paths, drawings, json_lines, table
from ldl_fer.predictor import Predictor
from ldl_fer.seen_pictures import Answer

_ENDINGS = (".jsonl", ".csv")


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
    """Predicts all faces of pictures and videos and writes what was asked for.

    What cannot be read is told on stderr and goes into the outputs with its reason.

    Args:
      predictor: the model.
      sources: of `footage.find_sources`.
      outputs: files that end in .jsonl or .csv; see `prediction_files`.
      drawing_folder: annotated pictures and videos go there; None: none are drawn.
      every: of a video, every n-th frame is looked at.
      whole: pictures are face crops, as the predictor was told; for drawing.
      print_faces: whether each face is printed as a line.
      progress: whether to show a progress bar.

    Returns:
      Counts: `shots` (pictures and frames that were read), `faces`, `ambiguous`, `without_face`,
      `unreadable`.

    Raises:
      InputError: as `check_outputs`, an input would be replaced, or disk errors.
    """
    check_outputs(outputs, sources)
    targets = drawing_paths(sources, drawing_folder) if drawing_folder else {}
    counts = dict.fromkeys(("shots", "faces", "ambiguous", "without_face", "unreadable"), 0)
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
        answers = predictor.stream(shots(sources, every), keep_images=bool(targets))
        total = count_shots(sources, every)
        for answer in tqdm(answers, "pictures", total, unit="picture", disable=not progress):
            for take in takers:
                take(answer)
            counts["unreadable" if answer.error else "shots"] += 1
            counts["faces"] += len(answer.faces)
            counts["ambiguous"] += sum(face.ambiguous for face in answer.faces)
            counts["without_face"] += not (answer.faces or answer.error)
            if answer.error:
                tqdm.write(f"{answer.shot.source.path}: {answer.error}", sys.stderr)
            elif print_faces:
                tqdm.write("\n".join(_lines(answer)))
    return counts


def check_outputs(outputs: Sequence[str | Path], sources: Sequence[Source]) -> None:
    """Whether outputs can be written, before time is spent on them.

    Raises:
      InputError: an ending is another than .jsonl or .csv, a file is an input, a folder or named
        twice, or its folder cannot be written to.
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
        folder = next(parent for parent in output.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise InputError(f"--output={output}: {folder} is no folder that can be written to.")


def _lines(answer: Answer) -> list[str]:
    shot = answer.shot
    place = str(shot.source.path)
    if shot.frame is not None:
        place += f" {shot.seconds:.2f} s"
    return [f"{place}: {_words(face)}" for face in answer.faces] or [f"{place}: no face"]


def _words(face: FacePrediction) -> str:
    first = sorted(face.distribution.items(), key=lambda item: item[1], reverse=True)[:3]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in first)
    x, y, width, height = (round(side) for side in face.box)
    words = f"{verdict(face)} ({shares}; entropy {face.entropy:.2f} nats"
    if face.valence is not None:
        words += f"; valence {face.valence:+.2f}, arousal {face.arousal:+.2f}"
    return f"{words}) at {x},{y} {width}x{height}"
