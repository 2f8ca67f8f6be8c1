"""The neighbors of each sample in the valence-arousal plane (Eq. 2)."""

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.neighbors import KDTree

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import AROUSAL, NEIGHBORS, VALENCE, Annotations
from ldl_fer.errors import InputError

_CHUNK = 8192  # points looked up at once
_SLACK = 4  # points looked up beyond K + 1, so that most ties are settled at once
_POINT = 1e-6  # side of what counts as one point
_ROUNDING = 1e-12  # relative; the tree's distances may differ from ours in the last digits


def nearest_neighbors(
    valence_arousal: np.ndarray,
    k: int,
    progress: bool = True,
    pictures: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the K nearest rows of other pictures of each row in the plane, N(i) of Eq. 2.

    Rows are ordered by (Euclidean distance computed in float64, row number), exactly as sorting
    all N of them would. Rows at one point share one look-up: any number of them may coincide.

    Args:
      valence_arousal: [N, 2], finite.
      k: K, at least 1 and below N.
      progress: show a bar where it takes longer than two seconds.
      pictures: [N] integers from 0, which picture a row is of; None: each row is of its own.

    Returns:
      Int32 [N, K], nearest first, never the row itself or one of the same picture.

    Raises:
      InputError: K is below 1, or a row has fewer than K rows of other pictures.
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
    if pictures is None:
        pictures = np.arange(len(plane))
    most = int(np.bincount(pictures).max())  # rows of one picture
    if k > len(plane) - most:
        raise InputError(
            f"{k} neighbors asked of {len(plane)} rows, and one picture has {most} of them: "
            "neighbors are other pictures. Change --num_neighbors or add pictures."
        )
    points, point_of_row = _distinct(plane)
    nearest = np.empty([len(points.place), k + most], np.int32)
    with tqdm(None, "neighbors", len(nearest), unit="point", delay=2, disable=not progress) as bar:
        for asked, rows in _nearest_rows(points, k + most):
            nearest[asked] = rows
            bar.update(len(asked))
    # The rows nearest to a point may hold the row itself and others of its picture: drop these.
    candidates = nearest[point_of_row]
    own = pictures[candidates] == pictures[:, np.newaxis]
    kept = ~own & (np.cumsum(~own, axis=1) <= k)
    return candidates[kept].reshape(-1, k)


def add_neighbors(annotations: Annotations, k: int, progress: bool = True) -> Annotations:
    """Returns the annotations with their K nearest neighbors, other pictures, as the column knn.

    Raises:
      InputError: K is below 1, or there are not K rows of other pictures.
    """
    pictures = _pictures(annotations)
    plane = plane_of(annotations)
    return with_neighbors(annotations, nearest_neighbors(plane, k, progress, pictures))


def with_neighbors(annotations: Annotations, neighbors: np.ndarray) -> Annotations:
    """Returns the annotations with sample_ids [N, K] as the column knn; without it if K = 0."""
    table = annotations.table.drop(columns=NEIGHBORS, errors="ignore")
    if neighbors.shape[1]:
        knn = [";".join(map(str, row)) for row in neighbors.tolist()]
        table = table.assign(**{NEIGHBORS: knn})
    return Annotations(table, annotations.class_names)


def neighbors_of(annotations: Annotations, num_neighbors: int) -> np.ndarray:
    """Returns the first K neighbors of the knn column if it has so many, else the nearest rows.

    The latter are of other pictures than the row itself.

    Args:
      annotations: N rows.
      num_neighbors: K; 0 reads nothing.

    Returns:
      [N, K] sample_ids, int32, nearest first.

    Raises:
      InputError: there are not K rows of other pictures.
    """
    if not num_neighbors:
        return np.zeros([len(annotations), 0], np.int32)
    given = annotations.neighbors
    if given is not None and given.shape[1] >= num_neighbors:
        return given[:, :num_neighbors]
    plane = plane_of(annotations)
    return nearest_neighbors(plane, num_neighbors, pictures=_pictures(annotations))


def _pictures(annotations):
    """Says which picture each row is of, [N]."""
    return pd.factorize(annotations.table[PATH].map(posixpath.normpath))[0]


def plane_of(annotations: Annotations) -> np.ndarray:
    """Returns valence and arousal, float64 [N, 2], as precise as the CSV has them.

    Raises:
      InputError: they are the same in all rows, so that nobody is nearer than another.
    """
    plane = annotations.table[[VALENCE, AROUSAL]].to_numpy(np.float64)
    if is_constant(plane):
        raise InputError(
            "valence and arousal are the same in all rows: neighbors by them say nothing. "
            "`ldl-fer affect --overwrite` makes them anew; --method=cross_entropy trains without."
        )
    return plane


def is_constant(plane: np.ndarray) -> bool:
    """Returns whether all of two or more points [N, 2] are one."""
    return len(plane) > 1 and bool(np.ptp(plane, axis=0).max() < _POINT)


class _Points(NamedTuple):
    """The distinct points of the plane and the rows at each: P points, N rows."""

    place: np.ndarray  # [P, 2]
    size: np.ndarray  # [P], rows at the point
    start: np.ndarray  # [P], where they start in `rows`
    rows: np.ndarray  # [N], grouped by point, ascending within


def _distinct(plane: np.ndarray) -> tuple[_Points, np.ndarray]:
    """Returns the distinct points, and which of them each row is at, [N]."""
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
    """Returns the first rows by (distance, row) from each point, out of pairs of points."""
    distance = np.sqrt(((points.place[asked] - points.place[other]) ** 2).sum(axis=1))
    size = np.minimum(points.size[other], wanted)  # later rows at a point cannot be wanted
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row = points.rows[np.repeat(points.start[other], size) + within]
    asked = np.repeat(asked, size)
    order = np.lexsort((row, np.repeat(distance, size), asked))
    asked, row = asked[order], row[order]
    first = np.flatnonzero(np.r_[True, asked[1:] != asked[:-1]])
    return row[first[:, np.newaxis] + np.arange(wanted)]
