"""What is wrong with a data set, before a training finds out: `ldl-fer doctor`.

split           an annotation CSV as it is, broken rows included
pictures        every picture, looked at once
class_counts, label_order, plane, picture_checks, duplicates    the checks
examination     all of them
report          for people and for programs
"""

import importlib
from typing import Any

TINY = 32  # pixels, shorter side
CORRELATION = 0.95  # of near duplicates
_PLACES = {
    "examine": "examination",
    **dict.fromkeys(("DOUBTFUL", "FINE", "MISTAKE", "NOT_LOOKED_AT", "Finding", "Row"), "finding"),
    "MIN_SCORE": "picture_checks",
    **dict.fromkeys(("as_json", "as_text", "verdict", "write_report"), "report"),
    **dict.fromkeys(("Split", "read_split"), "split"),
}
__all__ = ["CORRELATION", "TINY", *_PLACES]


def __getattr__(name: str) -> Any:
    """Loads a check's packages when it is first asked for: --help needs none of them."""
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
