"""Annotations with labels made wrong on purpose, and what was done to them."""

from collections.abc import Mapping

import numpy as np

from ldl_fer.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.label_list import CLEAN_LABEL, relabeled
from ldl_fer.noise_kinds import KINDS
from ldl_fer.noise_sources import pair_numbers


def add_noise(
    annotations: Annotations,
    kind: str,
    rate: float | None,
    seed: int,
    pairs: Mapping[str, str] | None = None,
    confusion: np.ndarray | None = None,
) -> Annotations:
    """The annotations with noisy `expression` and the clean one in `clean_expression`.

    A `clean_expression` that is already there is kept.

    Args:
      annotations: N rows, C classes.
      kind: a name in `noise_kinds.KINDS`.
      rate: part of the rows, in [0, 1]; None for one_vote, and for confusion's own rate.
      seed: >= 0.
      pairs: for kind pair, class name -> name of the class it becomes; None: the next class.
      confusion: for kind confusion, [C, C], true class by row.

    Raises:
      InputError: an unknown kind, a rate or seed out of range, pairs or a confusion given to
        another kind, and as the kind's function.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of noise; there are: {', '.join(KINDS)}.")
    flip, source = KINDS[kind]
    given = {"pairs": pairs, "confusion": confusion}
    for name, value in given.items():
        if value is not None and name != source:
            raise InputError(f"kind {kind} does not use --{name}; leave it out.")
    if source == "pairs" and pairs is not None:
        given["pairs"] = pair_numbers(pairs, annotations.class_names)
    if source == "votes":
        given["votes"] = annotations.votes
    sources = [given[source]] if source else []
    noisy = flip(annotations.labels, rate, len(annotations.class_names), seed, *sources)
    return relabeled(annotations, noisy)


def noise_report(before: Annotations, after: Annotations) -> dict:
    """What noise did to the labels, ready for JSON.

    Returns:
      rows: N; changed: rows whose label differs from `before`; rate_realized: changed / N;
      rate_total: part of the rows that differ from `clean_expression`; class_names: C names;
      counts: [C][C], rows of a class before (first index) and after (second).
    """
    classes = len(before.class_names)
    pairs = before.labels * classes + after.labels
    clean = after.table[CLEAN_LABEL].to_numpy()
    changed = int((before.labels != after.labels).sum())
    return {
        "rows": len(before),
        "changed": changed,
        "rate_realized": changed / len(before),
        "rate_total": float(np.mean(clean != after.labels)),
        "class_names": list(before.class_names),
        "counts": np.bincount(pairs, minlength=classes**2).reshape(classes, classes).tolist(),
    }
