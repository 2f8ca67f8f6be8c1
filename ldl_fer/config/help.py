"""The text of --help: the command's own, and its flags by subject, each once.

with subject("faces"):
    flags.DEFINE_string("detector", None, "YuNet's .onnx file. (default: OpenCV's cascade)")
"""

import contextlib
import itertools
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator

from absl import flags

_SUBJECTS: dict[str, list[str]] = {}  # title -> names of flags
_COLUMN = 30  # where the meaning of a flag begins, at most
_PIECES = re.compile(r"[^_,]*[_,]|[^_,]+")
# absl's words: in a check, and behind the help of a flag that may be given twice
_REQUIRED, _REPEAT = "must have a value other than None", ";\n    repeat this option"
_DEFAULT = re.compile(r"(.*?)\s*\(default: (.*)\)", re.DOTALL)


@contextlib.contextmanager
def subject(title: str) -> Iterator[None]:
    """Puts the flags that are defined within the block under a title of --help."""
    before = set(flags.FLAGS)
    yield
    _SUBJECTS.setdefault(title, []).extend(name for name in flags.FLAGS if name not in before)


def help_text(text: str, names: Iterable[str], closing: str = "") -> str:
    """Returns the text that --help prints.

    Args:
      text: comes first.
      names: the command's flags; those under no subject come before the others.
      closing: comes last.
    """
    subjects = {"flags": list(names)}
    for title, members in _SUBJECTS.items():
        subjects[title] = [name for name in members if name in subjects["flags"]]
    listed = {name for title, members in _SUBJECTS.items() for name in subjects[title]}
    subjects["flags"] = [name for name in subjects["flags"] if name not in listed]
    column = min(_COLUMN, 4 + max((len(_shown(name)) for name in names), default=0))
    width = min(100, max(60, shutil.get_terminal_size((100, 24)).columns))
    parts = [text.strip()]
    for title, members in subjects.items():
        if members:
            parts.append("\n".join([f"{title}:", *(_entry(n, column, width) for n in members)]))
    return "\n\n".join([*parts, closing] if closing else parts)


def table(rows: list[list[str]]) -> str:
    """Returns rows of cells in columns.

    A cell may go on in the next line behind each _ and comma of it, but for the first column's.
    """
    cells = [[[first], *map(_PIECES.findall, others)] for first, *others in rows]
    columns = zip(*cells, strict=True)
    widths = [max(len(piece) for cell in column for piece in cell) for column in columns]
    lines = []
    for row in cells:
        folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in itertools.zip_longest(*folded, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append(f"  {' '.join(padded)}".rstrip())
    return "\n".join(lines)


def _folded(pieces: list[str], width: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        if len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def _shown(name: str) -> str:
    return f"--[no]{name}" if flags.FLAGS[name].boolean else f"--{name}"


def _entry(name: str, column: int, width: int) -> str:
    first = f"  {_shown(name)}  ".ljust(column)
    lines = textwrap.wrap(
        _meaning(flags.FLAGS[name]), width - column, break_on_hyphens=False, break_long_words=False
    )
    if len(first) > column:  # too long a name has a line of its own
        lines.insert(0, first.rstrip())
        first = ""
    return first + f"\n{' ' * column}".join(lines)


def _meaning(flag: flags.Flag) -> str:
    """Returns the flag's help, then in parentheses its choices and its default."""
    text, notes = flag.help.partition(_REPEAT)[0], []
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        text = text.removeprefix(f"<{'|'.join(choices)}>: ")  # which absl adds
        notes.append(" | ".join(choices))
    if any(_REQUIRED in check.message for check in flag.validators):
        notes.append("required")
    with_default = _DEFAULT.fullmatch(text)
    if with_default:
        text = with_default[1]
        notes.append(f"default: {with_default[2]}")
    elif flag.default not in (None, "", []):
        notes.append(f"default: {_as_text(flag.default)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
