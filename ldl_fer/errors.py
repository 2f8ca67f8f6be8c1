"""The exceptions that end a command in words."""

import signal


class InputError(ValueError):
    """A mistake in files or flags; its text names the file, the row if there is one, and the cure.

    Command lines print the text without a traceback and exit with code 2.
    """


class Stopped(KeyboardInterrupt):
    """A signal asked for an end; the text says what was kept.

    Command lines print the text and exit with `exit_code`.
    """

    def __init__(self, number: int, text: str = "") -> None:
        """Takes the signal's number, and what to say beside its name."""
        self.number = signal.Signals(number)
        self.exit_code = 128 + self.number  # as shells and schedulers know it
        super().__init__(f"stopped by {self.number.name}{text}")
