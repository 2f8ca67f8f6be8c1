"""Exceptions that end a command with a sentence, and imports of packages that may be missing."""

import importlib
import signal
from types import ModuleType

INSTALL = "pip install -r requirements.txt -r requirements-extras.txt, in one call"


class InputError(ValueError):
    """A mistake in files or flags; its text names the file, the row if there is one, and the cure.

    Command lines print the text without a traceback and exit with code 2.
    """


class Stopped(KeyboardInterrupt):
    """The end that a signal asked for; the text says what was kept.

    Command lines print the text and exit with `exit_code`.
    """

    def __init__(self, number: int, text: str = "") -> None:
        """Takes the signal's number, and the text that follows its name."""
        self.number = signal.Signals(number)
        self.exit_code = 128 + self.number  # as shells and schedulers know it
        super().__init__(f"stopped by {self.number.name}{text}")


def extra_package(name: str, asker: str) -> ModuleType:
    """Imports a package of requirements-extras.txt.

    Args:
      name: such as "onnxruntime".
      asker: the thing that needs it, as a message calls it.

    Raises:
      InputError: it is not there, or does not go with the others; the text says what to install.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:  # the latter: onnx 1.19 with an old ml_dtypes
        raise InputError(
            f"{asker} needs the package {name}, which cannot be imported ({error}): {INSTALL}."
        ) from error
