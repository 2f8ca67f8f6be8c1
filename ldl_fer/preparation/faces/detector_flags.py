"""Flags of the commands that find faces, and the detector that they ask for."""

from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.errors import InputError
from ldl_fer.preparation.faces import LONGEST_SIDE, MIN_SCORE

if TYPE_CHECKING:
    from ldl_fer.preparation.faces.detector import FaceDetector


def define_detector_flags() -> None:
    """Defines --detector, --min_score and --longest_side."""
    flags.DEFINE_string(
        "detector", None, "YuNet's .onnx file, to find faces by. (default: OpenCV's cascade)"
    )
    flags.DEFINE_float(
        "min_score",
        None,
        f"Least score, in [0, 1], of YuNet's faces. (default: {MIN_SCORE})",
        0.0,
        1.0,
    )
    flags.DEFINE_integer(
        "longest_side",
        LONGEST_SIDE,
        "Pixels that larger pictures are shrunk to for finding faces. Faces that are then 40 "
        "pixels wide are still found; raise it for smaller ones. Time grows with its square.",
        224,
    )


def detector_of(model: str | None, min_score: float | None, longest_side: int) -> "FaceDetector":
    """Returns the detector that the flags describe.

    Raises:
      InputError: its file is no YuNet, or --min_score is given without one.
    """
    from ldl_fer.preparation.faces.detector import FaceDetector

    if min_score is not None and not model:
        raise InputError(
            "--min_score is of YuNet's faces, the cascade has no scores: give YuNet's file as "
            "--detector, or leave --min_score out."
        )
    return FaceDetector(model, MIN_SCORE if min_score is None else min_score, longest_side)
