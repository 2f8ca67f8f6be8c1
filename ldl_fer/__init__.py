"""LDLVA: uncertainty-aware label distribution learning for facial expression recognition.

from ldl_fer import Config, Predictor, audit, evaluate, export, train

config = Config.preset("small", train_data_path="train.csv", train_image_dir="images")
run = train(config)                              # run.log, run.samples: tables; run.figure()
result = evaluate(run, "test.csv", "images")     # result.metrics, result.table; result.figure()
doubts = audit(run)                              # doubts.table; doubts.figure()
faces = Predictor(run).predict(["photo.jpg"])    # a table, a row per face
exports = export(run, ["onnx", "safetensors"])   # exports.table

docs/tour.ipynb shows them at work.
"""

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

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


# Loaded when first asked for: `import ldl_fer` alone costs nothing. Name here -> its module, name.
_LAZY = {
    "Config": ("config", "Config"),
    "PRESETS": ("config.presets", "PRESETS"),
    "InputError": ("errors", "InputError"),
    "draw_faces": ("preparation.drawn_faces.data_set", "draw_faces"),
    "train": ("training.train", "train"),
    "Run": ("training.run", "Run"),
    "evaluate": ("evaluation.evaluate", "evaluate_run"),
    "audit": ("evaluation.audit.audit", "audit"),
    "paper_figures": ("evaluation.figures.figures", "paper_figures"),
    "export": ("inference.export.run_export", "export_formats"),
    "Predictor": ("inference.predict.predictor", "Predictor"),
}

if TYPE_CHECKING:
    from ldl_fer import equations
    from ldl_fer.config import Config
    from ldl_fer.config.presets import PRESETS
    from ldl_fer.errors import InputError
    from ldl_fer.evaluation.audit.audit import audit
    from ldl_fer.evaluation.evaluate import evaluate_run as evaluate
    from ldl_fer.evaluation.figures.figures import paper_figures
    from ldl_fer.inference.export.run_export import export_formats as export
    from ldl_fer.inference.predict.predictor import Predictor
    from ldl_fer.preparation.drawn_faces.data_set import draw_faces
    from ldl_fer.training.run import Run
    from ldl_fer.training.train import train

__all__ = [
    "Config",
    "InputError",
    "PRESETS",
    "Predictor",
    "Run",
    "audit",
    "draw_faces",
    "equations",
    "evaluate",
    "export",
    "paper_figures",
    "train",
]


def __getattr__(name: str) -> Any:
    """Returns one of the names of `_LAZY`."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
