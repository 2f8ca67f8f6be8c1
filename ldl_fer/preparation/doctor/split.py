"""Reads a split of a data set as it is, broken rows included, for the doctor to look at."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import (
    AROUSAL,
    LABEL,
    NEIGHBORS,
    PATH,
    VALENCE,
    AnnotationError,
    Problem,
    check_columns,
    check_neighbors,
    check_numbers,
    named_pictures,
    numbers,
)
from ldl_fer.data.annotations import parse_csv
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ORIGINAL
from ldl_fer.preparation.doctor.finding import Row


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A split as it is. Letters: N rows, C classes.

    Attributes:
      name: train, val or test.
      csv_path, image_dir: the annotation CSV, and the folder that its paths start from.
      class_names: C names, in the order of `expression`.
      paths: N paths under the image folder.
      labels: int32 [N] in [0, C); -1 where the cell is no class.
      valence_arousal: float64 [N, 2] in [-1, 1]; NaN where it is absent or no such number.
      problems: (row, text) of cells that training would refuse, absent valence-arousal apart.
      originals: N labels as the data set itself has them; empty where the CSV has no such column.
    """

    name: str
    csv_path: Path
    image_dir: Path
    class_names: tuple[str, ...]
    paths: list[str]
    labels: np.ndarray
    valence_arousal: np.ndarray
    problems: list[Problem]
    originals: Sequence[str] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.paths)

    @property
    def counts(self) -> np.ndarray:
        """Int64 [C], rows per class."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.class_names))

    def row(self, number: int, note: str = "") -> Row:
        """Returns one of its rows, for a finding."""
        return Row(self.name, int(number), self.paths[number], note)


def read_split(
    name: str,
    csv_path: str | Path,
    image_dir: str | Path,
    class_names: Sequence[str] = CLASS_NAMES,
) -> Split:
    """Reads an annotation CSV, and lists in `problems` the cells that are wrong.

    Raises:
      AnnotationError: the file cannot be read as CSV, has no rows, or no paths or labels at all.
      InputError: there is no such image folder.
    """
    texts, lines, problems = parse_csv(csv_path)
    needed = check_columns({VALENCE: [], AROUSAL: [], **texts})
    if needed or not lines:
        raise AnnotationError(csv_path, needed or [(None, "has no rows")])
    if not Path(image_dir).is_dir():
        raise InputError(f"the image folder {image_dir} does not exist. Check --image_dir.")
    ragged = {row for row, _ in problems}
    plane = np.full([len(lines), 2], np.nan)
    for axis, column in enumerate((VALENCE, AROUSAL)):
        cells = texts.get(column, [""] * len(lines))
        values = numbers(cells)
        plane[:, axis] = np.where(np.abs(values) <= 1.0, values, np.nan)
        texts[column] = cells
    plane[np.isnan(plane).any(axis=1)] = np.nan
    found = check_numbers(texts, class_names, plane=False)
    found += named_pictures(texts, image_dir)
    if NEIGHBORS in texts:
        found += check_neighbors(texts[NEIGHBORS])
    problems += [problem for problem in found if problem[0] not in ragged]
    labels = numbers(texts[LABEL])
    valid = (labels >= 0) & (labels < len(class_names)) & (labels == np.floor(labels))
    return Split(
        name,
        Path(csv_path),
        Path(image_dir),
        tuple(class_names),
        list(texts[PATH]),
        np.where(valid, labels, -1).astype(np.int32),
        plane,
        sorted(problems, key=lambda problem: -1 if problem[0] is None else problem[0]),
        texts.get(ORIGINAL, ()),
    )
