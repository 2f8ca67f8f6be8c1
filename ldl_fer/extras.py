"""Packages that only some commands need, of requirements-extras.txt."""

import importlib
from types import ModuleType

from ldl_fer.errors import InputError

INSTALL = "pip install -r requirements.txt -r requirements-extras.txt, in one call"


def extra_package(name: str, asker: str) -> ModuleType:
    """The package, imported.

    Args:
      name: such as "onnxruntime".
      asker: what needs it, as a message calls it.

    Raises:
      InputError: it is not there, or does not go with the others; the text says what to install.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:  # the latter: onnx 1.19 with an old ml_dtypes
        raise InputError(
            f"{asker} needs the package {name}, which cannot be imported ({error}): {INSTALL}."
        ) from error
