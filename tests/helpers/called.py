"""Calls a command as a user does, but in the tests' own process: TensorFlow is loaded once."""

import contextlib
import io
import logging
import signal
import subprocess
import sys

from absl import flags

from ldl_fer import __main__


def call(*words):
    """Runs `ldl-fer WORDS`; the exit code and what it printed, as `subprocess.run` returns them."""
    words = [str(word) for word in words]
    out, err = io.StringIO(), io.StringIO()
    with _as_it_was(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["ldl-fer", *words]
        try:
            __main__.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _as_it_was():
    """Takes back what a command changes in its process: its flags, a handler, the logging."""
    argv, handler = sys.argv, signal.getsignal(signal.SIGTERM)
    handlers, names = list(logging.root.handlers), set(flags.FLAGS)
    try:
        yield
    finally:
        sys.argv = argv
        signal.signal(signal.SIGTERM, handler)
        logging.root.handlers[:] = handlers
        for name in set(flags.FLAGS) - names:
            delattr(flags.FLAGS, name)
