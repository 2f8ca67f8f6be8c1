"""Reads the field's data sets as they are downloaded: `ldl-fer datasets`.

raf_db, affectnet, sfew, ferplus, fer2013, ck_plus, class_folders, expw, kdef, imagefolder, parquet
               a layout each
table_labels   from labels in a table to classes: imagefolder, parquet
vote_rules     from FER+'s votes to a label
source_files   files of a download
label_orders   orders of classes, and whether published counts fit another than the given one
reader         from the rows of a layout to a checked data set
data_set       the data set: annotations by split, written as CSV files
count_table    rows per class beside the published ones
"""

import importlib
from types import MappingProxyType
from typing import Any

# Modules, each with a READER of that name.
NAMES = (
    *("raf_db", "affectnet", "sfew", "ferplus", "fer2013", "ck_plus", "class_folders", "expw"),
    *("kdef", "imagefolder", "parquet"),
)


def __getattr__(name: str) -> Any:
    """Loads `READERS`, name -> `Reader`, when it is first used: --help does without pandas."""
    if name == "READERS":
        modules = {name: importlib.import_module(f"{__name__}.{name}") for name in NAMES}
        globals()[name] = MappingProxyType({n: m.READER for n, m in modules.items()})
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
