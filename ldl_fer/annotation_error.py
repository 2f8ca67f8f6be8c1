"""What is wrong with an annotation CSV, told in one piece."""

from collections.abc import Sequence
from pathlib import Path

from ldl_fer.annotation_checks import (
    AROUSAL,
    NEIGHBORS,
    VALENCE,
    Problem,
)
from ldl_fer.errors import InputError

_SHOWN = 20


class AnnotationError(InputError):
    """What is wrong with an annotation CSV, all of it.

    Attributes:
      problems: list of (row number or None, text), by row; None is for the file as a whole.
    """

    def __init__(
        self, path: str | Path, problems: Sequence[Problem], lines: Sequence[int] = ()
    ) -> None:
        """`lines`: the line in the file where each row starts, counted from 1."""
        self.problems = sorted(problems, key=lambda p: -1 if p[0] is None else p[0])
        count = len(self.problems)
        text = [f"{path}: {count:,} problem{'s' if count > 1 else ''}"]
        folded: dict[str, list[int | None]] = {}
        for row, problem in self.problems:
            folded.setdefault(problem, []).append(row)
        for problem, rows in list(folded.items())[:_SHOWN]:
            first = "" if rows[0] is None else f"row {rows[0]} (line {lines[rows[0]]}): "
            again = f", and so in {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
            text.append(f"  {first}{problem}{again}")
        left = count - sum(map(len, list(folded.values())[:_SHOWN]))
        if left:
            text.append(f"  and {left:,} more")
        text.append("Correct the file (or the flag that names it) and run again.")
        if any(problem.startswith(NEIGHBORS) for problem in folded):
            text.append("`ldl-fer neighbors` makes the column knn anew.")
        empty = [f"column {name} is missing" for name in (VALENCE, AROUSAL)]
        empty += [f"{name} is ''" for name in (VALENCE, AROUSAL)]
        if any(problem.startswith(tuple(empty)) for problem in folded):
            text.append(
                "`ldl-fer affect` fills in valence and arousal, from which neighbors are "
                "found; --method=cross_entropy trains without."
            )
        super().__init__("\n".join(text))
