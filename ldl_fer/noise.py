"""Writes a copy of an annotation CSV whose labels are wrong on purpose, and what was done.

    python -m ldl_fer.noise --annotations=train.csv --output=train_noisy.csv --rate=0.3 --seed=0

In the output `expression` is noisy and `clean_expression` is the label before any noise, also
where noise is added a second time. Everything else is carried along; a knn column stays valid, as
it depends on valence and arousal alone. Beside it train_noisy.json tells kind, seed, rate asked
and realized, class counts, and the SHA-256 of both files. The same input, kind, rate and seed make
the same output.

Kinds of noise:
    symmetric   round(rate N) rows, drawn without replacement, get another class, any equally likely
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags

from ldl_fer import command_line
from ldl_fer.annotations import LABEL, Annotations, read_annotations
from ldl_fer.errors import InputError
from ldl_fer.files import same_file, write_whole

CLEAN_LABEL = "clean_expression"


def flip_symmetric(labels: np.ndarray, rate: float, num_classes: int, seed: int) -> np.ndarray:
    """Replaces the labels of round(rate N) rows, drawn without replacement, by other classes.

    Args:
      labels: integers [N] in [0, C).
      rate: part of the rows, in [0, 1].
      num_classes: C, at least 2; each of the other C - 1 classes is equally likely.
      seed: >= 0.

    Returns:
      Int32 [N]; exactly round(rate N) rows differ from `labels`.

    Raises:
      InputError: rate, seed, number of classes or a label is out of range.
    """
    labels = np.asarray(labels)
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"the noise rate is {rate}; it must lie in [0, 1].")
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be at least 0.")
    if num_classes < 2:
        raise InputError(f"{num_classes} classes: noise needs at least 2 to choose from.")
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(outside):
        row = outside[0]
        raise InputError(f"row {row} has label {labels[row]}; it must lie in [0, {num_classes}).")
    random = np.random.default_rng(seed)
    rows = random.choice(len(labels), round(rate * len(labels)), replace=False)
    noisy = labels.astype(np.int32)
    noisy[rows] = (noisy[rows] + random.integers(1, num_classes, len(rows))) % num_classes
    return noisy


# A kind of noise is a function (labels, rate, num_classes, seed) -> noisy labels.
KINDS: dict[str, Callable[[np.ndarray, float, int, int], np.ndarray]] = {
    "symmetric": flip_symmetric
}


def add_noise(annotations: Annotations, kind: str, rate: float, seed: int) -> Annotations:
    """The annotations with noisy `expression` and the clean one in `clean_expression`.

    A `clean_expression` that is already there is kept.

    Raises:
      InputError: an unknown kind, or a rate or seed out of range.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of noise; there are: {', '.join(KINDS)}.")
    noisy = KINDS[kind](annotations.labels, rate, len(annotations.class_names), seed)
    table = annotations.table.copy()
    if CLEAN_LABEL not in table:
        table[CLEAN_LABEL] = annotations.labels
    table[LABEL] = noisy
    return Annotations(table, annotations.class_names)


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


def _sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
    flags.DEFINE_string("output", None, "CSV to write; its .json goes beside it.", required=True)
    flags.DEFINE_float("rate", None, "Part of the labels to change, in [0, 1].", required=True)
    flags.DEFINE_integer("seed", 0, "Another seed is another draw.")
    flags.DEFINE_enum("kind", "symmetric", list(KINDS), "How labels go wrong.")


def main() -> None:
    given = flags.FLAGS
    output = Path(given.output)
    if output.suffix != ".csv":
        raise InputError(f"--output={output} must end in .csv, for its .json to go beside it.")
    if same_file(given.annotations, output):
        raise InputError(f"{output} is the input itself. Name another --output.")
    annotations = read_annotations(given.annotations, min_rows=1)
    digest = _sha256(given.annotations)
    noisy = add_noise(annotations, given.kind, given.rate, given.seed)
    noisy.write(output)
    report = noise_report(annotations, noisy)
    manifest = {
        "input": str(given.annotations),
        "input_sha256": digest,
        "output": str(output),
        "output_sha256": _sha256(output),
        "kind": given.kind,
        "seed": given.seed,
        "rate_asked": given.rate,
        **report,
    }
    write_whole(output.with_suffix(".json"), json.dumps(manifest, indent=2) + "\n")
    print(
        f"{output}: {report['changed']} of {report['rows']} labels changed "
        f"({report['rate_realized']:.2%}, asked {given.rate:.2%}); "
        f"the record is {output.with_suffix('.json')}"
    )


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
