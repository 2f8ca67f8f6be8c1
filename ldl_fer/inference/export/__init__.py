"""A trained network to hand on: SavedModel, TensorFlow Lite, ONNX; `ldl-fer export`.

Every export takes RGB images of 0 to 255, uint8 [batch, H, W, 3], and answers probabilities,
float32 [batch, C]. labels.txt (a class name a line) and info.json lie in it, for a SavedModel in
its folder assets.extra/; SHA256SUMS has the checksums of all its files but the card.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldl_fer.errors import InputError

COUNT = 200  # representative pictures, at most
FORMAT_NAMES = ("saved_model", "tflite", "tflite_int8", "onnx")
_PLACES = {
    "FORMATS": "run_export",
    "Exported": "run_export",
    "export_formats": "run_export",
    "export_run": "run_export",
    "export_saved_model": "saved_model",
}
__all__ = ["FORMAT_NAMES", "check_request", *_PLACES]


def __getattr__(name: str) -> Any:
    """Loads what needs TensorFlow when it is first asked for."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_request(run_dir: str | Path, formats: Iterable[str]) -> None:
    """Checks a request before TensorFlow is loaded.

    Raises:
      InputError: an unknown format, a folder that holds no run, or a run without weights.
    """
    from ldl_fer.training.run import Run

    unknown = [name for name in formats if name not in FORMAT_NAMES]
    if unknown or not formats:
        raise InputError(
            f"--format={','.join(unknown)} is none of {', '.join(FORMAT_NAMES)}. Name some of them."
        )
    Run(run_dir).check_weights("best")
