"""Tables of an alignment: the annotations before and after it, and what became of each picture."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ldl_fer.annotation_checks import ANNOTATOR, NEIGHBORS, PATH, check_paths
from ldl_fer.annotation_error import AnnotationError
from ldl_fer.errors import InputError

_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # as in TEMPLATE
_FACE_COLUMNS = ["x", "y", "width", "height", "score"]
_FACE_COLUMNS += [f"{point}_{axis}" for point in _POINTS for axis in "xy"]


def read_table(annotations: str | Path) -> pd.DataFrame:
    """An annotation CSV, every cell as the text that it is; valence and arousal may be missing.

    Raises:
      InputError: it cannot be read, has no rows or no paths, or a path is wrong.
    """
    try:
        table = pd.read_csv(annotations, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{annotations} cannot be read as CSV: {error}. Correct it.") from error
    if PATH not in table:
        problem = f"column {PATH} is missing (there are: {', '.join(table)})"
        raise AnnotationError(annotations, [(None, problem)])
    annotators = table[ANNOTATOR].tolist() if ANNOTATOR in table else None
    problems = check_paths(table[PATH].tolist(), None, False, annotators)
    problems += [(None, "has no rows")] if table.empty else []
    if problems:
        raise AnnotationError(annotations, problems, range(2, len(table) + 2))
    return table


def rewritten(table: pd.DataFrame, written: dict[str, str]) -> pd.DataFrame:
    """The rows whose picture was written, with the new paths; without knn where a row is lost.

    Args:
      table: of `read_table`.
      written: path of a picture -> that of its aligned face.
    """
    left = table[table[PATH].isin(list(written))]
    left = left.assign(**{PATH: left[PATH].map(written)})
    if len(left) < len(table):
        left = left.drop(columns=NEIGHBORS, errors="ignore")  # The row numbers have moved.
    return left


def face_table(records: Sequence[dict]) -> pd.DataFrame:
    """A row for each face, and for each picture without one, as `data_set.Alignment` has them.

    Args:
      records: of pictures, see `ldl_fer.faces.picture`.
    """
    rows = []
    for record in records:
        common = [record[PATH], record["status"], record["reason"], record["found"]]
        for number in range(max(1, len(record["aligned"]))):
            path = record["aligned"][number] if record["aligned"] else ""
            face = record["faces"][number] if record["faces"] else []
            rows.append([*common, path, *face, *[None] * (len(_FACE_COLUMNS) - len(face))])
    return pd.DataFrame(
        rows, columns=[PATH, "status", "reason", "faces", "aligned", *_FACE_COLUMNS]
    )
