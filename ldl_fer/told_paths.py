"""How paths are told in files that may be handed on: without the home folder of who made them.

In /home/ann/work, where /home/ann is the home folder:

  /home/ann/work/data/a.csv    data/a.csv
  /home/ann/faces              ~/faces
  /mnt/faces                   /mnt/faces
"""

import os
import re
from pathlib import Path
from typing import Any


def told(text: str) -> str:
    """A path, or a text with paths in it: those in the current folder relative, ~ for the home."""
    for folder in _spellings(os.getcwd(), os.environ.get("PWD", "")):
        text = _replaced(text, folder, "", ".")
    for folder in _spellings(os.path.expanduser("~")):
        text = _replaced(text, folder, "~/", "~")
    return text


def told_values(value: Any) -> Any:
    """`told` for all texts within dicts, lists and tuples."""
    if isinstance(value, dict):
        return {name: told_values(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(told_values(part) for part in value)
    return told(value) if isinstance(value, str) else value


def expanded(text: str) -> str:
    """The path that was meant by ~, also as a flag: "--data=~/a.csv". Others stay as they are."""
    found = re.fullmatch(r"(--?\w+=)?(~/.*)", text, re.DOTALL)
    return (found[1] or "") + os.path.expanduser(found[2]) if found else text


def _spellings(*folders: str) -> list[str]:
    """A folder as it is called and as it is without links; none for the root."""
    given = {f.rstrip("/") for folder in folders for f in (folder, os.path.realpath(folder))}
    wanted = {f for f in given if os.path.isabs(f) and Path(f) != Path(f).parent}
    # PWD may be left over from another process: it counts if it leads to the current folder.
    same = {f for f in wanted if os.path.realpath(f) == os.path.realpath(folders[0])}
    return sorted(same, key=len, reverse=True)


def _replaced(text: str, folder: str, within: str, itself: str) -> str:
    start = r"(?<![\w.~/-])" + re.escape(folder)
    text = re.sub(start + r"/+(?=[^\s/])", within, text)
    return re.sub(start + r"/?(?![\w.-])", itself, text)
