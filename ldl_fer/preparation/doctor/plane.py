"""Checks that valence and arousal are there, usual for their class, and useful for neighbors."""

from collections.abc import Sequence

import numpy as np
from sklearn.covariance import MinCovDet

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.neighbors import is_constant, nearest_neighbors
from ldl_fer.preparation.affect.filling import MOST_SATURATED, SATURATION, saturated
from ldl_fer.preparation.affect.human_values import (
    CURE,
    HUMAN_SOURCE,
    class_means_beside_human,
    shift_sentence,
)
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, Finding, Row
from ldl_fer.preparation.doctor.split import Split

NEIGHBORS = DataConfig().num_neighbors
UNUSUAL = 4.5  # robust standard deviations; of normal values 1 in 25,000 lies further off
_NARROWEST = 0.05  # standard deviation that a class is given at least
_FEWEST = 20  # rows of a class, below which nothing is usual
_MOST_FITTED = 5000  # rows that a class' center and spread are estimated from
_NO_BETTER = 1.2  # times chance, below which neighbors say nothing about the label
_FILL = (
    "`ldl-fer affect` fills both columns; see its --help. Methods without neighbors, as "
    "cross_entropy, train without: --num_neighbors=0 looks at a set for those."
)


def check_plane(
    splits: Sequence[Split],
    num_neighbors: int = NEIGHBORS,
    progress: bool = True,
    wanted: bool = True,
) -> list[Finding]:
    """Runs all checks of valence and arousal.

    Args:
      splits: of the data set.
      num_neighbors: K of the neighbors whose labels are compared; 0: of a method without, which
        needs no valence-arousal.
      progress: show a bar where finding them takes longer than two seconds.
      wanted: whether neighbors are to be found by valence-arousal, in the training set.
    """
    findings = []
    for split in splits:
        by_neighbors = split.name == "train" and num_neighbors > 0
        findings += _missing(split, by_neighbors and wanted) + _saturated(split)
        findings += _shifted(split) + _unusual(split)
        if by_neighbors:
            findings += _agreement(split, num_neighbors, progress)
    return findings


def unusual_distances(split: Split) -> np.ndarray:
    """Measures how far each row's valence-arousal is from what is usual in its class.

    The class' center and covariance are robust (minimum covariance determinant); a class is given
    a standard deviation of at least 0.05.

    Returns:
      Float64 [N], in robust standard deviations (Mahalanobis distance); NaN where there is no
      valence-arousal, no class, or fewer than 20 rows of the class.
    """
    distances = np.full(len(split), np.nan)
    there = ~np.isnan(split.valence_arousal).any(axis=1)
    for label in range(len(split.class_names)):
        rows = np.flatnonzero(there & (split.labels == label))
        if len(rows) < _FEWEST:
            continue
        points = split.valence_arousal[rows]
        fitted = points[:: -(-len(points) // _MOST_FITTED)]
        wiggle = np.random.default_rng(0).normal(0.0, 1e-3, fitted.shape)  # values may coincide
        estimate = MinCovDet(random_state=0).fit(fitted + wiggle)
        covariance = estimate.covariance_ + _NARROWEST**2 * np.eye(2)
        offset = points - estimate.location_
        squared = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
        distances[rows] = np.sqrt(squared)
    return distances


def _missing(split: Split, needed: bool) -> list[Finding]:
    absent = np.flatnonzero(np.isnan(split.valence_arousal).any(axis=1))
    values = {"split": split.name, "rows": len(split), "absent": len(absent)}
    if len(absent) and not needed:
        text = (
            f"{split.name}: {len(absent)} of {len(split)} rows have none; only training with "
            "neighbors needs it."
        )
        return [Finding("valence-arousal", FINE, text, values=values)]
    if len(absent):
        all_or_some = "no row has" if len(absent) == len(split) else f"{len(absent)} rows have no"
        return [
            Finding(
                "valence-arousal",
                MISTAKE,
                f"{split.name}: {all_or_some} valence and arousal.",
                _FILL,
                () if len(absent) == len(split) else tuple(split.row(row) for row in absent),
                values,
            )
        ]
    if needed and is_constant(split.valence_arousal):
        text = f"{split.name}: valence and arousal are the same in all rows."
        return [Finding("valence-arousal", MISTAKE, text, _FILL, values=values)]
    text = f"{split.name}: every row has valence and arousal."
    return [Finding("valence-arousal", FINE, text, values=values)]


def _saturated(split: Split) -> list[Finding]:
    rows = np.flatnonzero(saturated(split.valence_arousal))
    present = np.isfinite(split.valence_arousal).all(axis=1).sum()
    if not len(rows) > MOST_SATURATED * present:
        return []
    size = np.nanmax(np.abs(split.valence_arousal[rows]), axis=1)
    rows = rows[np.argsort(-size, kind="stable")]
    return [
        Finding(
            "valence-arousal",
            DOUBTFUL,
            f"{split.name}: {len(rows)} rows ({len(rows) / len(split):.1%}) have a valence or "
            f"arousal beyond {SATURATION} or -{SATURATION}. Raters seldom go so far; a model that "
            "was trained too briefly, or is fed wrongly, does.",
            "See in the column valence_arousal_source, if there is one, which model they are from, "
            "and fill them anew by a better one: `ldl-fer affect predict --overwrite`.",
            tuple(
                split.row(row, "at ({:.2f}, {:.2f})".format(*split.valence_arousal[row]))
                for row in rows
            ),
            {"split": split.name, "rows": len(split), "saturated": len(rows)},
        )
    ]


def _shifted(split: Split) -> list[Finding]:
    """Compares class means with people's; nothing of constants and classes without such a mean."""
    if is_constant(split.valence_arousal):
        return []
    means = class_means_beside_human(split.class_names, split.labels, split.valence_arousal)
    if not means:
        return []
    values = {"split": split.name, "means": [mean._asdict() for mean in means]}
    check, shift = "class means", shift_sentence(means)
    if not shift:
        text = f"{split.name}: class means of valence and arousal are near {HUMAN_SOURCE}."
        return [Finding(check, FINE, text, values=values)]
    return [Finding(check, DOUBTFUL, f"{split.name}: {shift}", CURE, values=values)]


def _unusual(split: Split) -> list[Finding]:
    distances = unusual_distances(split)
    looked_at = ~np.isnan(distances)
    if not looked_at.any():
        return []
    rows = np.flatnonzero(looked_at & (distances > UNUSUAL))
    rows = rows[np.argsort(-distances[rows], kind="stable")]
    per_class = np.bincount(split.labels[rows], minlength=len(split.class_names)).tolist()
    values = {"split": split.name, "rows": len(rows), "per_class": per_class}
    if not len(rows):
        text = f"{split.name}: no valence-arousal is far from what its class usually has."
        return [Finding("unusual valence-arousal", FINE, text, values=values)]
    return [
        Finding(
            "unusual valence-arousal",
            DOUBTFUL,
            f"{split.name}: {len(rows)} rows ({len(rows) / len(split):.2%}) lie more than "
            f"{UNUSUAL} robust standard deviations from what their class usually has.",
            "Look at these pictures: the label or the values may be wrong.",
            tuple(_unusual_row(split, row, distances[row]) for row in rows),
            values,
        )
    ]


def _unusual_row(split: Split, row: int, distance: float) -> Row:
    valence, arousal = split.valence_arousal[row]
    name = split.class_names[split.labels[row]]
    return split.row(
        row, f"{name} at ({valence:.2f}, {arousal:.2f}), {distance:.1f} deviations off"
    )


def _agreement(split: Split, k: int, progress: bool) -> list[Finding]:
    if len(split) <= k:
        text = f"{split.name} has {len(split)} rows; {k} neighbors need more than {k}."
        return [Finding("neighbors", MISTAKE, text, "Lower --num_neighbors or add rows.")]
    rows = np.flatnonzero(~np.isnan(split.valence_arousal).any(axis=1) & (split.labels >= 0))
    if len(rows) <= k:
        return []
    neighbors = nearest_neighbors(split.valence_arousal[rows], k, progress)
    cure = (
        "Valence and arousal say next to nothing of these labels; check that they belong to these "
        "rows, or make them anew by `ldl-fer affect`."
    )
    return [agreement(split, rows, neighbors, cure)]


def agreement(
    split: Split, rows: np.ndarray, neighbors: np.ndarray, cure: str, space: str = "valence_arousal"
) -> Finding:
    """Compares how often neighbors have the row's label with rows drawn at random.

    Args:
      split: the training set.
      rows: M of its rows, with a label.
      neighbors: [M, K], their neighbors among them, by place in `rows`.
      cure: what to do where neighbors are no better than others.
      space: where they are neighbors.
    """
    labels, k = split.labels[rows], neighbors.shape[1]
    same = (labels[neighbors] == labels[:, np.newaxis]).mean(axis=1)
    counts = np.bincount(labels, minlength=len(split.class_names))
    by_class = np.bincount(labels, same, len(counts)) / np.maximum(counts, 1)
    chances = np.maximum(counts - 1, 0) / (len(rows) - 1)  # of another row to have the same label
    overall, chance = float(same.mean()), float(chances[labels].mean())
    values = {
        "split": split.name,
        "auxiliary": space,
        "num_neighbors": k,
        "same_label": overall,
        "chance": chance,
        "same_label_per_class": by_class.tolist(),
        "chance_per_class": chances.tolist(),
    }
    listed = ", ".join(
        f"{name} {share:.0%} ({by_chance:.0%})"
        for name, share, by_chance in zip(split.class_names, by_class, chances, strict=True)
    )
    by = "" if space == "valence_arousal" else f", by {space}"
    text = (
        f"{split.name}{by}: {overall:.1%} of the {k} neighbors have the same label, {chance:.1%} "
        f"would by chance. By class (chance): {listed}."
    )
    if overall >= _NO_BETTER * chance:
        return Finding("neighbors", FINE, text, values=values)
    return Finding("neighbors", DOUBTFUL, text, cure, values=values)
