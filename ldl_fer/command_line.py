"""Starts a command: parses flags, turns a user's mistake into a sentence and an exit code."""

import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType

from absl import app, flags, logging

from ldl_fer.errors import InputError, Stopped
from ldl_fer.told_paths import expanded

USER_MISTAKE = 2
INTERRUPTED = 130
_MISSING = re.compile(  # absl's words
    r"flag --(\w+)=None: Flag --\1 must have a value other than None\."
)


def start(main: Callable[..., int | None], positional: str = "") -> None:
    """Parses the command line, calls `main()` and exits with what it returns (None: 0).

    Args:
      main: the command. `InputError`, ^C and SIGTERM end the process without a traceback.
      positional: what the arguments without a flag are, for a command that takes any; they are
        passed to `main` as a list. Empty: there are none, and one is refused.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS([expanded(word) for word in argv])
        except flags.Error as error:
            _complain(f"{_MISSING.sub(_missing, str(error))}\nSee --help.")
            sys.exit(USER_MISTAKE)
        except SystemExit:  # absl ends by 1 when it has printed what --help asks for
            sys.exit(0)

    def guarded(argv: list[str]) -> int | None:
        if argv[1:] and not positional:
            _complain(f"unexpected argument {argv[1]!r}; flags start with --. See --help.")
            return USER_MISTAKE
        try:
            return main(*([argv[1:]] if positional else []))
        except InputError as error:
            _complain(str(error))
            return USER_MISTAKE
        except Stopped as stop:
            _complain(str(stop))
            return stop.exit_code
        except KeyboardInterrupt:
            _complain("interrupted")
            return INTERRUPTED

    signal.signal(signal.SIGTERM, _stop)
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of its inner life through absl.
    try:
        try:
            app.run(guarded, flags_parser=parse)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who read the output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _missing(flag: re.Match[str]) -> str:
    meaning, _, _ = flags.FLAGS[flag[1]].help.removesuffix(".").partition(". ")
    return f"--{flag[1]} is missing: {meaning}."


def _complain(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
