"""Checks that the numbers in `expression` mean the classes that they are taken for.

There are two kinds of evidence. Counts: a published number of rows per class fits better, or
exactly, if the numbers are read in another order. Valence-arousal: the classes' means lie as their
names say on the circumplex (`affect.prototypes`), or as other names would. The fit is the
correlation of the means with the classes' places, both coordinates together, each less its mean
over the classes, so that shrunk or shifted values do no harm. On FER+ with predicted
valence-arousal (12,271 rows) the right order had 0.84, with half of the labels made random 0.78,
and no other order more than 0.51.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ldl_fer.preparation.affect.prototypes import PROTOTYPES
from ldl_fer.preparation.datasets.class_folders import map_flag
from ldl_fer.preparation.datasets.label_orders import known_orders, order_by_counts
from ldl_fer.preparation.datasets.reader import one_name
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, Finding
from ldl_fer.preparation.doctor.split import Split

_FITS, _BETTER = 0.6, 0.3  # correlation of another order, and what it has before the given one
_GAIN = 0.15  # correlation that the best of all orders has before the given one, to be doubted
_POOR = 0.5  # correlation, below which an order is doubted even without a better one
_FEWEST = 10  # rows with valence-arousal of a class


def check_label_order(splits: Sequence[Split], data_set: str | None = None) -> list[Finding]:
    """Looks for both kinds of evidence; a finding each where there is any.

    Args:
      splits: of the data set.
      data_set: its name in `READERS`; None: all are compared.
    """
    findings = []
    for split in splits:
        findings += [f for f in (_by_counts(split, data_set), _by_plane(split)) if f]
    return findings


def plane_fits(split: Split, orders: Mapping[str, Sequence[int]]) -> dict[str, float] | None:
    """Correlates the classes' mean valence-arousal with the circumplex, for each order.

    Args:
      split: labels and valence-arousal.
      orders: of `known_orders`.

    Returns:
      Name of the order -> correlation in [-1, 1]. None if fewer than four classes have a place on
      the circumplex and rows enough, or if all means are one point.
    """
    names = [one_name(name) for name in split.class_names]
    there = ~np.isnan(split.valence_arousal).any(axis=1) & (split.labels >= 0)
    counts = np.bincount(split.labels[there], minlength=len(names))
    fits = {}
    for title, order in orders.items():
        read_as = [names[number] for number in order]
        used = [k for k, n in enumerate(read_as) if n in PROTOTYPES and counts[k] >= _FEWEST]
        if len(used) < 4:
            return None
        plane = split.valence_arousal[there]
        means = np.array([plane[split.labels[there] == k].mean(axis=0) for k in used])
        places = np.array([PROTOTYPES[read_as[k]] for k in used])
        means, places = means - means.mean(axis=0), places - places.mean(axis=0)
        if np.linalg.norm(means) < 1e-6:
            return None
        norms = np.linalg.norm(means) * np.linalg.norm(places)
        fits[title] = float((means * places).sum() / norms)
    return fits


def best_order(split: Split) -> tuple[int, ...]:
    """Returns the order of the classes, of all there are, that fits the circumplex best.

    Only classes with a place on it and rows enough change places; the fit is `plane_fits`'s.
    """
    names = [one_name(name) for name in split.class_names]
    there = ~np.isnan(split.valence_arousal).any(axis=1) & (split.labels >= 0)
    labels, plane = split.labels[there], split.valence_arousal[there]
    counts = np.bincount(labels, minlength=len(names))
    used = [k for k, n in enumerate(names) if n in PROTOTYPES and counts[k] >= _FEWEST]
    order = list(range(len(names)))
    if used:
        means = np.array([plane[labels == k].mean(axis=0) for k in used])
        places = np.array([PROTOTYPES[names[k]] for k in used])
        products = (means - means.mean(axis=0)) @ (places - places.mean(axis=0)).T
        for row, column in zip(*linear_sum_assignment(-products), strict=True):
            order[used[row]] = used[column]
    return tuple(order)


def _by_plane(split: Split) -> Finding | None:
    own, names = "as given", split.class_names
    orders = {own: tuple(range(len(names))), **known_orders(names)}
    fits = plane_fits(split, orders)
    if fits is None:
        return None
    best = max(fits, key=fits.__getitem__)
    values: dict[str, Any] = {"split": split.name, "correlations": fits}
    if fits[best] >= _FITS and fits[best] - fits[own] >= _BETTER:
        return _other_order(
            split,
            best,
            orders[best],
            "where the classes lie in the valence-arousal plane fits the circumplex "
            f"with correlation {fits[best]:.2f}, read as given with {fits[own]:.2f}",
            values,
        )
    any_order = best_order(split)
    found = (plane_fits(split, {"best": any_order}) or fits | {"best": fits[own]})["best"]
    values["best_correlation"] = found
    if found >= _FITS and found - fits[own] >= _GAIN:
        moved = [
            f"{k} as {names[other]} (given as {names[k]})"
            for k, other in enumerate(any_order)
            if k != other
        ]
        return Finding(
            "label order",
            DOUBTFUL,
            f"{split.name}: the classes lie in the valence-arousal plane as their names say with "
            f"correlation {fits[own]:.2f}, and with {found:.2f} if the numbers in `expression` are "
            f"read otherwise: {', '.join(moved)}.",
            "Look at pictures of these classes: their numbers may be exchanged. "
            + _map_to_correct(split, any_order).rstrip(),
            values={**values, "order": [names[number] for number in any_order]},
        )
    if fits[own] < _POOR:
        return Finding(
            "label order",
            DOUBTFUL,
            f"{split.name}: the classes do not lie in the valence-arousal plane as their names say "
            f"(correlation {fits[own]:.2f}), nor in another known order (at best "
            f"{fits[best]:.2f}, {best}).",
            "Look at pictures of each class; check where valence and arousal are from.",
            values=values,
        )
    text = (
        f"{split.name}: the classes lie in the valence-arousal plane as their names say "
        f"(correlation {fits[own]:.2f}; other known orders {_best_other(fits, own)}, the best of "
        f"all orders {found:.2f})."
    )
    return Finding("label order", FINE, text, values=values)


def _by_counts(split: Split, data_set: str | None) -> Finding | None:
    found = order_by_counts(split.name, split.counts, split.class_names, data_set)
    if found is None:
        return None
    values = {
        "split": split.name,
        "data_set": found.reader.name,
        "difference_as_given": found.as_given,
    }
    return _other_order(split, found.title, found.order, found.evidence, values)


def _other_order(
    split: Split, title: str, order: Sequence[int], evidence: str, values: Mapping
) -> Finding:
    read_as = [split.class_names[number] for number in order]
    meaning, wanted = (
        ", ".join(f"{number} {name}" for number, name in enumerate(names))
        for names in (read_as, split.class_names)
    )
    return Finding(
        "label order",
        MISTAKE,
        f"{split.name}: the numbers in `expression` rather look like the order of {title} "
        f"({meaning}): {evidence}.",
        f"{_map_to_correct(split, order)}Else name the classes in the order of their numbers, here "
        f"and for training: {shlex.quote('--class_names=' + ','.join(read_as))}; or replace each "
        f"number by that of its class in {wanted}, as `ldl-fer datasets` does from the original "
        "files.",
        values={**values, "order": read_as},
    )


def _map_to_correct(split: Split, order: Sequence[int]) -> str:
    """Returns the cure of a CSV that `ldl-fer datasets class_folders` wrote by a wrong --map."""
    start = (
        "If the CSV is from class folders, correct the --map of `ldl-fer datasets class_folders`"
    )
    classes = {}
    for folder, label in zip(split.originals, split.labels.tolist(), strict=False):
        if label < 0 or classes.setdefault(folder, order[label]) != order[label]:
            return f"{start}. "  # Labels were changed since.
    if not classes:
        return f"{start}. "
    right = {folder: split.class_names[c] for folder, c in classes.items()}
    return f"{start}: give {map_flag(right)}. "


def _best_other(fits: Mapping[str, float], own: str) -> str:
    others = [fit for title, fit in fits.items() if title != own]
    return f"at most {max(others):.2f}" if others else "none known"
