"""Uncertainty-aware label distribution learning for facial expression recognition (LDLVA).

`ldl-fer COMMAND ...`, or `python -m ldl_fer COMMAND ...`
"""

import importlib
import sys

from ldl_fer import __version__
from ldl_fer.config import command_line

# A user's aim -> command -> (its module, which has `run`; a line for --help).
GROUPS = {
    "Prepare data": {
        "datasets": (
            "ldl_fer.preparation.datasets.command",
            "Writes the CSV of RAF-DB, AffectNet, FER+, class folders, imagefolder and others.",
        ),
        "faces": (
            "ldl_fer.preparation.faces.command",
            "Finds, turns upright and cuts out the faces of a data set or a folder.",
        ),
        "affect": (
            "ldl_fer.preparation.affect.command",
            "Fills in valence and arousal: affect predict, affect train, affect prototypes.",
        ),
        "landmarks": (
            "ldl_fer.preparation.landmarks.command",
            "Finds 468 points of each face, or takes the data set's own; beside the CSV.",
        ),
        "neighbors": (
            "ldl_fer.data.neighbors_command",
            "Adds the K nearest neighbors in the valence-arousal plane to a CSV.",
        ),
        "records": (
            "ldl_fer.data.records_command",
            "Makes TFRecord shards, once for several machines.",
        ),
    },
    "Check data": {
        "doctor": (
            "ldl_fer.preparation.doctor.command",
            "Says whether a data set is sound, with rows and cure.",
        ),
    },
    "Train and evaluate": {
        "train": (
            "ldl_fer.training.command",
            "Trains LDLVA, or another --method, on annotated faces.",
        ),
        "evaluate": (
            "ldl_fer.evaluation.command",
            "Evaluates the network of a run on annotated faces.",
        ),
        "temperature": (
            "ldl_fer.evaluation.temperature_command",
            "Fits the temperature that makes a network's confidence mean what it says.",
        ),
    },
    "Use a network": {
        "predict": (
            "ldl_fer.inference.predict.command",
            "Writes label distributions of the faces in pictures and videos.",
        ),
        "serve": (
            "ldl_fer.inference.serve.command",
            "Opens a page on this machine for photos and the camera, and /predict for programs.",
        ),
        "export": (
            "ldl_fer.inference.export.command",
            "Writes the network as SavedModel, TFLite, ONNX or safetensors, with a model card.",
        ),
    },
    "Find wrong labels": {
        "audit": (
            "ldl_fer.evaluation.audit.command",
            "Writes a page of the training pictures, the most suspicious labels first.",
        ),
    },
    "Reproduce the paper": {
        "demo": (
            "ldl_fer.demo",
            "Trains cross-entropy and LDLVA on drawn faces with wrong labels; needs no data.",
        ),
        "experiments": (
            "ldl_fer.experiments.command",
            "Makes the paper's tables, on your data.",
        ),
        "figures": (
            "ldl_fer.evaluation.figures.command",
            "Draws the paper's Figures 3 to 6, from a run.",
        ),
        "noise": (
            "ldl_fer.preparation.noise.command",
            "Makes labels wrong on purpose, and records how.",
        ),
        "drawn_faces": (
            "ldl_fer.preparation.drawn_faces.command",
            "Draws the embedded data set, whose true label distributions are known.",
        ),
    },
}
COMMANDS = {name: module for group in GROUPS.values() for name, (module, _) in group.items()}


def main() -> None:
    """Starts the command that the first argument names, or lists all commands."""
    words = sys.argv[1:]
    if not words or words[0] in command_line.HELP:
        with command_line.readers_may_leave():
            print(_overview())
    elif words[0] == "--version":
        print(f"ldl-fer {__version__}")
    elif words[0] in COMMANDS:
        sys.argv[:2] = [f"ldl-fer {words[0]}"]  # as if the command was a program of its own
        importlib.import_module(COMMANDS[words[0]]).run()
    else:
        command_line.fail(_unknown(words[0]))


def _overview() -> str:
    parts = [f"{__doc__.splitlines()[0]}\n\n  ldl-fer COMMAND --help    lists a command's flags"]
    for title, commands in GROUPS.items():
        lines = (f"  {name:<12} {text}" for name, (_, text) in commands.items())
        parts.append("\n".join([title, *lines]))
    return "\n\n".join(parts)


def _unknown(word: str) -> str:
    import difflib

    if word.startswith("-"):
        return f"a command comes before its flags, as {word}. See ldl-fer --help."
    near = difflib.get_close_matches(word, COMMANDS, 1, 0.5)
    meant = f"; did you mean {near[0]}?" if near else "."
    return f"there is no command {word!r}{meant} See ldl-fer --help."


if __name__ == "__main__":
    main()
