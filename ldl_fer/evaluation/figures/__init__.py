"""Draws the paper's Figures 3 to 6 from a run.

figures   chooses faces and numbers; `ldl_fer.plots` draws them
command   `ldl-fer figures`
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Loads `draw_figures` when it is first asked for: --help needs no TensorFlow."""
    if name == "draw_figures":
        return importlib.import_module("ldl_fer.evaluation.figures.figures").draw_figures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
