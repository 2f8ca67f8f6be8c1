"""The commands of the project: their flags, and what they make of a command line.

Run as a program, it reads a JSON list of command lines from standard input and answers a JSON list
of `Understood`: nothing is run beyond the parsing of flags.
"""

import contextlib
import dataclasses
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STARTS = "command_line.start("


@dataclasses.dataclass(frozen=True)
class Understood:
    """What a command makes of a command line.

    Attributes:
      flags: name -> choices; None where any value of its type will do.
      booleans: names of those that --noNAME takes back.
      help: what --help prints of the flags.
      error: why the command line is refused; empty if it is not.
    """

    flags: dict[str, list[str] | None]
    booleans: list[str]
    help: str
    error: str


def commands() -> dict[str, Path]:
    """Returns command -> the file that starts it.

    `train` is `ldl-fer train`; outside of the package, `benchmarks` and `benchmarks.soak` are
    `python -m benchmarks` and `python -m benchmarks.soak`.
    """
    files = [*ROOT.glob("*.py"), *(ROOT / "ldl_fer").rglob("*.py"), *ROOT.glob("benchmarks/*.py")]
    found = {}
    for file in sorted(files):
        if f"\n    {STARTS}" in file.read_text(encoding="utf-8"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__main__" else parts
            name = ".".join(parts) if parts[0] == "benchmarks" else parts[-1]
            assert found.setdefault(name, file) == file, name
    return found


def understood(lines: list[list[str]]) -> list[Understood]:
    """Parses command lines, each a command and its arguments, in one process of their own."""
    done = subprocess.run(
        [sys.executable, __file__], input=json.dumps(lines), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [Understood(**answer) for answer in json.loads(done.stdout)]


class _Started(Exception):
    pass


def _understand(line: list[str]) -> Understood:
    from absl import flags

    file = commands()[line[0]]
    sys.argv = [str(file), *line[1:]]
    with contextlib.suppress(_Started):
        runpy.run_path(str(file), run_name="__main__")
    ours = [  # TensorFlow defines flags, too.
        flag
        for module, defined in flags.FLAGS.flags_by_module_dict().items()
        if module == str(file) or module.startswith(("ldl_fer", "benchmarks"))
        for flag in defined
    ]
    own = {flag.name: flag for flag in ours}
    text, error = flags.FLAGS.main_module_help(), ""
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


def _refuse(*_: object, **__: object) -> None:
    raise _Started


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):
        from ldl_fer import command_line

        command_line.start = _refuse
        answers = [dataclasses.asdict(_understand(line)) for line in asked]
    print(json.dumps(answers))
