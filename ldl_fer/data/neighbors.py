"""The neighbors of each sample in the auxiliary space (Eq. 2), of any number of dimensions.

In the plane a tree finds them. In more dimensions trees look at nearly everything: products of
matrices in float32, with a bound of their rounding, leave a few candidates a row, whose distances
are computed in float64.
"""

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
_ROWS, _COLUMNS = 512, 2048  # of a product of matrices, small enough for a processor's cache
_REST = 0.01  # share of the variance that a product leaves to the lengths of the rest
_NUMBERS = 2**18  # that are computed with at once, so that they stay near the processor


def nearest_neighbors(
    space: np.ndarray,
    k: int,
    progress: bool = True,
    pictures: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the K nearest rows of other pictures of each row, N(i) of Eq. 2.

    Rows are ordered by (Euclidean distance computed in float64, row number), exactly as sorting
    all N of them would. Rows at one point share one look-up: any number of them may coincide.

    Args:
      space: [N, D], finite.
      k: K, at least 1 and below N.
      progress: show a bar where it takes longer than two seconds.
      pictures: [N] integers from 0, which picture a row is of; None: each row is of its own.

    Returns:
      Int32 [N, K], nearest first, never the row itself or one of the same picture.

    Raises:
      InputError: K is below 1, or a row has fewer than K rows of other pictures.
      ValueError: the array is not [N, D] or not finite.
    """
    space = np.asarray(space)
    if space.ndim != 2 or not space.shape[1] or not np.isfinite(space).all():
        raise ValueError(f"the space must be finite and [N, D]; its shape is {space.shape}")
    if space.dtype != np.float32 or space.shape[1] == 2:  # of many columns, float32 saves memory
        space = space.astype(np.float64)
    if not 1 <= k < len(space):
        raise InputError(
            f"{k} neighbors asked of {len(space)} rows: a row has at least one neighbor and at "
            "most as many as there are other rows. Change --num_neighbors or add rows."
        )
    if pictures is None:
        pictures = np.arange(len(space))
    most = int(np.bincount(pictures).max())  # rows of one picture
    if k > len(space) - most:
        raise InputError(
            f"{k} neighbors asked of {len(space)} rows, and one picture has {most} of them: "
            "neighbors are other pictures. Change --num_neighbors or add pictures."
        )
    points, point_of_row = _distinct(space)
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


def add_neighbors(
    annotations: Annotations, k: int, progress: bool = True, space: np.ndarray | None = None
) -> Annotations:
    """Returns the annotations with their K nearest neighbors, other pictures, as the column knn.

    Args:
      annotations: N rows.
      k: K.
      progress: as `nearest_neighbors` takes it.
      space: [N, D]; None: the plane of the annotations' valence and arousal.

    Raises:
      InputError: K is below 1, or there are not K rows of other pictures.
    """
    pictures = _pictures(annotations)
    space = plane_of(annotations) if space is None else space
    return with_neighbors(annotations, nearest_neighbors(space, k, progress, pictures))


def with_neighbors(annotations: Annotations, neighbors: np.ndarray) -> Annotations:
    """Returns the annotations with sample_ids [N, K] as the column knn; without it if K = 0."""
    table = annotations.table.drop(columns=NEIGHBORS, errors="ignore")
    if neighbors.shape[1]:
        knn = [";".join(map(str, row)) for row in neighbors.tolist()]
        table = table.assign(**{NEIGHBORS: knn})
    return Annotations(table, annotations.class_names)


def neighbors_of(
    annotations: Annotations, num_neighbors: int, space: np.ndarray | None = None
) -> np.ndarray:
    """Returns the first K neighbors of the knn column if it has so many, else the nearest rows.

    The latter are of other pictures than the row itself. The column is of the valence-arousal
    plane: for another space it is not looked at.

    Args:
      annotations: N rows.
      num_neighbors: K; 0 reads nothing.
      space: [N, D]; None: the plane of the annotations' valence and arousal.

    Returns:
      [N, K] sample_ids, int32, nearest first.

    Raises:
      InputError: there are not K rows of other pictures.
    """
    if not num_neighbors:
        return np.zeros([len(annotations), 0], np.int32)
    given = annotations.neighbors if space is None else None
    if given is not None and given.shape[1] >= num_neighbors:
        return given[:, :num_neighbors]
    space = plane_of(annotations) if space is None else space
    return nearest_neighbors(space, num_neighbors, pictures=_pictures(annotations))


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


def is_constant(space: np.ndarray) -> bool:
    """Returns whether all of two or more points [N, D] are one."""
    return len(space) > 1 and bool(np.ptp(space, axis=0).max() < _POINT)


class _Points(NamedTuple):
    """The distinct points of a space and the rows at each: P points, N rows."""

    place: np.ndarray  # [P, D]
    size: np.ndarray  # [P], rows at the point
    start: np.ndarray  # [P], where they start in `rows`
    rows: np.ndarray  # [N], grouped by point, ascending within


def _distinct(space: np.ndarray) -> tuple[_Points, np.ndarray]:
    """Returns the distinct points, and which of them each row is at, [N]."""
    rows = np.lexsort(space.T[::-1])  # stable: ascending among equals
    ordered = space[rows]
    new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    start = np.flatnonzero(new)
    point_of_row = np.empty(len(space), np.int64)
    point_of_row[rows] = np.cumsum(new) - 1
    return _Points(ordered[new], np.diff(start, append=len(rows)), start, rows), point_of_row


def _nearest_rows(points: _Points, wanted: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (points [c], rows [c, wanted]): the first rows by (distance, row) from each point."""
    find = _near_in_plane if points.place.shape[1] == 2 else _near_in_space
    for asked, *pairs in find(points, wanted):
        yield asked, _first_rows(points, wanted, *pairs)


_Found = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _near_in_plane(points: _Points, wanted: int) -> _Found:
    """Yields points [c] and pairs with others, among which are those of the wanted rows of each.

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
                yield some[settled], some[which], found[which, column]
        asked, width = np.concatenate(unsettled), min(2 * width, count)


def _near_in_space(points: _Points, wanted: int) -> _Found:
    """Yields as `_near_in_plane`, block by block of the points."""
    count = len(points.place)
    wanted = min(wanted, count)
    left, right, squares, error = _factors(points.place)
    # Points are sorted by place. Shuffled, the first of them tell how near the wanted ones are.
    shuffled = np.random.default_rng(0).permutation(count)
    right = right[shuffled]
    products = np.empty([_ROWS, _COLUMNS], np.float32)
    marks = np.empty([_ROWS, _COLUMNS], bool)
    for begin in range(0, count, _ROWS):
        asked = np.arange(begin, min(begin + _ROWS, count))
        reach = np.full(len(asked), np.inf)  # to the last wanted point, as far as is known
        row, other = np.empty([2, 0], np.int64)
        distance = np.empty(0)
        for start in range(0, count, _COLUMNS):
            some, ids = right[start : start + _COLUMNS], shuffled[start : start + _COLUMNS]
            shape = slice(len(asked)), slice(len(some))
            closeness = np.matmul(left[asked], some.T, out=products[shape])
            if not start and closeness.shape[1] >= wanted:
                reach = _first_reach(points.place, asked, ids, closeness, wanted)
            needed = (squares[asked] * (1.0 - error) - reach**2 * (1.0 + error)) / 2
            needed = needed.astype(np.float32)[:, np.newaxis]
            found = np.flatnonzero(np.greater_equal(closeness, needed, out=marks[shape]))
            if not len(found):
                continue
            near, column = np.divmod(found, len(some))
            row, other = np.r_[row, near], np.r_[other, ids[column]]
            distance = np.r_[distance, distances(points.place, asked[near], ids[column])]
            order = np.lexsort((distance, row))
            row, other, distance = row[order], other[order], distance[order]
            first = np.searchsorted(row, np.arange(len(asked) + 1))
            enough = np.diff(first) >= wanted
            last = distance[first[:-1][enough] + wanted - 1]
            reach[enough] = np.minimum(reach[enough], last)
            kept = distance <= reach[row] * (1.0 + _ROUNDING)
            row, other, distance = row[kept], other[kept], distance[kept]
        yield asked, asked[row], other


def _factors(place: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns what says, by a product of matrices, which points may be near.

    A point y is within r of x if x.y - |y|^2 / 2 >= (|x|^2 - r^2) / 2, both centered. Turned to
    their principal axes, x.y is at most that of the first axes plus the product of the other axes'
    lengths: few columns do for points that vary along few axes. Another makes up for what rounding
    can take off, error (|x| |y| + |y|^2 / 2).

    Args:
      place: [P, D].

    Returns:
      Float32 [P, E] and [P, E], whose product is the left side, or more; |x|^2, [P]; error.
    """
    center = place.mean(axis=0, dtype=np.float64)
    covariance, step = np.zeros([place.shape[1]] * 2), max(1, _NUMBERS // place.shape[1])
    parts = [slice(begin, begin + step) for begin in range(0, len(place), step)]
    for part in parts:
        centered = place[part] - center
        covariance += centered.T @ centered
    variance, axes = np.linalg.eigh(covariance)  # ascending
    others = int((np.cumsum(variance) <= _REST * variance.sum()).sum())
    error = 2 * (place.shape[1] - others + 8) * 2.0**-24
    squares, left, right = [], [], []
    for part in parts:
        turned = (place[part] - center) @ axes
        rest = np.linalg.norm(turned[:, :others], axis=1)
        square = (turned**2).sum(axis=1)
        length = np.sqrt(square)
        one = np.ones(len(turned))
        first = turned[:, others:]
        squares.append(square)
        left.append(np.column_stack([first, rest, length, one]).astype(np.float32))
        columns = [first, rest, error * length, (error - 1.0) * square / 2]
        right.append(np.column_stack(columns).astype(np.float32))
    return np.concatenate(left), np.concatenate(right), np.concatenate(squares), error


def _first_reach(
    place: np.ndarray, asked: np.ndarray, ids: np.ndarray, closeness: np.ndarray, wanted: int
) -> np.ndarray:
    """Returns a distance of each asked point within which there are as many as are wanted."""
    found = np.argpartition(closeness, -wanted, axis=1)[:, -wanted:]
    distance = distances(place, np.repeat(asked, wanted), ids[found.ravel()])
    return distance.reshape(len(asked), wanted).max(axis=1)


def distances(place: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the distance of each pair of points, computed in float64."""
    made, step = np.empty(len(first)), max(1, _NUMBERS // place.shape[1])
    for begin in range(0, len(first), step):
        part = slice(begin, begin + step)
        difference = place[first[part]].astype(np.float64) - place[second[part]]
        made[part] = np.sqrt((difference**2).sum(axis=1))
    return made


def _first_rows(points: _Points, wanted: int, asked: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the first rows by (distance, row) from each point, out of pairs of points."""
    distance = distances(points.place, asked, other)
    size = np.minimum(points.size[other], wanted)  # later rows at a point cannot be wanted
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row = points.rows[np.repeat(points.start[other], size) + within]
    asked = np.repeat(asked, size)
    order = np.lexsort((row, np.repeat(distance, size), asked))
    asked, row = asked[order], row[order]
    first = np.flatnonzero(np.r_[True, asked[1:] != asked[:-1]])
    return row[first[:, np.newaxis] + np.arange(wanted)]
