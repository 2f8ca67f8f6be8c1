"""Writes a copy of an annotation CSV whose labels are wrong on purpose, and what was done.

    python -m ldl_fer.noise --annotations=train.csv --output=train_noisy.csv --rate=0.3 --seed=0

In the output `expression` is noisy and `clean_expression` is the label before any noise, also
where noise is added a second time. Everything else is carried along; a knn column stays valid, as
it depends on valence and arousal alone. Beside it train_noisy.json tells kind, seed, sources,
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
        by row), or the result.json of evaluate.py.
    --kind=votes --rate=0.3
        round(rate N) rows change: the less of its human votes (columns votes_neutral, ...) its
        label has, the likelier a row; the new class is drawn from its votes for other classes.
    --kind=one_vote
        Each label is one of the row's votes, drawn; rows without votes keep theirs. No rate.

Labels from a list with a line `file label` per row, as SCN and EAC use, instead of a kind:
    python -m ldl_fer.noise --annotations=train.csv --output=train_noisy.csv \\
        --label_list=noisy.txt --label_order=Surprise,Fear,Disgust,Happy,Sad,Anger,Neutral \\
        --first_label=1
    A line's file is found by its path, else by its name alone, else by its name without
    "_aligned", whichever only one row has. --label_order and --first_label say what the list's
    numbers mean (here RAF-DB's: 1 is Surprise). A warning tells if the order seems wrong.
"""

import hashlib
import json
import posixpath
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from absl import flags

from ldl_fer import command_line
from ldl_fer.annotations import LABEL, AnnotationError, Annotations, read_annotations
from ldl_fer.config import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.files import same_file, write_whole
from ldl_fer.noise_kinds import KINDS

CLEAN_LABEL = "clean_expression"
RAF_DB_ORDER = ("Surprise", "Fear", "Disgust", "Happy", "Sad", "Anger", "Neutral")
# `CLASS_NAMES` is AffectNet's order, too.
COMMON_ORDERS = {"that of this project and AffectNet": CLASS_NAMES, "RAF-DB's": RAF_DB_ORDER}


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
        given["pairs"] = _pair_numbers(pairs, annotations.class_names)
    if source == "votes":
        given["votes"] = annotations.votes
    sources = [given[source]] if source else []
    noisy = flip(annotations.labels, rate, len(annotations.class_names), seed, *sources)
    return _relabeled(annotations, noisy)


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


def parse_pairs(items: Sequence[str]) -> dict[str, str]:
    """["Fear:Surprise", ...] as {"Fear": "Surprise", ...}.

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


def read_confusion(path: str | Path, class_names: Sequence[str]) -> np.ndarray:
    """Reads a confusion matrix: a CSV, or a .json with "class_names" and "confusion".

    Args:
      path: the file. The CSV has class names as header and first column; in both, true class by
        row, classes in any order, letters in any case.
      class_names: C names.

    Returns:
      Float64 [C, C], in the order of `class_names`.

    Raises:
      InputError: it cannot be read, its classes are not these, or an entry is no number >= 0.
    """
    try:
        if Path(path).suffix == ".json":
            held = json.loads(Path(path).read_text("utf-8"))
            names = [str(name) for name in held["class_names"]]
            table = pd.DataFrame(held["confusion"], names, names)
        else:
            table = pd.read_csv(
                path, index_col=0, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} holds no confusion matrix ({error!r}). Give a CSV with class names as header "
            "and first column, or the result.json of evaluate.py."
        ) from error
    for part, names in (("first column", table.index), ("header", table.columns)):
        numbers = _class_numbers(names, class_names, f"the {part} of {path}")
        missing = [name for number, name in enumerate(class_names) if number not in numbers]
        if missing:
            raise InputError(f"the {part} of {path} lacks {', '.join(missing)}; add what is so.")
    rows = _class_numbers(table.index, class_names, str(path))
    columns = _class_numbers(table.columns, class_names, str(path))
    entries = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~(np.isfinite(entries) & (entries >= 0)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{path}: row {table.index[row]}, column {table.columns[column]} is "
            f"{table.iloc[row, column]!r}; write a number >= 0."
        )
    matrix = np.zeros_like(entries)
    matrix[np.ix_(rows, columns)] = entries
    return matrix


def read_label_list(
    path: str | Path,
    annotations: Annotations,
    num_labels: int,
    first_label: int = 0,
    keep_unlisted: bool = False,
    skip_unmatched: bool = False,
) -> np.ndarray:
    """Reads lines `file label` and finds the row of each.

    Args:
      path: the list; the label is what follows the last blank.
      annotations: N rows. A line's file is a row's path, else its basename, else its basename
        where both are without "_aligned", where only one row has it.
      num_labels, first_label: labels are integers in [first_label, first_label + num_labels).
      keep_unlisted: rows may be without a line.
      skip_unmatched: lines may be without a row.

    Returns:
      Int32 [N], label - first_label; -1 for rows without a line.

    Raises:
      InputError: the list cannot be read, or anything in it is wrong; it tells all that is.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text. Give lines such as `a.jpg 5`.") from error
    lookups = []
    for key in (posixpath.normpath, posixpath.basename, _unaligned):
        rows_of = defaultdict(list)
        for row, file in enumerate(annotations.paths):
            rows_of[key(file)].append(row)
        lookups.append((key, dict(rows_of)))

    found, line_of, problems = np.full(len(annotations), -1, np.int32), {}, []
    last = first_label + num_labels - 1
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        file, *label = content.strip().rsplit(maxsplit=1)
        if not label:
            problems.append(f"line {line}: {content.strip()!r} is not `file label`")
            continue
        rows = next((rows[key(file)] for key, rows in lookups if key(file) in rows), [])
        if not rows and skip_unmatched:
            continue
        if not rows:
            problems.append(
                f"line {line}: no row has the file {file}; remove the line or give --skip_unmatched"
            )
        elif len(rows) > 1:
            problems.append(
                f"line {line}: rows {', '.join(map(str, rows[:5]))} have a file named {file}; "
                "write the path of one"
            )
        elif line_of.setdefault(rows[0], line) != line:
            problems.append(f"line {line}: {file} is already in line {line_of[rows[0]]}")
        elif not label[0].isdecimal() or not first_label <= int(label[0]) <= last:
            problems.append(
                f"line {line}: label {label[0]} of {file} is no integer from {first_label} to "
                f"{last}; see --first_label and --label_order"
            )
        else:
            found[rows[0]] = int(label[0]) - first_label
    if not keep_unlisted:
        problems += [
            f"no line has row {row} of the annotations, {file}; add one, or keep the label of "
            "such rows by --keep_unlisted"
            for row, file in enumerate(annotations.paths)
            if row not in line_of
        ]
    if problems:
        raise AnnotationError(path, [(None, problem) for problem in problems])
    if not line_of:
        raise InputError(f"{path}: no line has a row of the annotations. Give their own list.")
    return found


def apply_label_list(
    annotations: Annotations, positions: np.ndarray, label_order: Sequence[str]
) -> Annotations:
    """The annotations with the labels of a list in `expression`; else as `add_noise`.

    Args:
      annotations: N rows.
      positions: integers [N] as from `read_label_list`, in [-1, len(label_order)); -1 keeps the
        row's label.
      label_order: names of the classes in the order of the list's numbers.

    Raises:
      InputError: `label_order` has a name that is no class, or one twice.
    """
    order = _class_numbers(label_order, annotations.class_names, "--label_order")
    return _relabeled(
        annotations, np.where(positions < 0, annotations.labels, np.array(order)[positions])
    )


def order_warning(
    annotations: Annotations, positions: np.ndarray, label_order: Sequence[str]
) -> str | None:
    """What is suspicious if a list changes more than half of the labels it has; else None.

    Args: as `apply_label_list`; the text names one of `COMMON_ORDERS` if fewer labels change by it.
    """
    listed = np.flatnonzero(positions >= 0)
    classes = {name.lower() for name in annotations.class_names}

    def changed(order: Sequence[str]) -> float:
        noisy = apply_label_list(annotations, positions, order)
        return float((noisy.labels != annotations.labels)[listed].mean())

    share = changed(label_order)
    if share <= 0.5:
        return None
    text = f"by --label_order={','.join(label_order)} {share:.1%} of the labels listed change."
    others = {
        name: changed(order)
        for name, order in COMMON_ORDERS.items()
        if len(order) > positions.max() and {name.lower() for name in order} <= classes
    }
    best = min(others, key=others.get, default=None)
    if best is None or others[best] >= share:
        return f"{text} Check --label_order and --first_label, unless so much noise is meant."
    return (
        f"{text} The list rather looks like --label_order={','.join(COMMON_ORDERS[best])}, {best}: "
        f"{others[best]:.1%} would change."
    )


def _unaligned(path: str) -> str:
    stem, extension = posixpath.splitext(posixpath.basename(path))
    return stem.removesuffix("_aligned") + extension


def _class_numbers(names: Sequence[str], class_names: Sequence[str], where: str) -> list[int]:
    """The number of each class, letters in any case; `where` the names stand, for complaints."""
    number_of = {name.lower(): number for number, name in enumerate(class_names)}
    numbers = []
    for name in names:
        number = number_of.get(str(name).strip().lower())
        if number is None:
            raise InputError(
                f"{where} names {name!r}, which is no class; there are: {', '.join(class_names)}."
            )
        if number in numbers:
            raise InputError(f"{where} names {name} twice; name each class once.")
        numbers.append(number)
    return numbers


def _pair_numbers(pairs: Mapping[str, str], class_names: Sequence[str]) -> np.ndarray:
    """Int32 [C]: what each class becomes, itself where it has no pair."""
    numbers = np.arange(len(class_names), dtype=np.int32)
    firsts = _class_numbers(list(pairs), class_names, "--pairs")
    for first, name in zip(firsts, pairs.values(), strict=True):
        (second,) = _class_numbers([name], class_names, "--pairs")
        if second == first:
            raise InputError(f"--pairs makes {name} its own pair; name another class.")
        numbers[first] = second
    return numbers


def _relabeled(annotations: Annotations, labels: np.ndarray) -> Annotations:
    table = annotations.table.copy()
    if CLEAN_LABEL not in table:
        table[CLEAN_LABEL] = annotations.labels
    table[LABEL] = labels.astype(np.int32)
    return Annotations(table, annotations.class_names)


def _sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
    flags.DEFINE_string("output", None, "CSV to write; its .json goes beside it.", required=True)
    flags.DEFINE_list(
        "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
    )
    flags.DEFINE_enum("kind", None, list(KINDS), "How labels go wrong; symmetric if left out.")
    flags.DEFINE_float("rate", None, "Part of the labels to change, in [0, 1].")
    flags.DEFINE_integer("seed", 0, "Another seed is another draw.")
    flags.DEFINE_list("pairs", None, "For pair: FROM:TO,FROM:TO, ... (default: the next class).")
    flags.DEFINE_string("confusion", None, "For confusion: CSV, or result.json of evaluate.py.")
    flags.DEFINE_string("label_list", None, "File with lines `file label`, instead of a kind.")
    flags.DEFINE_list("label_order", None, "Classes in the order of the list's numbers.")
    flags.DEFINE_integer("first_label", None, "The list's lowest number, mostly 0 or 1.")
    flags.DEFINE_bool("keep_unlisted", False, "Rows without a line in the list keep their label.")
    flags.DEFINE_bool("skip_unmatched", False, "Leave out lines of the list without a row.")


def _check_files(inputs: Sequence[str | None], output: Path) -> None:
    """Refuses an output that is no CSV, or that would replace what is read."""
    if output.suffix != ".csv":
        raise InputError(f"--output={output} must end in .csv, for its .json to go beside it.")
    for written in (output, output.with_suffix(".json")):
        if any(path and same_file(path, written) for path in inputs):
            raise InputError(f"{written} is the input itself. Name another --output.")


def _file(path: str | None) -> dict:
    return {"file": str(path), "sha256": _sha256(path)}


def main() -> None:
    given = flags.FLAGS
    output = Path(given.output)
    kind_flags = ("kind", "rate", "pairs", "confusion")
    list_flags = ("label_order", "first_label", "keep_unlisted", "skip_unmatched")
    for name in kind_flags if given.label_list else list_flags:
        if getattr(given, name) not in (None, False):
            other = "does not go with --label_list" if given.label_list else "needs --label_list"
            raise InputError(f"--{name} {other}; leave it out. See --help.")
    _check_files((given.annotations, given.confusion, given.label_list), output)
    annotations = read_annotations(given.annotations, class_names=given.class_names, min_rows=1)
    read = {"input": str(given.annotations), "input_sha256": _sha256(given.annotations)}
    kind, rate, asked = given.kind or "symmetric", given.rate, ""
    if given.label_list:
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
        made = {
            "kind": "label_list",
            "label_list": _file(given.label_list),
            "label_order": list(given.label_order),
            "first_label": given.first_label,
            "rows_unlisted": int((positions < 0).sum()),
        }
    else:
        pairs = None if given.pairs is None else parse_pairs(given.pairs)
        confusion = given.confusion and read_confusion(given.confusion, annotations.class_names)
        noisy = add_noise(annotations, kind, rate, given.seed, pairs, confusion)
        made = {"kind": kind, "seed": given.seed, "rate_asked": rate}
        if kind == "pair":
            names = annotations.class_names
            pairs = pairs or dict(zip(names, (*names[1:], names[0]), strict=True))
            paired = _class_numbers(list(pairs), names, "--pairs")
            made |= {"pairs": pairs, "rate_rows": int(np.isin(annotations.labels, paired).sum())}
        if kind == "confusion":
            made |= {"confusion": _file(given.confusion), "confusion_matrix": confusion.tolist()}
        if rate is not None:
            asked = f", asked {rate:.2%}"
            if given.pairs:
                asked += f" of the {made['rate_rows']} rows whose class has a pair"
    noisy.write(output)
    report = noise_report(annotations, noisy)
    written = {"output": str(output), "output_sha256": _sha256(output)}
    record = output.with_suffix(".json")
    write_whole(record, json.dumps(read | written | made | report, indent=2) + "\n")
    print(
        f"{output}: {report['changed']} of {report['rows']} labels changed "
        f"({report['rate_realized']:.2%}{asked}); the record is {record}"
    )


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
