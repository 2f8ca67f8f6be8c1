"""Predicts label distributions of the faces in pictures and videos; says which are ambiguous.

    ldl-fer predict checkpoints/mine photo.jpg
    ldl-fer predict checkpoints/mine/saved_model holiday/ 'more/**/*.jpg' clip.mp4 \\
        --detector=yunet.onnx --output=faces.csv --output=faces.jsonl --draw=annotated
    ldl-fer predict checkpoints/mine data/images --faces=whole --output=faces.csv

The first argument is the model, a run folder or an export (ONNX starts soonest); the rest are
pictures, folders (with all below them), quoted globs and videos. --detector takes YuNet's .onnx
file from OpenCV's model zoo; without it, OpenCV's cascade finds frontal faces alone, and cannot
turn them upright. The training's pictures should be cut out as those here are: see
`ldl-fer faces`. Confidence is calibrated if
`ldl-fer temperature` was run on the run folder (before the export).

Exit code 1: something could not be read; it was named, and the rest was done.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.errors import InputError
from ldl_fer.inference.predict.predictor_flags import define_predictor_flags, predictor_of_flags
from ldl_fer.preparation.faces import WHOLE

UNREADABLE = 1


def run() -> None:
    """Starts `ldl-fer predict`."""
    command_line.start(main, _define_flags, __doc__, positional="the model and what to look at")


def _define_flags() -> None:
    with subject("in and out"):
        flags.DEFINE_string(
            "model",
            None,
            "Run folder, or exported SavedModel, safetensors or ONNX. (default: the first "
            "argument)",
        )
        flags.DEFINE_multi_string(
            "output",
            [],
            "File to write, ending in .jsonl (an object for each picture or frame) or .csv (a row "
            "for each face); may be given twice. (default: faces are printed)",
        )
        flags.DEFINE_string("draw", None, "Folder for annotated pictures and videos.")
        flags.DEFINE_integer("every", 1, "Of videos, look at every n-th frame.", lower_bound=1)
    define_predictor_flags()


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

    from ldl_fer.data.paths import check_files
    from ldl_fer.inference.predict.sources import find_sources, left_out_note

    check_files(given.affect)
    left_out: list[Path] = []
    sources = find_sources(inputs, left_out)
    if left_out:
        print(f"note: {left_out_note(left_out)}", file=sys.stderr)

    from ldl_fer.inference.predict.outputs import check_outputs, predict_sources

    check_outputs(given.output, sources)
    predictor, detector = predictor_of_flags(given, given.model or model[0])
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
        f"{counts['faces']:,} faces ({counts['ambiguous']:,} ambiguous) in {counts['frames']:,} "
        f"pictures and frames, {counts['without_face']:,} of them without a face; "
        f"{counts['unreadable']:,} could not be read. Temperature {predictor.temperature:.3f}."
    )
    if detector and counts["without_face"]:
        print(f"note: no face in some pictures. {detector.advice}", file=sys.stderr)
    for written in [*given.output, *([given.draw] if given.draw else [])]:
        print(written)
    return UNREADABLE if counts["unreadable"] else 0
