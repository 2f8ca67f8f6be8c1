"""Exports a trained network as SavedModel, TensorFlow Lite, ONNX or safetensors.

formats       what a format is; how an export is written, checked and kept
saved_model, tflite, onnx_file, safetensors_file   the formats
run_export    exports the network of a run
model_card    MODEL_CARD.md
command       `ldl-fer export`

Every export but safetensors, which is weights alone, takes RGB images of 0 to 255, uint8
[batch, H, W, 3], and answers probabilities, float32 [batch, C]. labels.txt (a class name a line)
and info.json lie in it, for a SavedModel in its folder assets.extra/; SHA256SUMS has the checksums
of all its files but the card.

A new format is a module like `onnx_file`, a line in `FORMATS` below, and one in the help of
`command`.
"""

import importlib
import os
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ldl_fer.errors import InputError

if TYPE_CHECKING:
    from ldl_fer.inference.export.formats import Format

COUNT = 200  # representative pictures, at most
FORMATS: Mapping[str, str] = MappingProxyType(
    {  # name in --format -> module here and its `Format`, loaded by `load_format`
        "saved_model": "saved_model.SAVED_MODEL",
        "tflite": "tflite.TFLITE",
        "tflite_int8": "tflite.TFLITE_INT8",
        "onnx": "onnx_file.ONNX",
        "safetensors": "safetensors_file.SAFETENSORS",
    }
)
_PLACES = {
    "Exported": "run_export",
    "export_formats": "run_export",
    "export_run": "run_export",
    "export_saved_model": "saved_model",
}
__all__ = ["FORMATS", "check_request", "load_format", *_PLACES]


def __getattr__(name: str) -> Any:
    """Loads a name that needs TensorFlow when it is first asked for."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_format(name: str) -> "Format":
    """Loads a format, and TensorFlow with it.

    Args:
      name: of `FORMATS`.
    """
    module, constant = FORMATS[name].split(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), constant)


def check_request(run_dir: str | os.PathLike, formats: Collection[str]) -> None:
    """Checks a request before TensorFlow is loaded.

    Raises:
      InputError: an unknown format, a folder that holds no run, or a run without weights.
    """
    from ldl_fer.training.run import Run

    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise InputError(
            f"--format={','.join(unknown)} is none of {', '.join(FORMATS)}. Name some of them."
        )
    Run(run_dir).check_weights("best")
