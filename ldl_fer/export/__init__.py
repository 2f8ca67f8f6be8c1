"""A trained network to hand on: SavedModel, TensorFlow Lite, ONNX; `python -m ldl_fer.export`.

saved_model, tflite, onnx_file    the formats
export_format    what a format is, and how all of them are written: whole, or not at all
quantizable      a network rearranged for 8 bits
check            an export beside its network
representative   real pictures, to compare on and to calibrate by
model_card       the page that goes with each
run_export       all of it, for a run

Every export takes RGB images of 0 to 255, uint8 [batch, H, W, 3], and answers probabilities,
float32 [batch, C]. labels.txt (a class name a line) and info.json lie in it, for a SavedModel in
its folder assets.extra/.
"""

from ldl_fer.export.run_export import FORMATS, Exported, export_formats, export_run
from ldl_fer.export.saved_model import TOLERANCE, export_saved_model

__all__ = [
    "FORMATS",
    "TOLERANCE",
    "Exported",
    "export_formats",
    "export_run",
    "export_saved_model",
]
