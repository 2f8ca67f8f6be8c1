"""LDLVA: uncertainty-aware label distribution learning for facial expression recognition.

from ldl_fer import Config, PRESETS, Predictor, equations, evaluate, train
"""

import importlib
import importlib.util
import os
import sys
from typing import Any

# TensorFlow's start-up notices would bury our own lines; set the variable to 0 to see them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The number of pixels that Pillow holds harmless (`ldl_fer.data.pictures`), also for formats that
# OpenCV alone reads. OpenCV looks at this once, when it is loaded; its own limit is 1,073,741,824
# pixels, up to 13 GB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "178956970")

# Keras 2: TensorFlow's own up to 2.15, later tf-keras, which TensorFlow takes at this word.
if importlib.util.find_spec("tf_keras"):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
if "tensorflow" in sys.modules and hasattr(sys.modules["tensorflow"].keras, "ops"):
    raise ImportError(
        "ldl_fer needs Keras 2, but tensorflow has already loaded Keras 3. Import ldl_fer before "
        "tensorflow, or set the environment variable TF_USE_LEGACY_KERAS=1; without the package "
        "tf-keras, install it first."
    )

__version__ = "0.1.0"


# Loaded when first asked for: `import ldl_fer` alone costs nothing.
_LAZY = {
    "Config": "ldl_fer.config",
    "PRESETS": "ldl_fer.config.presets",
    "Predictor": "ldl_fer.inference.predict.predictor",
    "train": "ldl_fer.training.train",
    "evaluate": "ldl_fer.evaluation.evaluate",
}


def __getattr__(name: str) -> Any:
    """Returns one of the names of `_LAZY`."""
    if name in _LAZY:
        module = importlib.import_module(_LAZY[name])
        return getattr(module, {"evaluate": "evaluate_run"}.get(name, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
