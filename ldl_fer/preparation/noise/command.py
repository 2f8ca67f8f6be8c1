"""Writes a copy of an annotation CSV with label noise, and a record of it.

    ldl-fer noise --annotations=train.csv --output=train_noisy.csv --rate=0.3 --seed=0

In the output `expression` is noisy and `clean_expression` is the label before any noise, also
where noise is added a second time. Everything else is carried along; a knn column stays valid, as
it depends on valence and arousal alone. Beside it train_noisy.json has kind, seed, sources,
rate asked and realized, class counts, and the SHA-256 of all files. The same input, kind, rate,
seed and source make the same output.

Kinds of noise, for N rows:
    --kind=symmetric --rate=0.3
        round(rate N) rows get another class, any equally likely.
    --kind=pair --rate=0.3 [--pairs=Fear:Surprise,Disgust:Anger]
        A class becomes its pair. Without --pairs that is the next class, the last one's is the
        first, and round(rate N) rows change. With --pairs the class before a colon becomes the
        one behind it, not the other way round (write both for both); classes without a pair
        stay, and of the M rows whose class has one, round(rate M) change. Then the rate realized,
        a part of all rows, is below the rate asked; "rate_rows" in the record is M.
    --kind=confusion --confusion=FILE [--rate=0.3]
        round(rate N) rows change: the larger the off-diagonal part of its class's row in the
        matrix, the likelier a row, and off-diagonal entries say where it goes. Without --rate the
        matrix's own rate. FILE is a CSV with class names as header and first column (true class
        by row), or the result.json of ldl-fer evaluate.
    --kind=votes --rate=0.3
        round(rate N) rows change: the less of its human votes (columns votes_neutral, ...) its
        label has, the likelier a row; the new class is drawn from its votes for other classes.
    --kind=one_vote
        Each label is one of the row's votes, drawn; rows without votes keep theirs. No rate.

Labels from a list with a line `file label` per row, as SCN and EAC use, instead of a kind:
    ldl-fer noise --annotations=train.csv --output=train_noisy.csv \\
        --label_list=noisy.txt --label_order=Surprise,Fear,Disgust,Happy,Sad,Anger,Neutral \\
        --first_label=1
    A line's file is found by its path, else by its name alone, else by its name without
    "_aligned", whichever only one row has. --label_order and --first_label say what the list's
    numbers mean (here RAF-DB's: 1 is Surprise). A warning says if the order seems wrong.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.files import check_replaceable, same_file, values_without_home, write_whole
from ldl_fer.preparation.noise.kinds import KINDS

if TYPE_CHECKING:
    from ldl_fer.data.annotations import Annotations


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    with subject("files"):
        flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
        flags.DEFINE_string(
            "output", None, "CSV to write; its .json goes beside it.", required=True
        )
        flags.DEFINE_list(
            "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
        )
    with subject("noise of a kind"):
        flags.DEFINE_enum("kind", None, list(KINDS), "How labels go wrong; symmetric if left out.")
        flags.DEFINE_float("rate", None, "Part of the labels to change, in [0, 1].")
        flags.DEFINE_integer("seed", 0, "Another seed is another draw.")
        flags.DEFINE_list("pairs", None, "For pair: FROM:TO,FROM:TO, ... (default: the next class)")
        flags.DEFINE_string("confusion", None, "For confusion: CSV, or result.json of a run.")
    with subject("labels of a list"):
        flags.DEFINE_string("label_list", None, "File with lines `file label`, instead of a kind.")
        flags.DEFINE_list("label_order", None, "Classes in the order of the list's numbers.")
        flags.DEFINE_integer("first_label", None, "The list's lowest number, mostly 0 or 1.")
        flags.DEFINE_bool(
            "keep_unlisted", False, "Rows without a line in the list keep their label."
        )
        flags.DEFINE_bool("skip_unmatched", False, "Leave out lines of the list without a row.")


def _check_files(inputs: Sequence[str | None], output: Path) -> None:
    """Refuses an output that is no CSV, or would replace what is read or written by others."""
    from ldl_fer.preparation.noise.label_list import CLEAN_LABEL

    if output.suffix != ".csv":
        raise InputError(f"--output={output} must end in .csv, for its .json to go beside it.")
    for written in (output, output.with_suffix(".json")):
        if any(path and same_file(path, written) for path in inputs):
            raise InputError(f"{written} is the input itself. Name another --output.")
    check_replaceable(output, CLEAN_LABEL)
    check_replaceable(output.with_suffix(".json"), '"input_sha256"')


def _file(path: str) -> dict:
    from ldl_fer.files import sha256

    return {"file": str(path), "sha256": sha256(path)}


def _check_flags(given: flags.FlagValues) -> None:
    """Refuses flags of a kind beside a list, and of a list without one."""
    kind_flags = ("kind", "rate", "seed", "pairs", "confusion")
    list_flags = ("label_order", "first_label", "keep_unlisted", "skip_unmatched")
    for name in kind_flags if given.label_list else list_flags:
        if given[name].present:
            other = "does not go with --label_list" if given.label_list else "needs --label_list"
            raise InputError(f"--{name} {other}; leave it out. See --help.")


def _by_kind(
    annotations: "Annotations", given: flags.FlagValues
) -> "tuple[Annotations, dict, str]":
    """Adds noise of a kind; returns the annotations, its entries of the record, the rate asked."""
    import numpy as np

    from ldl_fer.data.label_confusion import class_numbers, read_confusion
    from ldl_fer.preparation.noise.add import add_noise, parse_pairs

    kind, rate, names = given.kind or "symmetric", given.rate, annotations.class_names
    pairs = None if given.pairs is None else parse_pairs(given.pairs)
    confusion = given.confusion and read_confusion(given.confusion, names)
    noisy = add_noise(annotations, kind, rate, given.seed, pairs, confusion)
    made = {"kind": kind, "seed": given.seed, "rate_asked": rate}
    if kind == "pair":
        pairs = pairs or dict(zip(names, (*names[1:], names[0]), strict=True))
        paired = class_numbers(list(pairs), names, "--pairs")
        made |= {"pairs": pairs, "rate_rows": int(np.isin(annotations.labels, paired).sum())}
    if kind == "confusion":
        made |= {"confusion": _file(given.confusion), "confusion_matrix": confusion.tolist()}
    asked = "" if rate is None else f", asked {rate:.2%}"
    if asked and given.pairs:
        asked += f" of the {made['rate_rows']} rows whose class has a pair"
    return noisy, made, asked


def _by_list(annotations: "Annotations", given: flags.FlagValues) -> "tuple[Annotations, dict]":
    """Takes the labels of a list; returns the annotations and its entries of the record."""
    from ldl_fer.preparation.noise.label_list import (
        RAF_DB_ORDER,
        apply_label_list,
        order_warning,
        read_label_list,
    )

    if given.label_order is None or given.first_label is None:
        raise InputError(
            "--label_list needs --label_order and --first_label: what its numbers mean, such "
            f"as --label_order={','.join(RAF_DB_ORDER)} --first_label=1 for RAF-DB's own."
        )
    positions = read_label_list(
        given.label_list,
        annotations,
        len(given.label_order),
        given.first_label,
        given.keep_unlisted,
        given.skip_unmatched,
    )
    noisy = apply_label_list(annotations, positions, given.label_order)
    warning = order_warning(annotations, positions, given.label_order)
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    return noisy, {
        "kind": "label_list",
        "label_list": _file(given.label_list),
        "label_order": list(given.label_order),
        "first_label": given.first_label,
        "rows_unlisted": int((positions < 0).sum()),
    }


def main() -> None:
    from ldl_fer.data.annotations import read_annotations
    from ldl_fer.files import sha256
    from ldl_fer.preparation.noise.add import noise_report

    given = flags.FLAGS
    output = Path(given.output)
    _check_flags(given)
    _check_files((given.annotations, given.confusion, given.label_list), output)
    annotations = read_annotations(
        given.annotations, class_names=given.class_names, min_rows=1, plane=False
    )
    read = {"input": str(given.annotations), "input_sha256": sha256(given.annotations)}
    if given.label_list:
        (noisy, made), asked = _by_list(annotations, given), ""
    else:
        noisy, made, asked = _by_kind(annotations, given)
    noisy.write(output)
    report = noise_report(annotations, noisy)
    written = {"output": str(output), "output_sha256": sha256(output)}
    record = output.with_suffix(".json")
    write_whole(
        record, json.dumps(values_without_home(read | written | made | report), indent=2) + "\n"
    )
    print(
        f"{output}: {report['changed']} of {report['rows']} labels changed "
        f"({report['rate_realized']:.2%}{asked}); the record is {record}"
    )
