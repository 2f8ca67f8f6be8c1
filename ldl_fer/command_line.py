"""Starts a command: parses flags, turns a user's mistake into a sentence and an exit code."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from ldl_fer.errors import InputError
from ldl_fer.told_paths import expanded

USER_MISTAKE = 2
INTERRUPTED = 130


def start(main: Callable[..., int | None], positional: str = "") -> None:
    """Parses the command line, calls `main()` and exits with what it returns (None: 0).

    Args:
      main: the command. `InputError` and ^C from it end the process without a traceback.
      positional: what the arguments without a flag are, for a command that takes any; they are
        passed to `main` as a list. Empty: there are none, and one is refused.
    """

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS([expanded(word) for word in argv])
        except flags.Error as error:
            _complain(f"{error}\nSee --help.")
            sys.exit(USER_MISTAKE)

    def guarded(argv: list[str]) -> int | None:
        if argv[1:] and not positional:
            _complain(f"unexpected argument {argv[1]!r}; flags start with --. See --help.")
            return USER_MISTAKE
        try:
            return main(*([argv[1:]] if positional else []))
        except InputError as error:
            _complain(str(error))
            return USER_MISTAKE
        except KeyboardInterrupt:
            _complain("interrupted")
            return INTERRUPTED

    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of its inner life through absl.
    app.run(guarded, flags_parser=parse)


def _complain(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
