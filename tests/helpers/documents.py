"""The documents a user reads: their fenced blocks, their prose, the command lines in them."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from helpers.commands import ROOT

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
OWN_PACKAGES = ("ldl_fer", "benchmarks")
_OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "(", ")"}


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and its text."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """README.md, and CONTRIBUTING.md and docs/*.md where there are any."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [file for file in files if file.exists()]


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document."""
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found[2], found[3])
        for found in _FENCED.finditer(text)
    ]


def prose(document: Path) -> str:
    """Returns the text that is not in a fenced block."""
    return _FENCED.sub("", document.read_text(encoding="utf-8"))


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every command in a shell script, without assignments before it."""
    waiting = ""
    for line in text.replace("\\\n", " ").splitlines():
        waiting += f"{line}\n"
        lexer = shlex.shlex(waiting, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that the next line goes on with
            continue
        waiting, command = "", []
        for word in [*words, ";"]:
            if word in _OPERATORS:
                if command:
                    yield command
                command = []
            elif command or not _ASSIGNMENT.match(word):
                command.append(word)


def own_command(words: list[str]) -> list[str] | None:
    """Returns the command and its arguments; None for a program that is not ours.

    ldl-fer train --x            ["train", "--x"]
    python -m ldl_fer train --x  ["train", "--x"]
    python train.py --x          ["train", "--x"]
    python -m benchmarks.soak    ["benchmarks.soak"]
    """
    match words:
        case ["ldl-fer", *rest]:
            return rest
        case [python, "-m", "ldl_fer", *rest] if _is_python(python):
            return rest
        case [python, "-m", module, *rest] if _is_python(python):
            return [module, *rest] if module.partition(".")[0] in OWN_PACKAGES else None
        case [python, "train.py" | "evaluate.py" as script, *rest] if _is_python(python):
            return [script.removesuffix(".py"), *rest]
    return None


def _is_python(word: str) -> bool:
    return Path(word).name in ("python", "python3")
