"""Checks an annotation CSV cell by cell; `ldl_fer.data.annotations` has the rules.

A table is a dict of columns, each a list of N cells as the text that the file holds. A problem is
(row number, text), or (None, text) for the file as a whole.
"""

import posixpath
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ldl_fer.config.checks import plain_names
from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.picture_names import found_names, is_number, leads_out
from ldl_fer.data.pictures import SKIPPING, decoded_image, picture_bytes
from ldl_fer.errors import InputError

PATH, LABEL, VALENCE, AROUSAL, NEIGHBORS = COLUMNS = (
    "subDirectory_filePath",
    "expression",
    "valence",
    "arousal",
    "knn",
)
ANNOTATOR = "annotator"
BOX = ("face_x", "face_y", "face_width", "face_height")  # of the labeled face, pixels
KNOWN = (*COLUMNS, ANNOTATOR, *BOX)  # by which a CSV's separator is found
_UNREADABLE = " cannot be read: "
_CHUNK = 64  # images per task given to a thread
_KNN = re.compile(r"[0-9]{1,9}(;[0-9]{1,9})*")
_ABSENT = -2.0  # AffectNet's mark of a value that is not there
_SCALES = ((1, 5), (1, 7), (1, 9), (-5, 5), (-10, 10), (0, 100), (-100, 100), (-1000, 1000))
_FEWEST_VALUES = 6  # of valence and arousal together, to speak of a scale
_SHOWN = 20
Problem = tuple[int | None, str]


class AnnotationError(InputError):
    """An annotation CSV that is refused, with all of its problems.

    Attributes:
      problems: list of (row number or None, text), by row; None is for the file as a whole.
    """

    def __init__(
        self, path: str | Path, problems: Sequence[Problem], lines: Sequence[int] = ()
    ) -> None:
        """Makes the text: problems by row, equal ones once, and the cure.

        Args:
          path: of the CSV.
          problems: at least one.
          lines: the line in the file where each row starts, counted from 1; empty: unknown.
        """
        self.problems = sorted(problems, key=lambda p: -1 if p[0] is None else p[0])
        count = len(self.problems)
        text = [f"{path}: {count:,} problem{'s' if count > 1 else ''}"]
        folded: dict[str, list[int | None]] = {}
        for row, problem in self.problems:
            folded.setdefault(problem, []).append(row)
        for problem, rows in list(folded.items())[:_SHOWN]:
            row = rows[0]
            line = f" (line {lines[row]})" if lines and row is not None else ""
            first = "" if row is None else f"row {row}{line}: "
            again = f", and so in {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
            text.append(f"  {first}{problem}{again}")
        left = count - sum(map(len, list(folded.values())[:_SHOWN]))
        if left:
            text.append(f"  and {left:,} more")
        text.append("Correct the file (or the flag that names it) and run again.")
        if any(problem.startswith("has ") and " fields " in problem for problem in folded):
            text.append(
                "A cell that holds the separator needs quotes around it; numbers need points, or "
                "semicolons between cells."
            )
        if any(row is not None and _UNREADABLE in problem for row, problem in self.problems):
            text.append(SKIPPING)
        if any(problem.startswith(NEIGHBORS) for problem in folded):
            text.append("`ldl-fer neighbors` makes the column knn anew.")
        few = [p for p in folded if "rows where at least" in p and " at least 2 " not in p]
        if few:
            text.append("K neighbors need more than K rows: lower --num_neighbors or add rows.")
        empty = [f"column {name} is missing" for name in (VALENCE, AROUSAL)]
        empty += [f"{name} is ''" for name in (VALENCE, AROUSAL)]
        if any(problem.startswith(tuple(empty)) for problem in folded):
            text.append(
                "`ldl-fer affect` fills in valence and arousal, from which neighbors are "
                "found; --method=cross_entropy trains without."
            )
        super().__init__("\n".join(text))


def vote_columns(class_names: Sequence[str]) -> list[str]:
    """Returns the names of the columns of votes, in the order of the classes."""
    return [f"votes_{name.lower()}" for name in class_names]


def numbers(texts: Sequence[str]) -> np.ndarray:
    """Returns float64 [N]; NaN where the text is no number."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return np.nan

    return np.array([number(text) for text in texts], np.float64)


def absent(cells: Sequence[str]) -> np.ndarray:
    """Returns bool [N]: cells of valence or arousal without one: empty, nan, or AffectNet's -2."""
    marked = np.array([cell.strip().lower() in ("", "nan") for cell in cells], bool)
    return marked | (numbers(cells) == _ABSENT)


def check_columns(texts: dict[str, list[str]], plane: bool = True) -> list[Problem]:
    """Finds columns that are missing; with `plane` False, valence and arousal may be."""
    there = ", ".join(texts)
    needed = (PATH, LABEL, VALENCE, AROUSAL) if plane else (PATH, LABEL)
    return [
        (None, f"column {name} is missing (there are: {there})")
        for name in needed
        if name not in texts
    ]


def check_numbers(
    texts: dict[str, list[str]], class_names: Sequence[str], plane: bool = True
) -> list[Problem]:
    """Checks the cells of labels, valence, arousal and, if all classes have them, votes.

    With `plane` False, cells of valence and arousal may be `absent`.

    Raises:
      InputError: a class has no plain name.
    """
    plain_names("class_names", class_names)
    classes = len(class_names)
    names = ", ".join(f"{number} {name}" for number, name in enumerate(class_names))
    unit = (lambda x: np.abs(x) <= 1, "a number in [-1, 1]")
    rules = {
        LABEL: (
            lambda x: (x >= 0) & (x < classes) & (x == np.floor(x)),
            f"the number of a class ({names})",
        ),
        VALENCE: unit,
        AROUSAL: unit,
    }
    votes = vote_columns(class_names)
    if set(votes) <= set(texts):
        rule = (lambda x: np.isfinite(x) & (x >= 0), "a number of votes >= 0")
        rules.update(dict.fromkeys(votes, rule))
    problems = []
    for name, (fits, wanted) in rules.items():
        cells = texts.get(name, ())
        wrong = ~fits(numbers(cells))
        if name in (VALENCE, AROUSAL) and not plane:
            wrong &= ~absent(cells)
        for row in np.flatnonzero(wrong).tolist():
            problems.append((row, f"{name} is {texts[name][row]!r}, not {wanted}"))
    return problems + _other_scale(texts)


def _other_scale(texts: dict[str, list[str]]) -> list[Problem]:
    """Names the scale of valence and arousal where half of their values leave [-1, 1]."""
    cells = [cell for name in (VALENCE, AROUSAL) for cell in texts.get(name, ())]
    values = numbers(cells)[~absent(cells)] if cells else np.zeros(0)
    values = values[np.isfinite(values)]
    if len(values) < _FEWEST_VALUES or (np.abs(values) > 1).mean() < 0.5:
        return []
    low, high = values.min(), values.max()
    for least, most in _SCALES:
        if least <= low and high <= most:
            half, middle = (most - least) / 2, (most + least) / 2
            shifted = f"(x - {middle:g})" if middle else "x"
            text = f"as on a scale from {least} to {most}: put {shifted} / {half:g} for each x"
            return [(None, f"{VALENCE} and {AROUSAL} run from {low:g} to {high:g}, {text}")]
    return []


def named_pictures(
    texts: dict[str, list[str]], image_dir: str | Path | None, whose: Sequence[str] | None = None
) -> list[Problem]:
    """Spells the column of paths as the files are, where it can, and checks it.

    Args:
      texts: the table; its column of paths is replaced.
      image_dir: where the paths start; None: they stay as they are, and may lead anywhere.
      whose: N texts; a path may come once for each of them. None: the annotators, if there are any.
    """
    several: dict[int, str] = {}
    if image_dir is not None:
        texts[PATH], several = found_names(texts[PATH], image_dir)
    problems = check_paths(texts[PATH], whose or texts.get(ANNOTATOR), image_dir)
    return [p for p in problems if p[0] not in several] + list(several.items())


def check_paths(
    paths: Sequence[str],
    annotators: Sequence[str] | None = None,
    image_dir: str | Path | None = "",
) -> list[Problem]:
    """Finds paths that are empty, lead out of the folder or come twice.

    Args:
      paths: N of them.
      annotators: N texts; a path may come once for each of them. None: once.
      image_dir: the folder, for messages; None: it is not known, and they may lead anywhere.
    """
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    folder = f"the image folder {image_dir or ''}".rstrip()
    for row, path in enumerate(paths):
        annotator = annotators[row] if annotators else ""
        normal = posixpath.normpath(path)
        if not path.strip():
            problems.append((row, f"{PATH} is empty"))
        elif "\0" in path:
            problems.append((row, f"{path!r} has a NUL, which no file name has"))
        elif image_dir is not None and leads_out(path):
            problems.append((row, f"{path} leads out of {folder}; write paths from there on"))
        elif seen.setdefault((normal, annotator), row) != row:
            problems.append((row, f"{path} is already in row {seen[normal, annotator]}"))
    return problems


def check_images(
    paths: Sequence[str], image_dir: str | Path, bad: set[int | None], progress: bool
) -> list[Problem]:
    """Finds pictures that cannot be read; looks at each once.

    Args:
      paths: N of them.
      image_dir: where they start.
      bad: rows that have other problems and are not looked at.
      progress: show a bar where it takes longer than two seconds.
    """
    if not Path(image_dir).is_dir():
        return [(None, f"the image folder {image_dir} does not exist")]
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        if row not in bad:
            first.setdefault(posixpath.normpath(path), row)
    rows = list(first.values())
    images = image_problems(list(first), Path(image_dir), progress)
    return [(row if row is None else rows[row], text) for row, text in images]


def image_problems(paths: Sequence[str], folder: Path, progress: bool) -> list[Problem]:
    """Opens and decodes all pictures, and finds those that cannot be read.

    Args:
      paths: of the pictures, under the folder; a problem's row is the place in here.
      folder: where they start.
      progress: show a bar where it takes longer than two seconds.
    """

    def check(start: int) -> list[Problem]:
        chunk = enumerate(paths[start : start + _CHUNK], start)
        found = ((row, _image_problem(folder / path)) for row, path in chunk)
        return [(row, problem) for row, problem in found if problem]

    starts = range(0, len(paths), _CHUNK)
    bar = tqdm(None, "checking images", len(paths), unit="image", delay=2, disable=not progress)
    pool, problems = ThreadPoolExecutor(processors() + 4), list[Problem]()
    try:
        for start, found in zip(starts, pool.map(check, starts), strict=True):
            problems += found
            bar.update(min(_CHUNK, len(paths) - start))
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    if len(paths) > 1 and not any((folder / path).exists() for path in paths):
        text = f"none of its {len(paths):,} pictures is in {folder}, such as {folder / paths[0]}"
        cure = "is it the folder that the paths start from?"
        if (folder.absolute().parent / paths[0]).exists():
            cure = f"they start from {folder.absolute().parent}: name that folder"
        elif is_number(paths[0]):
            cure = "were names made numbers? Write files' names, read as text (pandas: dtype=str)"
        return [(None, f"{text}; {cure}")]
    return problems


def check_neighbors(texts: Sequence[str]) -> list[Problem]:
    """Checks the column knn: N cells of other rows, none twice, as many as most rows have."""
    fits = np.array([_KNN.fullmatch(text) is not None for text in texts], bool)
    problems = [
        (row, f"{NEIGHBORS} is {texts[row]!r}, not row numbers joined by ;")
        for row in np.flatnonzero(~fits).tolist()
    ]
    sizes = np.array([text.count(";") + 1 for text in texts], int)
    usual = np.bincount(sizes[fits], minlength=1).argmax()
    for row in np.flatnonzero(fits & (sizes != usual)).tolist():
        problems.append((row, f"{NEIGHBORS} has {sizes[row]} neighbors, most rows have {usual}"))
    for row in np.flatnonzero(fits).tolist():
        neighbors = [int(number) for number in texts[row].split(";")]
        outside = [number for number in neighbors if number >= len(texts)]
        if outside:
            problems.append((row, f"{NEIGHBORS} names row {outside[0]} of {len(texts)} rows"))
        if row in neighbors:
            problems.append((row, f"{NEIGHBORS} names the row itself"))
        if len(set(neighbors)) < len(neighbors):
            problems.append((row, f"{NEIGHBORS} names a row twice"))
    return problems


def _image_problem(file: Path) -> str | None:
    try:
        decoded_image(picture_bytes(file))
    except (OSError, ValueError) as error:
        return f"{file}{_UNREADABLE}{getattr(error, 'strerror', None) or error}"
    return None
