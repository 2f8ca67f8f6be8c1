"""Reads, fills and writes an annotation CSV in which valence and arousal may be missing.

Missing is what `annotation_checks.absent` calls so, or the whole column. Everything else is checked
as `data.annotations` does, and other columns are carried along to the letter.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import (
    AROUSAL,
    LABEL,
    NEIGHBORS,
    PATH,
    VALENCE,
    AnnotationError,
    absent,
    check_columns,
    check_numbers,
    named_pictures,
)
from ldl_fer.data.annotations import Annotations, parse_csv
from ldl_fer.files import write_whole

SOURCE = "valence_arousal_source"
GIVEN = "given"  # in that column: values that were there before


@dataclasses.dataclass(frozen=True, eq=False)
class PartialAnnotations:
    """A table of texts. Letters: N rows, C classes.

    Attributes:
      texts: cells by column, each column N long; valence and arousal are among them.
      class_names: C names, in the order of `expression`.
    """

    texts: Mapping[str, Sequence[str]]
    class_names: tuple[str, ...] = CLASS_NAMES

    def __len__(self) -> int:
        """N."""
        return len(self.texts[PATH])

    @property
    def paths(self) -> list[str]:
        """Paths of the images under the image folder, N of them."""
        return list(self.texts[PATH])

    @property
    def labels(self) -> np.ndarray:
        """Int32 [N] in [0, C)."""
        return np.array([int(float(text)) for text in self.texts[LABEL]], np.int32)

    @property
    def valence_arousal(self) -> np.ndarray:
        """Float64 [N, 2] in [-1, 1], NaN where missing."""
        columns = [[float(x or "nan") for x in self.texts[n]] for n in (VALENCE, AROUSAL)]
        return np.array(columns, np.float64).reshape(2, -1).T

    @property
    def missing(self) -> np.ndarray:
        """Bool [N], whether valence, arousal or both are."""
        return np.isnan(self.valence_arousal).any(axis=1)

    def complete(self) -> Annotations:
        """Returns the rows that miss nothing, renumbered from 0, without `knn`."""
        table = pd.DataFrame(self.texts).drop(columns=NEIGHBORS, errors="ignore")
        table[LABEL] = self.labels.astype(np.int64)
        table[[VALENCE, AROUSAL]] = self.valence_arousal
        return Annotations(table[~self.missing].reset_index(drop=True), self.class_names)

    def filled(
        self, rows: np.ndarray, values: np.ndarray, source: str, overwrite: bool = False
    ) -> "PartialAnnotations":
        """Returns a copy with values in some rows; the column SOURCE has each row's origin.

        A column knn is dropped where anything changes: neighbors depend on these values.

        Args:
          rows: [M] row numbers.
          values: [M, 2] in [-1, 1]; four decimals are kept.
          source: SOURCE of these rows. Others keep theirs, or get `GIVEN`.
          overwrite: replace values that are there; else only what is missing is filled.
        """
        before = self.valence_arousal
        after = before.copy()
        after[rows] = (
            values if overwrite else np.where(np.isnan(before[rows]), values, before[rows])
        )
        changed = (after != before) & ~(np.isnan(after) & np.isnan(before))
        texts = dict(self.texts)
        for column, name in enumerate((VALENCE, AROUSAL)):
            cells = list(texts[name])
            for row in np.flatnonzero(changed[:, column]).tolist():
                cells[row] = f"{after[row, column]:.4f}"
            texts[name] = cells
        said = texts.get(SOURCE, [""] * len(self))
        known = np.where(self.missing, "", GIVEN)
        sources = [text or other for text, other in zip(said, known.tolist(), strict=True)]
        for row in np.asarray(rows)[changed[rows].any(axis=1)].tolist():
            sources[row] = source
        texts[SOURCE] = sources
        if changed.any():
            texts.pop(NEIGHBORS, None)
        return PartialAnnotations(texts, self.class_names)

    def write(self, path: str | Path) -> None:
        """Writes the table as CSV, whole or not at all.

        Raises:
          InputError: the file cannot be written.
        """
        write_whole(path, pd.DataFrame(self.texts).to_csv(index=False, lineterminator="\n"))


def read_partial_annotations(
    csv_path: str | Path,
    class_names: Sequence[str] = CLASS_NAMES,
    image_dir: str | Path | None = None,
) -> PartialAnnotations:
    """Reads and checks an annotation CSV; images are not opened.

    Args:
      csv_path, image_dir: the file, and where its paths start, as for `read_annotations`.
      class_names: C names, in the order of `expression`.

    Raises:
      AnnotationError: anything but missing valence and arousal is wrong; it lists all of it.
    """
    texts, lines, problems = parse_csv(csv_path)
    for name in (VALENCE, AROUSAL):
        texts.setdefault(name, [""] * len(lines))
        cells = zip(texts[name], absent(texts[name]), strict=True)
        texts[name] = ["" if missing else text for text, missing in cells]
    ragged = {row for row, _ in problems}
    problems += check_columns(texts)
    if not lines:
        problems.append((None, "has no rows"))
    cells = check_numbers(texts, class_names, plane=False)
    if PATH in texts:
        cells += named_pictures(texts, image_dir)
    problems += [problem for problem in cells if problem[0] not in ragged]
    if problems:
        raise AnnotationError(csv_path, problems, lines)
    return PartialAnnotations(texts, tuple(class_names))
