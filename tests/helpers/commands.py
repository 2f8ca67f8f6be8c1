"""The commands of the project: their flags, and what they make of a command line.

Run as a program, it reads a JSON list of command lines from standard input and answers a JSON list
of `Understood`: nothing is run beyond the parsing of flags.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from ldl_fer import __main__

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = {  # which `python -m` starts
    "benchmarks": "benchmarks.__main__",
    "benchmarks.soak": "benchmarks.soak",
}


@dataclasses.dataclass(frozen=True)
class Understood:
    """The parsing of a command line by its command.

    Attributes:
      flags: name -> choices; None where any value of its type will do.
      booleans: names of those that --noNAME takes back.
      help: what --help prints.
      error: why the command line is refused; empty if it is not.
    """

    flags: dict[str, list[str] | None]
    booleans: list[str]
    help: str
    error: str


def commands() -> dict[str, Path]:
    """`predict`, of ldl-fer, or `benchmarks` -> the file that has its `main`."""
    modules = __main__.COMMANDS | BENCHMARKS
    return {name: ROOT / f"{module.replace('.', '/')}.py" for name, module in modules.items()}


def understood(lines: list[list[str]]) -> list[Understood]:
    """Parses command lines, each a command and its arguments, in one process of their own."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(lines),
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # benchmarks/ is not installed
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [Understood(**answer) for answer in json.loads(done.stdout)]


def _understand(line: list[str]) -> Understood:
    from absl import flags

    from ldl_fer.config import command_line, help

    def start(main, define_flags, text, positional="", closing=None):
        started.update(define_flags=define_flags, text=text, closing=closing)

    started: dict = {}
    command_line.start = start
    sys.argv = list(line)
    importlib.import_module((__main__.COMMANDS | BENCHMARKS)[line[0]]).run()
    help._SUBJECTS.clear()
    others = set(flags.FLAGS)
    started["define_flags"]()
    command_line.define_progress()
    own = {name: flags.FLAGS[name] for name in flags.FLAGS if name not in others}
    closing = started["closing"]() if started["closing"] else ""
    text, error = help.help_text(started["text"], list(own), closing), ""
    try:
        flags.FLAGS(sys.argv)
    except flags.Error as problem:
        error = str(problem)
    answer = Understood(
        {name: getattr(flag.parser, "enum_values", None) for name, flag in own.items()},
        [name for name, flag in own.items() if flag.boolean],
        text,
        error,
    )
    flags.FLAGS.unparse_flags()
    for name in own:
        delattr(flags.FLAGS, name)
    return answer


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):
        answers = [dataclasses.asdict(_understand(line)) for line in asked]
    print(json.dumps(answers))
