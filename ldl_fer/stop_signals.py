"""Signals that ask a training to stop, noted until it is where it can be gone on from."""

import signal
import sys
import threading
from types import FrameType

from ldl_fer.errors import Stopped

NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Within `with`, the first SIGTERM or ^C is only noted; a second one ends the work at once.

    Python gives signals to its main thread: elsewhere, nothing is noted and nothing is changed.

    Attributes:
      noted: number of the signal that came; None before.
    """

    def __init__(self, wanted: bool = True) -> None:
        """With `wanted` false, signals do what they do without this class."""
        self.noted: int | None = None
        self._wanted = wanted and threading.current_thread() is threading.main_thread()
        self._former: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        if self._wanted:
            self._former = {number: signal.signal(number, self._note) for number in NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.noted is not None:
            raise Stopped(number, " a second time; what was done since the last save is lost")
        self.noted = number
        print(
            "\nStopping after this step and saving; a second signal stops at once.",
            file=sys.stderr,
        )
