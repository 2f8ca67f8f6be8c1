"""Readers of the field's data sets, a small file for each layout."""

import importlib
from types import MappingProxyType
from typing import Any

# The modules, each of which has a READER of its own name.
NAMES = ("raf_db", "affectnet", "sfew", "ferplus", "fer2013", "ck_plus", "class_folders")


def __getattr__(name: str) -> Any:
    """`READERS`, name -> `Reader`, loaded when first asked for: --help does without pandas."""
    if name == "READERS":
        modules = {name: importlib.import_module(f"{__name__}.{name}") for name in NAMES}
        globals()[name] = MappingProxyType({n: m.READER for n, m in modules.items()})
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
