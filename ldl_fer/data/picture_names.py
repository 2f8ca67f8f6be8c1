"""Finds the files that a CSV's paths mean where they are not spelled as the files are.

A path that is a file stays as it is. Else these are tried: without blanks around it, with / for \\,
from the image folder on where it is absolute or leads out and back, and names of files that differ
in Unicode form (é as one character or two), in upper and lower case, by a missing ending, or, of
numbers, by zeros that pandas or a spreadsheet dropped (0012.jpg as 12). What fits one file alone is
that file; what fits several is a problem; what fits none stays as it is.
"""

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ldl_fer.data.pictures import PICTURE_ENDINGS

_WHOLE = re.compile(r"([0-9]{1,255})(\.0+)?")  # a name that was made a number
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # a path of Windows
_Key = tuple[str, str | int]


def leads_out(path: str) -> bool:
    """Returns whether a path under a folder leads out of it, or starts elsewhere."""
    elsewhere = posixpath.isabs(path) or _DRIVE.match(path) is not None
    return elsewhere or posixpath.normpath(path).split("/")[0] == ".."


def is_number(path: str) -> bool:
    """Returns whether a path's last part is a whole number, so that its ending and zeros lack."""
    return _WHOLE.fullmatch(path.strip().rpartition("/")[2]) is not None


def found_names(paths: Sequence[str], folder: str | Path) -> tuple[list[str], dict[int, str]]:
    """Returns the paths as the files are spelled, and why some are none, by place.

    Each folder is listed once; pictures are not opened.

    Args:
      paths: as the CSV has them.
      folder: where they start; where it is not there, all stay as they are.
    """
    names = _Names(Path(folder))
    found, problems = list(paths), {}
    if not names.folder.is_dir():
        return found, problems
    for place, path in enumerate(paths):
        fits = names.fitting(path)
        if len(fits) == 1:
            (found[place],) = fits
        elif fits:
            first, second = fits[:2]
            problems[place] = f"{path} may be {first} or {second}: write one of them"
    return found, problems


class _Names:
    """Names of the files in a folder and below, listed when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._roots = tuple(dict.fromkeys((os.path.abspath(folder), os.path.realpath(folder))))
        self._listed = dict[str, frozenset[str]]()
        self._by_key = dict[str, dict[_Key, list[str]]]()

    def fitting(self, path: str) -> list[str]:
        """Returns paths of files that a path may mean; none where there is no such file."""
        if "\0" in path or not path.strip():
            return []
        spellings = dict.fromkeys((path, path.strip(), path.strip().replace("\\", "/")))
        inside = [name for name in map(self._inside, spellings) if name is not None]
        for name in inside:
            parent, _, last = name.rpartition("/")
            if last in self._names(parent):
                return [name]
        for name in inside:
            fits = [""]
            for part in name.split("/"):
                fits = [posixpath.join(start, n) for start in fits for n in self._like(start, part)]
            if fits:
                return fits
        return inside[-1:] if leads_out(path) else []

    def _inside(self, path: str) -> str | None:
        """Returns the path from the folder on; None where it leads elsewhere."""
        if not leads_out(path):
            return path
        start = os.path.normpath(os.path.join(self._roots[0], path))
        for resolve in (str, os.path.realpath):
            start = resolve(start)
            for root in self._roots:
                if start.startswith(root.rstrip("/") + "/"):
                    return Path(start).relative_to(root).as_posix()
        return None

    def _names(self, parent: str) -> frozenset[str]:
        if parent not in self._listed:
            try:
                self._listed[parent] = frozenset(os.listdir(self.folder / parent))
            except OSError:
                self._listed[parent] = frozenset()
        return self._listed[parent]

    def _like(self, parent: str, name: str) -> list[str]:
        """Returns the names in a folder that a name may mean, sorted."""
        if name in ("", ".", "..") or name in self._names(parent):
            return [name]
        if parent not in self._by_key:
            by_key = defaultdict(list)
            for there in sorted(self._names(parent)):
                for key in _keys(there):
                    by_key[key].append(there)
            self._by_key[parent] = dict(by_key)
        wanted: list[_Key] = [("name", _folded(name)), ("stem", _folded(name))]
        number = _WHOLE.fullmatch(name)
        wanted += [("number", int(number[1]))] if number else []
        known = self._by_key[parent]
        return next((known[key] for key in wanted if key in known), [])


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _keys(name: str) -> Iterator[_Key]:
    yield "name", _folded(name)
    stem, ending = posixpath.splitext(name)
    if ending.lower() in PICTURE_ENDINGS:
        yield "stem", _folded(stem)
    else:
        stem = name
    if stem.isascii() and stem.isdecimal():
        yield "number", int(stem)
