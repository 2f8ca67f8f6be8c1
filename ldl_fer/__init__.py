"""LDLVA: uncertainty-aware label distribution learning for facial expression recognition.

from typing import Any
from ldl_fer import Predictor
"""

import importlib
import os
from typing import Any

# TensorFlow's start-up notices would bury our own lines; set the variable to 0 to see them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What Pillow holds harmless (`pixels.check_size`), also for formats that OpenCV alone reads. OpenCV
# looks at this once, when it is loaded; its own limit is 1,073,741,824 pixels, up to 13 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "178956970")

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Predictor`, loaded when first asked for: `import ldl_fer` alone costs nothing."""
    if name == "Predictor":
        return importlib.import_module("ldl_fer.predictor").Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
