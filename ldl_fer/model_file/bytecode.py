"""The Python code in Lambda layers: whether this Python can run it."""

import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ldl_fer.errors import InputError
from ldl_fer.model_file import code_object
from ldl_fer.model_file.keras_layers import nodes


def check_lambdas(descriptions: Iterable[Any], path: Path) -> None:
    """Has the code of every Lambda layer looked at, in a process of its own; it is not run.

    Args:
      descriptions: of `keras_layers.layer_descriptions`.
      path: what messages call the file.

    Raises:
      InputError: code of another Python.
    """
    codes = ["".join(text.split()) for part in descriptions for text in _compiled(part)]
    if codes and not run_here(codes):
        raise InputError(
            f"{path} has a Lambda layer whose code was compiled by another Python than this "
            f"{platform.python_version()}. Load it with the Python that saved it, and save the "
            "network without Lambda layers."
        )


def run_here(codes: Iterable[str]) -> bool:
    """Whether all marshalled code, each in base 64 on one line, is of this minor Python.

    Code of Python 3.8 to 3.10 cannot be told apart; nor can code so plain that it is the same in
    both versions.
    """
    command = [sys.executable, "-I", code_object.__file__]
    done = subprocess.run(command, input="\n".join(codes), text=True, capture_output=True)
    return done.returncode == 0


def _compiled(description: Any) -> Iterator[str]:
    for node in nodes(description):
        config = node.get("config")
        if not isinstance(config, dict):
            continue
        if node["class_name"] == "__lambda__":
            code = config.get("value")
        elif node["class_name"] == "Lambda" and config.get("function_type") == "lambda":
            code = config.get("function")
        else:
            continue
        if isinstance(code, dict):  # a tuple, as SavedModels and .h5 files describe it
            code = code.get("items")
        text = code[0] if isinstance(code, list) and code else code
        if isinstance(text, str):
            yield text
