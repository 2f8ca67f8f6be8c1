"""Starts a command: parses flags, turns a user's mistake into a sentence and an exit code."""

import contextlib
import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from ldl_fer.config.progress import MODES, shown_as
from ldl_fer.errors import InputError, Stopped
from ldl_fer.files import check_place, check_utf8, full_disk, with_home

USER_MISTAKE = 2
INTERRUPTED = 130
HELP = ("--help", "-h", "-?", "--helpshort", "--helpfull")
# Flags that name what a command writes: a file, or a folder.
OUTPUTS = ("output", "output_dir", "records_dir", "draw", "runs_dir", "results_dir")
OUTPUTS += ("data_dir", "checkpoints_dir")
_OPERATION = re.compile(r"\{\{.*?\}\} ")  # in errors of TensorFlow
_MISSING = re.compile(  # absl's words
    r"flag --(\w+)=None: Flag --\1 must have a value other than None\."
)


def start(
    main: Callable[..., int | None],
    define_flags: Callable[[], None],
    text: str,
    positional: str = "",
    closing: Callable[[], str] | None = None,
) -> None:
    """Parses sys.argv, calls `main()` and exits with what it returns (None: 0).

    Args:
      main: the command. `InputError`, ^C, SIGTERM and SIGHUP end the process without a traceback.
        It goes on where nobody reads its output any more, see `unread`.
      define_flags: defines the command's absl flags.
      text: of --help, before the flags.
      positional: what the arguments without a flag are, for a command that takes any; they are
        passed to `main` as a list. Empty: there are none, and one is refused.
      closing: makes the text of --help after the flags; None: there is none.
    """
    from absl import flags

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS([with_home(word) for word in argv])
        except flags.Error as error:
            fail(f"{_MISSING.sub(_missing, str(error))}\nSee --help.")
        except SystemExit:  # absl ends by 1 when it has printed what --helpxml asks for
            sys.exit(0)

    def guarded(argv: list[str]) -> int | None:
        if argv[1:] and not positional:
            fail(f"unexpected argument {argv[1]!r}; flags start with --. See --help.")
        try:
            _check_outputs()
            with shown_as(flags.FLAGS.progress):
                return main(*([argv[1:]] if positional else []))
        except InputError as error:
            fail(str(error))
        except Stopped as stop:
            fail(str(stop), stop.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", INTERRUPTED)
        except Exception as error:
            if not full_disk(error):
                raise
            words = _OPERATION.sub("", str(error)).partition(" [Op:")[0]
            fail(f"{words}. Make room, and run the command again.")

    _use_utf8()
    others = set(flags.FLAGS)
    define_flags()
    define_progress()
    if wants_help(sys.argv[1:]):
        from ldl_fer.config.help import help_text

        own = [name for name in flags.FLAGS if name not in others]
        with readers_may_leave():
            print(help_text(text, own, closing() if closing else ""))
        sys.exit()
    from absl import app, logging  # flags of theirs are none of the command's

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _stop)
    logging.set_verbosity(logging.WARNING)  # TensorFlow logs through absl.
    with _streams_that_may_end():
        app.run(guarded, flags_parser=parse)


def define_progress() -> None:
    """Defines --progress, which every command has."""
    from absl import flags

    flags.DEFINE_enum(
        "progress", MODES[0], MODES, "Bars, lines every 30 s, none; auto: bars on a terminal."
    )


def wants_help(words: list[str]) -> bool:
    """Returns whether one of the words asks for help; words behind -- ask for nothing."""
    return any(word in HELP for word in itertools.takewhile(lambda word: word != "--", words))


@contextlib.contextmanager
def readers_may_leave() -> Iterator[None]:
    """Ends the process by 1, without a traceback, where who read the output has gone."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # as by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def unread() -> bool:
    """Returns whether standard output has been lost: nobody reads it any more, or a full disk."""
    return isinstance(sys.stdout, _Stream) and sys.stdout.lost


class _Stream:
    """A standard stream: once it cannot be written, the rest of the output is dropped.

    Characters that its encoding lacks are written as \\u....

    Attributes:
      lost: whether that has happened.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self.lost = stream, False
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except OSError as error:  # as by `| head`, a closed terminal, a full disk
            self.lost = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if self is sys.stdout:
                print(
                    f"note: standard output is lost ({error.strerror}); the work goes on "
                    "without it.",
                    file=sys.stderr,
                )


def _use_utf8() -> None:
    """Starts the command anew where Python has another encoding for names of files.

    TensorFlow and OpenCV take UTF-8 for them in any locale: one name would be two folders. What is
    printed stays in the locale's encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    printed = getattr(sys.stdout, "encoding", "utf-8")
    environment = {"PYTHONIOENCODING": printed} | os.environ | {"PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


@contextlib.contextmanager
def _streams_that_may_end() -> Iterator[None]:
    """Has standard output and errors outlive their readers, or be none from the start."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else a file would get that number, and what C++ prints
            os.open(os.devnull, os.O_RDWR)
    former = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        sys.stdout, sys.stderr = (_Stream(stream or nowhere) for stream in former)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = former


def fail(text: str, code: int = USER_MISTAKE) -> NoReturn:
    """Ends the process with a sentence on standard error and an exit code."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def _check_outputs() -> None:
    """Raises InputError where an output that was named cannot be made: before the work."""
    from absl import flags

    if "run_dir" in flags.FLAGS:
        check_utf8(flags.FLAGS.run_dir or "", "--run_dir")
    for name in OUTPUTS:
        if name not in flags.FLAGS or not flags.FLAGS[name].present:
            continue
        given = flags.FLAGS[name].value or ()
        for path in map(Path, [given] if isinstance(given, str) else given):
            check_utf8(path, f"--{name}={ascii(str(path))}")
            check_place(path, f"--{name}={path}")
            if name != "output" and os.path.exists(path):
                check_place(path / "new", f"--{name}={path}")
            elif path.suffix and os.path.isdir(path):
                raise InputError(f"--{name}={path} is a folder. Name a file in it.")


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _missing(flag: re.Match[str]) -> str:
    from absl import flags

    meaning, _, _ = flags.FLAGS[flag[1]].help.removesuffix(".").partition(". ")
    return f"--{flag[1]} is missing: {meaning}."
