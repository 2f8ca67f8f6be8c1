"""Adds label noise to annotations, reads its pairs, reports what changed."""

from collections.abc import Mapping, Sequence

import numpy as np

from ldl_fer.data.annotations import Annotations
from ldl_fer.data.label_confusion import class_numbers
from ldl_fer.errors import InputError
from ldl_fer.preparation.noise.kinds import KINDS
from ldl_fer.preparation.noise.label_list import CLEAN_LABEL, relabeled


def add_noise(
    annotations: Annotations,
    kind: str,
    rate: float | None,
    seed: int,
    pairs: Mapping[str, str] | None = None,
    confusion: np.ndarray | None = None,
) -> Annotations:
    """Returns the annotations with a noisy `expression`, and the clean one in `clean_expression`.

    A `clean_expression` that is already there is kept.

    Args:
      annotations: N rows, C classes.
      kind: a name in `kinds.KINDS`.
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
    """Counts what noise did to the labels, ready for JSON.

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


def parse_pairs(items: Sequence[str]) -> dict[str, str]:
    """Parses ["Fear:Surprise", ...] into {"Fear": "Surprise", ...}.

    Raises:
      InputError: an item of another form, or a class with two pairs.
    """
    pairs = {}
    for item in items:
        first, colon, second = (part.strip() for part in item.partition(":"))
        if not (first and colon and second) or ":" in second:
            raise InputError(f"--pairs has {item!r}; write CLASS:CLASS, such as Fear:Surprise.")
        if first in pairs:
            raise InputError(f"--pairs gives {first} two pairs; a class becomes one other.")
        pairs[first] = second
    return pairs


def pair_numbers(pairs: Mapping[str, str], class_names: Sequence[str]) -> np.ndarray:
    """Returns the class that each class becomes, int32 [C]: itself where it has no pair.

    Args:
      pairs: class name -> name of the class it becomes.
      class_names: C names.

    Raises:
      InputError: a name that is no class, a class with two pairs, or paired with itself.
    """
    numbers = np.arange(len(class_names), dtype=np.int32)
    firsts = class_numbers(list(pairs), class_names, "--pairs")
    for first, name in zip(firsts, pairs.values(), strict=True):
        (second,) = class_numbers([name], class_names, "--pairs")
        if second == first:
            raise InputError(f"--pairs makes {name} its own pair; name another class.")
        numbers[first] = second
    return numbers
