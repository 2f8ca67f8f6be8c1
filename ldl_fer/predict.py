"""Label distributions of the faces in your pictures and videos, and which of them are ambiguous.

    python -m ldl_fer.predict checkpoints/mine photo.jpg
    python -m ldl_fer.predict checkpoints/mine/saved_model holiday/ 'more/**/*.jpg' clip.mp4 \\
        --detector=yunet.onnx --output=faces.csv --output=faces.jsonl --draw=annotated
    python -m ldl_fer.predict checkpoints/mine data/images --faces=whole --output=faces.csv

The first argument is the model, a run folder or an export; the rest are pictures, folders (with all
below them), quoted globs and videos. --detector takes YuNet's .onnx file from OpenCV's model zoo;
without it, OpenCV's cascade finds frontal faces alone, and cannot turn them upright. The training's
pictures should be cut out as those here are: see python -m ldl_fer.faces. Confidence is calibrated
if python -m ldl_fer.temperature was run on the run folder (before the export).

Exit code 1: something could not be read; it was told, and the rest was done.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from tqdm import tqdm

from ldl_fer import command_line
from ldl_fer.errors import InputError
from ldl_fer.face_prediction import MARGIN, MIN_CONFIDENCE, FacePrediction
from ldl_fer.footage import Source, count_shots, find_sources, shots
from ldl_fer.prediction_drawing import verdict
from ldl_fer.prediction_files import drawing_paths, drawings, json_lines, table
from ldl_fer.predictor import BATCH_SIZE, DETECT, FACES, WHOLE, Predictor
from ldl_fer.seen_pictures import Answer

UNREADABLE = 1
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
      InputError: an output's ending is another, an input would be replaced, or disk errors.
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
      InputError: an ending is another than .jsonl or .csv, a file is an input or a folder, or its
        folder cannot be written to.
    """
    inputs = {source.path.resolve() for source in sources}
    for output in map(Path, outputs):
        if output.suffix not in _ENDINGS:
            raise InputError(f"--output={output} must end in {' or '.join(_ENDINGS)}.")
        if output.resolve() in inputs:
            raise InputError(f"--output={output} is an input. Name another file.")
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


def _define_flags() -> None:
    flags.DEFINE_string(
        "model", None, "Run folder or exported SavedModel. (default: the first argument)"
    )
    flags.DEFINE_multi_string(
        "output", [], "File to write, ending in .jsonl (an object for each picture or frame) or "
        ".csv (a row for each face); may be given twice. (default: faces are printed)"
    )  # fmt: skip
    flags.DEFINE_string("draw", None, "Folder for annotated pictures and videos.")
    flags.DEFINE_enum(
        "faces", DETECT, list(FACES), "Find faces, or take whole pictures as the faces they are."
    )
    flags.DEFINE_string(
        "detector", None, "YuNet's .onnx file, to find faces by. (default: OpenCV's cascade)"
    )
    flags.DEFINE_string(
        "affect", None, "Model that tells valence and arousal, see python -m ldl_fer.affect."
    )
    flags.DEFINE_float(
        "margin", MARGIN, "A face is ambiguous if its two leading classes differ by less than this "
        "probability. 0: never for that."
    )  # fmt: skip
    flags.DEFINE_float(
        "min_confidence", MIN_CONFIDENCE, "Or if the leading one's calibrated probability is below "
        "this. 0: never for that."
    )  # fmt: skip
    flags.DEFINE_float(
        "temperature", None, "T of softmax(logits / T); 1 leaves the network's own confidence. "
        "(default: what python -m ldl_fer.temperature fitted for the model)"
    )  # fmt: skip
    flags.DEFINE_bool(
        "gray", False, "Make faces gray for the network; for one trained on gray pictures."
    )
    flags.DEFINE_integer("every", 1, "Of videos, look at every n-th frame.", lower_bound=1)
    flags.DEFINE_integer(
        "batch_size", BATCH_SIZE, "Faces that pass through the network together.", lower_bound=1
    )


def main(arguments: Sequence[str]) -> int:
    given = flags.FLAGS
    model, inputs = (given.model, arguments) if given.model else (arguments[:1], arguments[1:])
    if not model or not inputs:
        raise InputError("say a model and at least one picture, folder, glob or video. See --help.")
    for folder in filter(Path.is_dir, map(Path, inputs)):
        if given.draw and Path(given.draw).resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"--draw={given.draw} lies in the input {folder}: the next call would take its "
                "pictures for inputs. Name a folder elsewhere."
            )
    sources = find_sources(inputs)
    check_outputs(given.output, sources)
    predictor = Predictor(
        given.model or model[0],
        given.detector,
        faces=given.faces,
        affect=given.affect,
        temperature=given.temperature,
        margin=given.margin,
        min_confidence=given.min_confidence,
        gray=given.gray,
        batch_size=given.batch_size,
    )
    for note in predictor.notes:
        print(f"note: {note}", file=sys.stderr)
    counts = predict_sources(
        predictor,
        sources,
        given.output,
        given.draw,
        every=given.every,
        whole=given.faces == WHOLE,
        print_faces=not given.output,
    )
    print(
        f"{counts['faces']:,} faces ({counts['ambiguous']:,} ambiguous) in {counts['shots']:,} "
        f"pictures and frames, {counts['without_face']:,} of them without a face; "
        f"{counts['unreadable']:,} could not be read. Temperature {predictor.temperature:.3f}."
    )
    for written in [*given.output, *([given.draw] if given.draw else [])]:
        print(written)
    return UNREADABLE if counts["unreadable"] else 0


if __name__ == "__main__":
    _define_flags()
    command_line.start(main, positional="the model and what to look at")
