"""Files written whole or not at all, locks, checksums, paths without the home folder."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ldl_fer.errors import InputError

CHECKSUMS = "SHA256SUMS"
_FULL = [os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)]
_PATTERN = re.compile(r"[][*?\\]")  # TensorFlow looks for files by such names as by a glob
_LINKS: dict[str, tempfile.TemporaryDirectory] = {}
_CHECKSUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def made_folder(path: str | Path) -> Path:
    """Makes a folder and its parents where there are none; returns its path.

    Raises:
      InputError: it cannot be made, is a file, or cannot be written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write into {path}: {error.strerror}. Name another place, or correct the "
            "permissions."
        ) from error
    check_place(path / "new", f"cannot write into {path}")
    return path


def check_place(path: str | Path, named: str = "") -> None:
    """Checks that a file or folder can be made, before time is spent on it; makes nothing.

    Args:
      path: what is to be made; it may be there.
      named: begins the message; empty: "cannot write" and the path.

    Raises:
      InputError: its folder, or the lowest parent that is there, is a file or cannot be written to.
    """
    parents = Path(path).absolute().parents
    folder = next(parent for parent in parents if os.path.lexists(parent))
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise InputError(
            f"{named or f'cannot write {path}'}: {folder} is no folder that can be written to. "
            "Name another place, or correct its permissions."
        )


def check_replaceable(path: str | Path, *marks: str) -> None:
    """Checks that a file is not there, is empty, or is one that this command wrote.

    Args:
      path: of a text file to be written.
      marks: what the first 4,096 characters of such a file hold, all of them.

    Raises:
      InputError: it is another file, or cannot be read.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            head = file.read(4096)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path} cannot be replaced: {error.strerror}. Name another.") from error
    if head and not all(mark in head for mark in marks):
        raise InputError(
            f"{path} is there, this command did not write it, and it would be lost. Name another."
        )


@contextlib.contextmanager
def growing_file(path: str | Path) -> Iterator[Callable[[str], None]]:
    """Yields a function that appends text to a new UTF-8 file; what was appended stays.

    The folder is made where there is none. Surrogates, of file names that are no UTF-8, are
    escaped.

    Raises:
      InputError: it cannot be written, or another process is at it; a text that did not fit is not
        in the file in part.
    """
    path = Path(path)

    def begin() -> None:
        with contextlib.suppress(OSError):  # where the file system knows no locks
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another process writes {path}. Name another file.") from None
        file.truncate(0)

    def append(text: str) -> None:
        data, start = text.encode("utf-8", "backslashreplace"), file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(start)
            raise

    made_folder(path.parent)
    try:
        with path.open("ab", buffering=0) as file:
            begin()
            yield append
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}. It has what was done before. Name "
            "another file, or free some space."
        ) from error


def full_disk(error: BaseException) -> str:
    """Returns the words of an error that a disk takes no more, such as "No space left on device".

    Empty for another error. TensorFlow, HDF5 and pandas raise errors of their own with these words.
    """
    return next((words for words in _FULL if words in str(error)), "")


@contextlib.contextmanager
def told_when_full(path: str | Path) -> Iterator[None]:
    """Names the file or folder that is written where the disk takes no more.

    Raises:
      InputError: it does not.
    """
    try:
        yield
    except Exception as error:
        if not full_disk(error):
            raise
        raise InputError(
            f"cannot write {path}: {full_disk(error)}. Nothing of it was kept: make room, or name "
            "another place."
        ) from error


def allocate(file: int) -> None:
    """Gives a file the space on the disk that its length promises.

    Without that, a process dies that fills a memory map when the disk is full.

    Args:
      file: its number, open for writing.

    Raises:
      OSError: there is no such space.
    """
    size = os.fstat(file).st_size
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def plain_path(path: str | Path) -> Path:
    """Returns `path`, or where TensorFlow would take it for a pattern, a link that leads to it.

    The link is to the path, or to its folder where it is not there yet; it lasts as the process.
    """
    path = Path(path)
    if not _PATTERN.search(os.path.abspath(path)):
        return path
    if not path.exists():
        return plain_path(path.parent) / path.name
    target = os.path.abspath(path)
    if target not in _LINKS:
        _LINKS[target] = tempfile.TemporaryDirectory(prefix="ldl_fer-")
        os.symlink(target, Path(_LINKS[target].name, "link"))
    return Path(_LINKS[target].name, "link")


def check_utf8(path: str | Path, named: str = "") -> None:
    """Checks that a path is the same to Python as to TensorFlow and OpenCV, which take UTF-8.

    Args:
      path: of what is to be made.
      named: begins the message; empty: the path.

    Raises:
      InputError: it is not.
    """
    given = os.fsencode(path)
    if given != str(path).encode("utf-8", "replace"):
        raise InputError(
            f"{named or ascii(str(path))}: the name is no UTF-8 text, or Python does not use UTF-8 "
            "for names. Rename it (convmv), or start Python by python -X utf8."
        )


def state_of(path: Path) -> tuple[int, int]:
    """Returns by what a replaced file is noticed: size in bytes, time of change in nanoseconds.

    Raises:
      OSError: it is not there. ValueError: no file can have that name.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def write_whole(path: str | Path, text: str) -> None:
    """Writes a UTF-8 text file, whole or not at all, making its folder where there is none.

    Raises:
      InputError: it cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yields a path beside `path`, of the same ending, that takes its place if the block succeeds.

    The folder is made where there is none.

    Raises:
      InputError: it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")
    try:
        made_folder(path.parent)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = full_disk(error) or error.strerror or error
        cure = "Make room, or name another file." if full_disk(error) else "Name another file."
        raise InputError(f"cannot write {path}: {reason}. {cure}") from error


@contextlib.contextmanager
def claimed(path: str | Path) -> Iterator[bool]:
    """Yields whether this process holds the lock file `path`, which one process can at a time.

    The claim ends with the block, or with the process, however it ends. The file may stay. Where
    the file system knows no locks, the answer is yes.

    Raises:
      InputError: the file cannot be made.
    """
    from filelock import FileLock, Timeout  # loads asyncio, which --help does without

    path = Path(path)
    made_folder(path.parent)
    try:
        path.touch()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write into {path.parent}: {reason}. Name another.") from error
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except OSError:
        pass
    try:
        yield True
    finally:
        lock.release()


def same_file(first: str | Path, second: str | Path) -> bool:
    """Returns whether both paths exist and lead to one file."""
    return os.path.exists(first) and os.path.exists(second) and os.path.samefile(first, second)


def sha256(path: str | Path) -> str:
    """Returns 64 hexadecimal digits, of a file or of a SavedModel's graph and variables."""
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
    left_out = {CHECKSUMS, *skipped}
    files = (file for file in folder.rglob("*") if file.is_file() and file.name not in left_out)
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    lines = (f"{sha256(folder / name)}  {name}\n" for name in names)
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def damage(
    folder: str | Path,
    needed: Iterable[str] = (),
    shown: Callable[[list[str]], Iterable[str]] = iter,
) -> str | None:
    """Compares a folder's files with its SHA256SUMS; returns what differs, or None.

    Args:
      folder: of the files.
      needed: names of files that must be in the list.
      shown: goes through the list's lines, and may show how far it is.
    """
    folder = Path(folder)
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return f"{folder / CHECKSUMS} is missing"
    except (OSError, UnicodeDecodeError) as error:
        return f"{folder / CHECKSUMS} is damaged: {error}"
    missing = set(needed)
    for line in shown(lines):
        found = _CHECKSUM_LINE.fullmatch(line)
        path = PurePosixPath(found[2]) if found else None
        if found is None or path is None or path.is_absolute() or ".." in path.parts:
            return f"{folder / CHECKSUMS} is damaged: {line!r}"
        missing.discard(str(path))
        file = folder / path
        if not file.is_file():
            return f"{file} is missing"
        if sha256(file) != found[1]:
            return f"{file} is not what was written: its SHA-256 is not that of {CHECKSUMS}"
    return f"{folder / CHECKSUMS} is damaged: it lacks {min(missing)}" if missing else None


def check_checksums(folder: str | Path) -> None:
    """Compares a folder's files with its SHA256SUMS; does nothing where there is none.

    Raises:
      InputError: a file is missing or is not what was written, or SHA256SUMS itself is damaged.
    """
    found = damage(folder) if (Path(folder) / CHECKSUMS).exists() else None
    if found:
        raise InputError(
            f"{found}. Copy the folder anew, or write it again. If you changed it on purpose, "
            f"delete {CHECKSUMS}."
        )


def without_home(text: str) -> str:
    """Returns a text whose paths show neither the home folder nor the current one.

    Paths in the current folder become relative, ~ stands for the home folder.
    """
    for folder in _spellings(os.getcwd(), os.environ.get("PWD", "")):
        text = _replaced(text, folder, "", ".")
    for folder in _spellings(os.path.expanduser("~")):
        text = _replaced(text, folder, "~/", "~")
    return text


def values_without_home(value: Any) -> Any:
    """Returns dicts, lists and tuples with `without_home` of all texts within."""
    if isinstance(value, dict):
        return {name: values_without_home(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(values_without_home(part) for part in value)
    return without_home(value) if isinstance(value, str) else value


def with_home(text: str) -> str:
    """Returns a path, or a flag as "--data=~/a.csv", with the home folder in place of ~."""
    found = re.fullmatch(r"(--?\w+=)?(~/.*)", text, re.DOTALL)
    return (found[1] or "") + os.path.expanduser(found[2]) if found else text


def _spellings(*folders: str) -> list[str]:
    """Returns folders as they are called and as they are without links; none for the root."""
    given = {f.rstrip("/") for folder in folders for f in (folder, os.path.realpath(folder))}
    wanted = {f for f in given if os.path.isabs(f) and Path(f) != Path(f).parent}
    # PWD may be left over from another process: it counts if it leads to the current folder.
    same = {f for f in wanted if os.path.realpath(f) == os.path.realpath(folders[0])}
    return sorted(same, key=len, reverse=True)


def _replaced(text: str, folder: str, within: str, itself: str) -> str:
    start = r"(?<![\w.~/-])" + re.escape(folder)
    text = re.sub(start + r"/+(?=[^\s/])", within, text)
    return re.sub(start + r"/?(?![\w.-])", itself, text)
