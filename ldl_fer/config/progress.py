"""The progress bar of all commands: a bar on a terminal, lines in a log, or nothing.

A bar redraws itself by control characters, which fill a log. There it becomes a line each half
minute and one at the end: `evaluation: 40 of 96 batch (41%), 00:30, 00:42 left`.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that its form for notebooks may change
    from tqdm.autonotebook import tqdm as _Tqdm
from tqdm.std import tqdm as _OfTerminals

MODES = ("auto", "bar", "lines", "none")
_SECONDS = 30.0  # between two lines
_mode = MODES[0]


@contextlib.contextmanager
def shown_as(mode: str) -> Iterator[None]:
    """Shows progress within the block as "bar", "lines", "none", or "auto": as the output takes it.

    Raises:
      ValueError: another mode.
    """
    global _mode
    if mode not in MODES:
        raise ValueError(f"progress is shown as {', '.join(MODES)}, not {mode}")
    former, _mode = _mode, mode
    try:
        yield
    finally:
        _mode = former


def hidden() -> bool:
    """Returns whether no progress is to be shown."""
    return _mode == "none"


class tqdm(_Tqdm):  # noqa: N801, as the class that it takes the place of
    """tqdm's bar, shown as `shown_as` says."""

    _time: Any  # tqdm's own
    _decr_instances: Any

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Takes what tqdm takes."""
        file = settings.get("file") or sys.stderr
        self._lines = _mode == "lines" or (_mode == "auto" and not _takes_bars(file))
        self._line_at: float | None = None  # when a line was written
        self._line_of: float = -1  # at which count
        if hidden():
            settings["disable"] = True
        if self._lines:
            settings["bar_format"] = None
        super().__init__(*args, **settings)

    def display(self, *args: Any, **settings: Any) -> Any:
        if not self._lines:
            return super().display(*args, **settings)
        now = self._time()
        if self._line_at is None:
            self._line_at = now
        elif now - self._line_at >= _SECONDS:
            self._write_line()
            self._line_at = now
        return True

    def clear(self, *args: Any, **settings: Any) -> None:
        if not self._lines:
            super().clear(*args, **settings)

    def close(self) -> None:
        if self.disable or not self._lines:
            super().close()
            return
        self.disable = True
        self._decr_instances(self)
        passed = self._time() - self.start_t
        if passed >= self.delay and self.n != self._line_of:
            self._write_line()

    def _write_line(self) -> None:
        facts = self.format_dict
        count, total, elapsed = facts["n"], facts["total"], facts["elapsed"]
        text = f"{count:,}{f' of {total:,}' if total else ''} {facts['unit'].strip()}"
        if total:
            text += f" ({count / total:.0%})"
        text += f", {self.format_interval(elapsed)}"
        done = count - facts["initial"]
        if total and done > 0 and count < total:
            text += f", {self.format_interval(elapsed * (total - count) / done)} left"
        named = (self.desc or "").removesuffix(": ")
        self.fp.write(f"{named}: {text}\n" if named else f"{text}\n")
        self.fp.flush()
        self._line_of = self.n


def _takes_bars(file: Any) -> bool:
    """Returns whether a bar can be drawn: on a terminal, or in a notebook."""
    return _Tqdm is not _OfTerminals or bool(getattr(file, "isatty", lambda: False)())
