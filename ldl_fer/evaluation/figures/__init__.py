"""The paper's Figures 3 to 6 from a run: `ldl-fer figures`.

constructed      Figures 3 and 4: distributions of training faces, and their neighbors
predictions      Figure 5: test faces
by_uncertainty   Figure 6: where lambda is high
faces            which faces are shown, and their captions
run_figures      all of them
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """`draw_figures`, loaded when first asked for: --help needs no TensorFlow."""
    if name == "draw_figures":
        return importlib.import_module("ldl_fer.evaluation.figures.figures").draw_figures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
