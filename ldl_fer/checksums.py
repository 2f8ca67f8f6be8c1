"""SHA-256 of files: what tells one model from another, and a folder from a damaged copy of it.

SHA256SUMS has a line per file, as `sha256sum` writes and `sha256sum -c SHA256SUMS` checks it. It
guards against damage and slips, not against somebody who changes both.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ldl_fer.errors import InputError

FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def sha256(path: str | Path) -> str:
    """Of a file, or of the graph and variables in a SavedModel folder: 64 hexadecimal digits."""
    path, digest = Path(path), hashlib.sha256()
    files = [path]
    if path.is_dir():
        files = [path / "saved_model.pb", *sorted((path / "variables").glob("*"))]
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def write_checksums(folder: str | Path, skipped: Iterable[str] = ()) -> None:
    """Writes SHA256SUMS of all files in a folder and below it.

    Args:
      folder: whose files are complete.
      skipped: names of files that may change later.
    """
    folder = Path(folder)
    left_out = {FILE, *skipped}
    files = (file for file in folder.rglob("*") if file.is_file() and file.name not in left_out)
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    lines = (f"{sha256(folder / name)}  {name}\n" for name in names)
    (folder / FILE).write_text("".join(lines), encoding="utf-8", newline="\n")


def damage(folder: str | Path, needed: Iterable[str] = (), progress: bool = False) -> str | None:
    """What is wrong with a folder's files by its SHA256SUMS; None: nothing.

    Args:
      folder: of the files.
      needed: names of files that must be in the list.
      progress: whether to show a bar if it takes longer than two seconds.
    """
    folder = Path(folder)
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return f"{folder / FILE} is missing"
    except (OSError, UnicodeDecodeError) as error:
        return f"{folder / FILE} is damaged: {error}"
    missing = set(needed)
    for line in tqdm(lines, "checking files", unit="file", delay=2, disable=not progress):
        found = _LINE.fullmatch(line)
        path = PurePosixPath(found[2]) if found else None
        if found is None or path is None or path.is_absolute() or ".." in path.parts:
            return f"{folder / FILE} is damaged: {line!r}"
        missing.discard(str(path))
        file = folder / path
        if not file.is_file():
            return f"{file} is missing"
        if sha256(file) != found[1]:
            return f"{file} is not what was written: its SHA-256 is not that of {FILE}"
    return f"{folder / FILE} is damaged: it lacks {min(missing)}" if missing else None


def check_checksums(folder: str | Path) -> None:
    """Compares a folder's files with its SHA256SUMS; does nothing where there is none.

    Raises:
      InputError: a file is missing or is not what was written, or SHA256SUMS itself is damaged.
    """
    found = damage(folder) if (Path(folder) / FILE).exists() else None
    if found:
        raise InputError(
            f"{found}. Copy the folder anew, or write it again. If you changed it on purpose, "
            f"delete {FILE}."
        )
