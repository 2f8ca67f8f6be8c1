"""From any picture to upright, centered faces: `ldl-fer faces`.

detector     where faces are: YuNet, or the cascade that OpenCV brings along
alignment    a face turned, scaled and cut out of its picture
picture      one picture of a data set
journal      several at once, so that an interrupted run can go on
data_set     all of them, with or without annotations
"""

import importlib
from typing import Any

TEMPLATE_SIZE = 112  # of an aligned face, pixels, as face recognition has it
WHICH = LARGEST, CENTRAL, ALL = ("largest", "central", "all")
ON_NO_FACE = SKIP, KEEP, FAIL = ("skip", "keep", "fail")
LONGEST_SIDE = 1280  # pixels that larger pictures are shrunk to for finding faces
MIN_SCORE = 0.6  # of YuNet's faces
FACES = DETECT, WHOLE = ("detect", "whole")  # found, or whole pictures that are faces already
_PLACES = {
    "aligned": "alignment",
    **dict.fromkeys(("Alignment", "align_data_set"), "data_set"),
    **dict.fromkeys(("Face", "FaceDetector"), "detector"),
}
__all__ = ["FACES", "ON_NO_FACE", "WHICH", *_PLACES]


def __getattr__(name: str) -> Any:
    """Loads OpenCV when it is first needed: --help does without."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
