"""Starts a command: parses flags, turns a user's mistake into a sentence and an exit code."""

import contextlib
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from ldl_fer.errors import InputError, Stopped
from ldl_fer.files import with_home

USER_MISTAKE = 2
INTERRUPTED = 130
HELP = ("--help", "-h", "-?", "--helpshort", "--helpfull")
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
      main: the command. `InputError`, ^C and SIGTERM end the process without a traceback.
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
            return main(*([argv[1:]] if positional else []))
        except InputError as error:
            fail(str(error))
        except Stopped as stop:
            fail(str(stop), stop.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", INTERRUPTED)

    others = set(flags.FLAGS)
    define_flags()
    with readers_may_leave():
        if wants_help(sys.argv[1:]):
            from ldl_fer.config.help import help_text

            own = [name for name in flags.FLAGS if name not in others]
            print(help_text(text, own, closing() if closing else ""))
            sys.exit()
        from absl import app, logging  # flags of theirs are none of the command's

        signal.signal(signal.SIGTERM, _stop)
        logging.set_verbosity(logging.WARNING)  # TensorFlow logs through absl.
        app.run(guarded, flags_parser=parse)


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


def fail(text: str, code: int = USER_MISTAKE) -> NoReturn:
    """Ends the process with a sentence on standard error and an exit code."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _missing(flag: re.Match[str]) -> str:
    from absl import flags

    meaning, _, _ = flags.FLAGS[flag[1]].help.removesuffix(".").partition(". ")
    return f"--{flag[1]} is missing: {meaning}."
