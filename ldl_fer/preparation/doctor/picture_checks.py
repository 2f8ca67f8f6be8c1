"""Finds pictures that cannot be read, are tiny or blank, show no face, or come twice."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ldl_fer.preparation.doctor import CORRELATION, TINY
from ldl_fer.preparation.doctor.duplicates import identical_groups, near_pairs
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, NOT_LOOKED_AT, Finding, Row
from ldl_fer.preparation.doctor.photographs import of_one_photograph
from ldl_fer.preparation.doctor.pictures import UNKNOWN, Pictures
from ldl_fer.preparation.faces import MIN_SCORE as TAKEN

BLANK = 4.0  # standard deviation of the gray values
_NONE_READ = "there is no picture that can be read and is not blank."
_Pairs = Sequence[tuple[Sequence[int], str]]  # numbers of two pictures, and a note on them
MIN_SCORE = 0.3  # of YuNet: misses 0.6 % of FER2013's crops (2.9 % with its own 0.6), no false ones


def check_pictures(pictures: Pictures, min_side: int = TINY) -> list[Finding]:
    """Checks each picture alone.

    Args:
      pictures: of `look_at`.
      min_side: a shorter side below it is tiny, pixels.
    """
    readable, sides = pictures.readable, pictures.sizes.min(axis=1)
    blank = readable & (pictures.contrast < BLANK)
    findings = [
        _listed(
            pictures,
            "unreadable pictures",
            MISTAKE,
            ~readable,
            "cannot be read",
            "Replace these, or leave their rows out; if it is all of them, check --image_dir.",
            lambda picture: pictures.problems[picture],
        ),
        _listed(
            pictures,
            "tiny pictures",
            DOUBTFUL,
            readable & (sides < min_side),
            f"have a side below {min_side} pixels",
            "Replace by larger ones: expressions cannot be told from so few pixels.",
            lambda picture: "{1} x {0} pixels".format(*pictures.sizes[picture]),
        ),
        _listed(
            pictures,
            "blank pictures",
            DOUBTFUL,
            blank,
            "are blank or almost",
            "Leave these rows out of the CSV.",
            lambda picture: f"standard deviation {pictures.contrast[picture]:.1f} of 255",
        ),
    ]
    if not readable.any():
        checks = ("tiny pictures", "blank pictures", "faces")
        return [findings[0], *(Finding(check, NOT_LOOKED_AT, _NONE_READ) for check in checks)]
    looked = pictures.faces != UNKNOWN
    if not looked.any():
        text = "that needs --detector=FILE.onnx of YuNet."
        return [*findings, Finding("faces", NOT_LOOKED_AT, text)]
    return [
        *findings,
        _listed(
            pictures,
            "faces",
            DOUBTFUL,
            looked & (pictures.faces == 0) & ~blank,
            f"show no face that YuNet finds with a score of {MIN_SCORE} or more (`ldl-fer faces` "
            f"takes faces from --min_score={TAKEN} on, and finds fewer)",
            "Look at these: it may be no face, or one that is turned, covered or cut, or so small "
            "in a large picture that it is to be cut out first, by `ldl-fer faces`.",
        ),
    ]


def check_duplicates(
    pictures: Pictures, correlation: float = CORRELATION, progress: bool = True
) -> list[Finding]:
    """Looks for pictures that come twice, within a split or in two.

    Near duplicates are of two grades: versions of one photograph, as `photographs` has it, and
    pictures that only look alike, such as two expressions of one person in one session.

    Args:
      pictures: of `look_at`.
      correlation: least correlation of near duplicates; see `near_pairs`.
      progress: show a bar with time left.
    """
    readable = np.flatnonzero(pictures.readable & (pictures.contrast >= BLANK))
    if not len(readable):
        checks = ("identical pictures", "near duplicates", "pictures alike")
        return [Finding(check, NOT_LOOKED_AT, _NONE_READ) for check in checks]
    groups = [readable[g] for g in identical_groups(pictures.digests[readable])]
    first = np.arange(len(pictures))  # of pictures that are identical
    for group in groups:
        first[group] = group[0]
    identical = [pair for group in groups for pair in _pairs_of(pictures, group)]
    unlike = readable[first[readable] == readable]
    near, found, mirrored = near_pairs(pictures.signatures[unlike], correlation, progress)
    near = unlike[near]
    notes = [
        f"correlation {c:.3f}{', mirrored' if m else ''} with "
        for c, m in zip(found, mirrored, strict=True)
    ]
    one = of_one_photograph(pictures, near, mirrored, progress)
    grades = [
        [(pair, note) for pair, note, o in zip(near.tolist(), notes, one, strict=True) if o == same]
        for same in (True, False)
    ]
    same_pixels = [(pair, "the same as ") for pair in identical]
    return [
        *_compared(pictures, "identical pictures", same_pixels, MISTAKE),
        *_compared(pictures, "near duplicates", grades[0], DOUBTFUL),
        *_alike(pictures, grades[1]),
    ]


def _pairs_of(pictures: Pictures, group: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields pairs of identical pictures: each with the first, and with one of each other split.

    In a small group these are all pairs that matter; in a large one they are not its square.
    """
    by_split = [list(g) for _, g in itertools.groupby(group, key=lambda p: pictures.split[p])]
    for members in by_split:
        yield from ((int(members[0]), int(other)) for other in members[1:])
    for before, after in itertools.combinations(by_split, 2):
        yield from ((int(member), int(after[0])) for member in before)


def _compared(pictures: Pictures, check: str, pairs: _Pairs, across: str) -> list[Finding]:
    """Sorts pairs into findings: in two splits, in one with other labels, or with the same."""
    split, labels = pictures.split, pictures.labels
    kinds = {"across": [], "other label": [], "same label": []}
    for (a, b), note in pairs:
        label = "other label" if labels[a] != labels[b] else "same label"
        kinds["across" if split[a] != split[b] else label].append(((a, b), note))
    where = _places(pictures, kinds["across"])
    texts = {
        "across": (
            across,
            f"in two splits ({where})",
            "Leave out of the CSV the rows listed: those of the "
            "earlier split, so that nothing is learned from what is measured on.",
        ),
        "other label": (
            DOUBTFUL,
            "of one split with contradicting labels",
            "Decide for one label, and remove the other row.",
        ),
        "same label": (
            DOUBTFUL,
            "of one split with one label",
            "Leave one row of each out of the CSV, unless they are to count twice.",
        ),
    }
    findings = []
    for kind, some in kinds.items():
        level, place, cure = texts[kind]
        if some:
            text, values = f"{_number_of(some)} {place}.", {"pairs": len(some)}
            findings.append(Finding(check, level, text, cure, _rows(pictures, some), values))
    return findings or [Finding(check, FINE, "none.")]


def _alike(pictures: Pictures, pairs: _Pairs) -> list[Finding]:
    """Makes findings of pictures that look alike and differ in a detail."""
    check, split = "pictures alike", pictures.split
    kinds = "another expression of one person, or a watermark on one photograph"
    across = [((a, b), note) for (a, b), note in pairs if split[a] != split[b]]
    within = [((a, b), note) for (a, b), note in pairs if split[a] == split[b]]
    findings = []
    if across:
        text = (
            f"{_number_of(across)} in two splits ({_places(pictures, across)}) that look alike and "
            f"differ in a detail: {kinds}."
        )
        cure = (
            "Leave out of the CSV the rows listed: those of the earlier split. Better still, have "
            "all pictures of a person in one split."
        )
        rows, values = _rows(pictures, across), {"pairs": len(across)}
        findings.append(Finding(check, DOUBTFUL, text, cure, rows, values))
    if within:
        text = (
            f"{_number_of(within)} of one split that look alike and differ in a detail: {kinds}. "
            "Two labels can both be right. If you divide this split, divide it by persons."
        )
        rows, values = _rows(pictures, within), {"pairs": len(within)}
        findings.append(Finding(check, FINE, text, "", rows, values))
    return findings or [Finding(check, FINE, "none.")]


def _rows(pictures: Pictures, pairs: _Pairs) -> tuple[Row, ...]:
    return tuple(pictures.row_of(a, note + pictures.name_of(b)) for (a, b), note in pairs)


def _places(pictures: Pictures, pairs: _Pairs) -> str:
    """Names the splits of pairs that are in two: `train and test`."""
    splits = {(int(pictures.split[a]), int(pictures.split[b])) for (a, b), _ in pairs}
    names = [split.name for split in pictures.splits]
    return ", ".join(f"{names[a]} and {names[b]}" for a, b in sorted(splits))


def _number_of(pairs: _Pairs) -> str:
    return f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'}"


def _listed(
    pictures: Pictures,
    check: str,
    level: str,
    chosen: np.ndarray,
    fault: str,
    cure: str,
    note: Callable[[int], str] = lambda picture: "",
) -> Finding:
    """Makes a finding on the chosen pictures, bool [M]."""
    rows: tuple[Row, ...] = tuple(
        pictures.row_of(picture, note(picture)) for picture in np.flatnonzero(chosen).tolist()
    )
    if not rows:
        return Finding(check, FINE, f"0 of {len(pictures)} pictures {fault}.")
    text = f"{len(rows)} of {len(pictures)} pictures {fault}."
    return Finding(check, level, text, cure, rows, {"pictures": len(rows)})
