"""Adds to an annotation CSV the neighbors of each sample in the valence-arousal plane (Eq. 2).

    python -m ldl_fer.neighbors --annotations=train.csv --output=train_knn.csv --num_neighbors=8

The output is the input with the column knn: the K nearest other rows by Euclidean distance,
nearest first, equally near ones by row number; row numbers from 0, joined by ; as in
    subDirectory_filePath,expression,valence,arousal,knn
    train/0001.png,3,0.21,0.7,8812;54;10203;3;977;4410;6120;12
A knn column that is already there is made anew. Images are not looked at.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags
from sklearn.neighbors import KDTree
from tqdm import tqdm

from ldl_fer import command_line
from ldl_fer.annotations import AROUSAL, NEIGHBORS, VALENCE, Annotations, read_annotations
from ldl_fer.errors import InputError
from ldl_fer.files import same_file
from ldl_fer.settings import DataConfig

_CHUNK = 8192  # points looked up at once
_SLACK = 4  # points looked up beyond K + 1, so that most ties are settled at once
_ROUNDING = 1e-12  # relative; the tree's distances may differ from ours in the last digits


def nearest_neighbors(valence_arousal: np.ndarray, k: int, progress: bool = True) -> np.ndarray:
    """The K nearest other rows of each row in the valence-arousal plane.  N(i) of Eq. 2.

    Rows are ordered by (Euclidean distance computed in float64, row number), exactly as sorting
    all N of them would. Rows at one point share one look-up: any number of them may coincide.

    Args:
      valence_arousal: [N, 2], finite.
      k: K, at least 1 and below N.
      progress: show a bar where it takes longer than two seconds.

    Returns:
      Int32 [N, K], nearest first, never the row itself.

    Raises:
      InputError: K is below 1 or not below N.
      ValueError: the array is not [N, 2] or not finite.
    """
    plane = np.asarray(valence_arousal, np.float64)
    if plane.ndim != 2 or plane.shape[1] != 2 or not np.isfinite(plane).all():
        raise ValueError(f"valence_arousal must be finite and [N, 2]; its shape is {plane.shape}")
    if not 1 <= k < len(plane):
        raise InputError(
            f"{k} neighbors asked of {len(plane)} rows: a row has at least one neighbor and at "
            "most as many as there are other rows. Change --num_neighbors or add rows."
        )
    points, point_of_row = _distinct(plane)
    nearest = np.empty([len(points.place), k + 1], np.int32)
    with tqdm(None, "neighbors", len(nearest), unit="point", delay=2, disable=not progress) as bar:
        for asked, rows in _nearest_rows(points, k + 1):
            nearest[asked] = rows
            bar.update(len(asked))
    # The K + 1 rows nearest to a point may hold the row itself: drop it, or else the last.
    candidates = nearest[point_of_row]
    drop = candidates == np.arange(len(plane))[:, np.newaxis]
    drop[:, -1] |= ~drop.any(axis=1)
    return candidates[~drop].reshape(-1, k)


def add_neighbors(annotations: Annotations, k: int, progress: bool = True) -> Annotations:
    """The annotations with their K nearest neighbors as the column knn.

    Raises:
      InputError: K is below 1 or not below the number of rows.
    """
    return with_neighbors(annotations, nearest_neighbors(_plane(annotations), k, progress))


def with_neighbors(annotations: Annotations, neighbors: np.ndarray) -> Annotations:
    """The annotations with neighbors [N, K] (sample_ids) as the column knn; without it if K = 0."""
    table = annotations.table.drop(columns=NEIGHBORS, errors="ignore")
    if neighbors.shape[1]:
        knn = [";".join(map(str, row)) for row in neighbors.tolist()]
        table = table.assign(**{NEIGHBORS: knn})
    return Annotations(table, annotations.class_names)


class _Points(NamedTuple):
    """The distinct points of the plane and the rows at each: P points, N rows."""

    place: np.ndarray  # [P, 2]
    size: np.ndarray  # [P], rows at the point
    start: np.ndarray  # [P], where they start in `rows`
    rows: np.ndarray  # [N], grouped by point, ascending within


def _distinct(plane: np.ndarray) -> tuple[_Points, np.ndarray]:
    """The distinct points, and which of them each row is at, [N]."""
    rows = np.lexsort((plane[:, 1], plane[:, 0]))  # stable: ascending among equals
    ordered = plane[rows]
    new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    start = np.flatnonzero(new)
    point_of_row = np.empty(len(plane), np.int64)
    point_of_row[rows] = np.cumsum(new) - 1
    return _Points(ordered[new], np.diff(start, append=len(rows)), start, rows), point_of_row


def _nearest_rows(points: _Points, wanted: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (points [c], rows [c, wanted]): the first rows by (distance, row) from each point.

    A look-up of some points is settled if it reaches beyond the last wanted row and all that are
    equally far; what is not settled is looked up again, twice as wide.
    """
    tree = KDTree(points.place)
    count = len(points.place)
    asked, width = np.arange(count), min(wanted + _SLACK, count)
    while len(asked):
        step = max(1, _CHUNK * (wanted + _SLACK) // width)
        unsettled = []
        for begin in range(0, len(asked), step):
            some = asked[begin : begin + step]
            distance, found = tree.query(points.place[some], width)
            enough = np.cumsum(points.size[found], axis=1) >= wanted
            limit = np.take_along_axis(distance, enough.argmax(axis=1)[:, np.newaxis], axis=1)
            inside = distance <= limit * (1.0 + _ROUNDING)
            settled = ~inside[:, -1] | (width == count)
            unsettled.append(some[~settled])
            if settled.any():
                which, column = np.nonzero(inside & settled[:, np.newaxis])
                pairs = some[which], found[which, column]
                yield some[settled], _first_rows(points, wanted, *pairs)
        asked, width = np.concatenate(unsettled), min(2 * width, count)


def _first_rows(points: _Points, wanted: int, asked: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The first rows by (distance, row) from each point asked for, out of pairs with another."""
    distance = np.sqrt(((points.place[asked] - points.place[other]) ** 2).sum(axis=1))
    size = np.minimum(points.size[other], wanted)  # later rows at a point cannot be wanted
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row = points.rows[np.repeat(points.start[other], size) + within]
    asked = np.repeat(asked, size)
    order = np.lexsort((row, np.repeat(distance, size), asked))
    asked, row = asked[order], row[order]
    first = np.flatnonzero(np.r_[True, asked[1:] != asked[:-1]])
    return row[first[:, np.newaxis] + np.arange(wanted)]


def _plane(annotations: Annotations) -> np.ndarray:
    """Float64 [N, 2], as precise as the CSV has it."""
    return annotations.table[[VALENCE, AROUSAL]].to_numpy(np.float64)


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
    flags.DEFINE_string("output", None, "CSV to write.", required=True)
    flags.DEFINE_integer(
        "num_neighbors", DataConfig().num_neighbors, "K, neighbors per sample.", lower_bound=1
    )
    flags.DEFINE_bool("overwrite", False, "Allow --output to be the input itself.")


def main() -> None:
    given = flags.FLAGS
    if same_file(given.annotations, given.output) and not given.overwrite:
        raise InputError(
            f"{given.output} is the input itself. Name another --output, or add --overwrite."
        )
    annotations = read_annotations(given.annotations, min_rows=given.num_neighbors + 1, knn=False)
    annotations = add_neighbors(annotations, given.num_neighbors)
    annotations.write(given.output)
    neighbors, labels, plane = annotations.neighbors, annotations.labels, _plane(annotations)
    same = np.mean(labels[neighbors] == labels[:, np.newaxis])
    distance = np.linalg.norm(plane[neighbors] - plane[:, np.newaxis], axis=-1).mean()
    print(
        f"{given.output}: {len(annotations)} rows with {given.num_neighbors} neighbors each; "
        f"{same:.1%} of the neighbors have the same label; mean distance {distance:.4f}"
    )


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
