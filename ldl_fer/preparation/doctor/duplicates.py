"""Finds pictures that are the same, and pictures that look the same.

Near duplicates are pairs whose signatures (`pictures.signature`) correlate at 0.95 or more, one
of them mirrored or not. Of 17,339 faces of FER2013 these are 672 pairs. 100 of those below 0.965
were looked at: each was one photograph in two versions (crop, watermark, contrast); so were 9 of
the 10 mirrored ones. Between 0.93 and 0.95 about one in six shows two people. Binary hashes (of the
package imagehash) do not find the same: 256 bits of phash, at a distance of at most 50, find 84 %
of these pairs, and 17 % of what they find are others, 30 % at a distance that finds 95 %; dhash and
hashes of 64 bits do worse.

All pairs are compared, by matrix products. Few numbers of each signature are enough to rule out
almost all pairs, without losing one (a projection shortens distances); pictures are ordered by the
first of those numbers, so that blocks that lie too far apart are left out.
"""

from collections.abc import Iterator

import numpy as np

from ldl_fer.config.progress import tqdm
from ldl_fer.preparation.doctor import CORRELATION
from ldl_fer.preparation.doctor.pictures import ODD

_KEPT = 16  # numbers kept of the even frequencies, and of the odd ones
_SAMPLE = 20_000  # signatures that the projection is made from
_ROWS, _COLUMNS = 1024, 4096  # of a block
_SLACK = 2e-3  # rounding of float16 signatures


def identical_groups(digests: np.ndarray) -> list[np.ndarray]:
    """Returns groups of two or more equal rows.

    Args:
      digests: uint8 [M, D].

    Returns:
      Arrays of row numbers, ascending; the groups by their first row.
    """
    keys = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()
    _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.cumsum(sizes)[:-1])
    return sorted((g for g in groups if len(g) > 1), key=lambda g: g[0])


def near_pairs(
    signatures: np.ndarray, correlation: float = CORRELATION, progress: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns all pairs of pictures that look the same.

    Args:
      signatures: float [M, 255] of `pictures.signature`; an all-zero row is in no pair.
      correlation: least correlation of a pair, in (0, 1].
      progress: show a bar with time left.

    Returns:
      pairs: int [P, 2], lower number first, the most alike first.
      correlations: float32 [P].
      mirrored: bool [P], whether one is like the other's mirror image.
    """
    known = np.flatnonzero(np.any(signatures, axis=1))
    if len(known) < 2:
        return np.zeros([0, 2], int), np.zeros(0, np.float32), np.zeros(0, bool)
    first, second, mirrored, found = [], [], [], []
    for a, b, flipped in _candidates(signatures, known, correlation, progress):
        left, right = signatures[a].astype(np.float32), signatures[b].astype(np.float32)
        if flipped:
            right[:, ODD] *= -1
        alike = np.einsum("ij,ij->i", left, right)
        kept = alike >= correlation
        first.append(a[kept])
        second.append(b[kept])
        found.append(alike[kept])
        mirrored.append(np.full(kept.sum(), flipped))
    first, second = np.concatenate(first), np.concatenate(second)
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    found, mirrored = np.concatenate(found), np.concatenate(mirrored)
    order = np.lexsort((mirrored, pairs[:, 1], pairs[:, 0], -found))
    pairs, found, mirrored = pairs[order], found[order], mirrored[order]
    _, once = np.unique(pairs, axis=0, return_index=True)  # symmetric pictures come twice
    once.sort()
    return pairs[once], found[once], mirrored[once]


def _candidates(
    signatures: np.ndarray, known: np.ndarray, correlation: float, progress: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Yields (a, b, mirrored): all pairs a, b that may be alike, and some that are not."""
    even_part, odd_part = _projected(signatures, known)
    order = np.argsort(even_part[:, 0], kind="stable")
    even_part, odd_part, known = even_part[order], odd_part[order], known[order]
    reach = 2.0 * (1.0 - correlation) + _SLACK  # largest squared distance of the projections
    key = even_part[:, 0]
    half = 0.5 * ((even_part**2).sum(axis=1) + (odd_part**2).sum(axis=1))[:, np.newaxis]
    one = np.ones_like(half)
    left = np.hstack([even_part, odd_part, -half, one])  # the product with `right` is -distance²/2
    count = len(known)
    ends = np.searchsorted(key, key + np.sqrt(reach), side="right")
    with tqdm(
        None, "comparing pictures", count, unit="image", delay=2, disable=not progress
    ) as bar:
        for top in range(0, count, _ROWS):
            bottom = min(top + _ROWS, count)
            for begin in range(top, ends[bottom - 1], _COLUMNS):
                some = slice(begin, min(begin + _COLUMNS, ends[bottom - 1]))
                for flipped in (False, True):
                    odd = -odd_part[some] if flipped else odd_part[some]
                    right = np.hstack([even_part[some], odd, one[some], -half[some]])
                    i, j = np.nonzero(left[top:bottom] @ right.T >= -0.5 * reach)
                    later = j + begin > i + top
                    yield known[i[later] + top], known[j[later] + begin], flipped
            bar.update(bottom - top)


def _projected(signatures: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projects even and odd frequencies apart: float32 [M', 16] each.

    So a mirrored picture has the same even part, and the odd part with the other sign.
    """
    sample = known[:: -(-len(known) // _SAMPLE)]
    parts = []
    for columns in (~ODD, ODD):
        seen = signatures[sample][:, columns].astype(np.float32)
        _, axes = np.linalg.eigh(seen.T @ seen)
        axes = axes[:, : -_KEPT - 1 : -1]  # those of the largest eigenvalues, largest first
        starts = range(0, len(known), _SAMPLE)
        blocks = [signatures[known[s : s + _SAMPLE]][:, columns].astype(np.float32) for s in starts]
        parts.append(np.concatenate([block @ axes for block in blocks]))
    return parts[0], parts[1]
