"""Flags of the commands that predict faces, and the predictor that they ask for."""

from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config.help import subject
from ldl_fer.errors import InputError
from ldl_fer.inference.predict.face import BATCH_SIZE, MARGIN, MIN_CONFIDENCE
from ldl_fer.preparation.faces import DETECT, FACES, WHOLE
from ldl_fer.preparation.faces.detector_flags import define_detector_flags, detector_of

if TYPE_CHECKING:
    from ldl_fer.inference.predict.predictor import Predictor
    from ldl_fer.preparation.faces.detector import FaceDetector


def define_predictor_flags() -> None:
    """Defines --faces, --detector, --margin and the others that `predictor_of_flags` reads."""
    with subject("faces"):
        flags.DEFINE_enum(
            "faces", DETECT, FACES, "Find faces, or take whole pictures as the faces they are."
        )
        define_detector_flags()
        flags.DEFINE_bool(
            "gray", False, "Make faces gray for the network; for one trained on gray pictures."
        )
        flags.DEFINE_integer(
            "batch_size", BATCH_SIZE, "Faces that pass through the network together.", 1
        )
    with subject("verdict"):
        flags.DEFINE_string("affect", None, "Model of valence and arousal, see ldl-fer affect.")
        flags.DEFINE_float(
            "margin",
            MARGIN,
            "A face is ambiguous if its two leading classes differ by less than this probability. "
            "0: never for that.",
        )
        flags.DEFINE_float(
            "min_confidence",
            MIN_CONFIDENCE,
            "Or if the leading one's calibrated probability is below this. 0: never for that.",
        )
        flags.DEFINE_float(
            "temperature",
            None,
            "T of softmax(logits / T); 1 leaves the network's own confidence. (default: what "
            "ldl-fer temperature fitted for the model)",
        )


def predictor_of_flags(
    given: flags.FlagValues, model: str
) -> "tuple[Predictor, FaceDetector | None]":
    """Returns the predictor that the command line asks for, and its detector.

    Args:
      given: the flags of `define_predictor_flags`.
      model: run folder, or exported SavedModel, safetensors or ONNX.

    Raises:
      InputError: flags contradict each other, or as `Predictor`.
    """
    from ldl_fer.inference.predict.predictor import Predictor

    whole = given.faces == WHOLE
    unread = [f"--{name}" for name in ("min_score", "longest_side") if given[name].present]
    if whole and unread:
        raise InputError(f"--faces=whole looks for no faces: leave out {' and '.join(unread)}.")
    detector = None if whole else detector_of(given.detector, given.min_score, given.longest_side)
    return Predictor(
        model,
        given.detector if whole else detector,
        faces=given.faces,
        affect=given.affect,
        temperature=given.temperature,
        margin=given.margin,
        min_confidence=given.min_confidence,
        gray=given.gray,
        batch_size=given.batch_size,
    ), detector
