"""Reads the boxes that say whose face a row's label is, and finds the face at a box.

A box is the columns face_x, face_y (its upper left corner), face_width and face_height, pixels.
"""

import math
from collections.abc import Sequence

import pandas as pd

from ldl_fer.data.annotation_checks import BOX, PATH, Problem
from ldl_fer.preparation.faces.detector import Face

Box = tuple[float, float, float, float]
Job = tuple[str, Box | None]  # path of a picture, and box of the face that is meant
_SAME = 0.2  # least overlap (intersection over union) of a detection that is the labeled face


def jobs_of(table: pd.DataFrame) -> tuple[list[Job], list[Problem]]:
    """Returns picture and box of each row, no box where its four cells are empty, and problems.

    Args:
      table: cells as text, with the column of paths.
    """
    paths = table[PATH].tolist()
    jobs: list[Job] = []
    problems: list[Problem] = []
    there = [name for name in BOX if name in table]
    if len(there) < len(BOX):
        lacking = ", ".join(name for name in BOX if name not in table)
        if there:
            problems.append((None, f"of a box's columns {lacking} is missing"))
        return [(path, None) for path in paths], problems
    for row, cells in enumerate(zip(*(table[name] for name in BOX), strict=True)):
        box = None
        if any(cell.strip() for cell in cells):
            box = _box(cells)
            if box is None:
                text = ", ".join(map(repr, cells))
                problems.append(
                    (row, f"the box is {text}: not four numbers, the last two above 0, or none")
                )
        jobs.append((paths[row], box))
    return jobs, problems


def overlap(first: Box, second: Box) -> float:
    """Returns the boxes' intersection over their union, in [0, 1]."""
    x, y, width, height = first
    u, v, other_width, other_height = second
    common = max(0.0, min(x + width, u + other_width) - max(x, u))
    common *= max(0.0, min(y + height, v + other_height) - max(y, v))
    return common / (width * height + other_width * other_height - common)


def face_at(faces: Sequence[Face], box: Box) -> tuple[Face, bool]:
    """Returns the face that overlaps a box most, or a square around the box; and which: found.

    Args:
      faces: that were found in the picture.
      box: of the labeled face. A face of which the overlap is below 0.2 is another person's.
    """
    best = max(faces, key=lambda face: overlap(face.box, box), default=None)
    if best is not None and overlap(best.box, box) >= _SAME:
        return best, True
    x, y, width, height = box
    side = max(width, height)
    square = (x + (width - side) / 2, y + (height - side) / 2, side, side)
    return Face(square, 0.0), False


def _box(cells: Sequence[str]) -> Box | None:
    try:
        x, y, width, height = map(float, cells)
    except ValueError:
        return None
    fits = all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0
    return (x, y, width, height) if fits else None
