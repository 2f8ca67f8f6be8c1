"""Reads back the labels that people corrected in Label Studio or FiftyOne.

Label Studio: its export as JSON or JSON-MIN, a list of tasks; a task without an answer, or one that
was skipped, stays as it was. FiftyOne: samples.json of an export as `FiftyOneDataset`, or its
folder; the field `ground_truth` is the label, the tag `drop` takes a picture out, `kept` says that
the label was looked at. Both know a picture by the row and path that `hand_over` gave it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import pandas as pd

from ldl_fer.data.annotation_checks import LABEL
from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.hand_over import DROP, GIVEN, QUESTION, ROW, SOURCE
from ldl_fer.evaluation.audit.page import REVIEW

KEPT, RELABELED, DROPPED = "kept", "relabeled", "dropped"  # as the page calls them


def read_corrections(path: str | Path, annotations: Annotations) -> dict[int, str | None]:
    """Reads the decisions in an export of Label Studio or FiftyOne.

    Args:
      path: the JSON file, or FiftyOne's folder.
      annotations: the rows that were handed over.

    Returns:
      Row -> class name, or None to take the row out; at least one.

    Raises:
      InputError: it cannot be read, is of another tool or another data set, decides about a row in
        two ways, or has no decision in it.
    """
    path = Path(path)
    path = path / "samples.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"it is no JSON ({error})"
        raise InputError(
            f"{path} cannot be read: {reason}. Give what Label Studio exports as JSON, or "
            "samples.json of FiftyOne."
        ) from error
    if isinstance(content, list):
        found = _of_label_studio(content)
    elif isinstance(content, dict) and isinstance(content.get("samples"), list):
        found = _of_fiftyone(content["samples"], annotations)
    else:
        raise InputError(
            f"{path} is neither a list of Label Studio's tasks nor FiftyOne's samples.json. "
            "Export the project as JSON, or the dataset as FiftyOneDataset."
        )
    decided = dict[int, str | None]()
    for number, entry, label in found:
        row = _row(path, number, entry, annotations)
        if label is not None and label not in annotations.class_names:
            raise InputError(
                f"{path}: entry {number} has the label {label!r}; the classes are "
                f"{', '.join(annotations.class_names)}. Correct it there, and export again."
            )
        if decided.setdefault(row, label) != label:
            raise InputError(
                f"{path}: entry {number} decides otherwise about row {row} than one before it. "
                "Settle it there, and export again."
            )
    if not decided:
        raise InputError(f"{path}: no label in it was corrected or confirmed. Export it later.")
    return decided


def corrected(
    annotations: Annotations, decided: Mapping[int, str | None]
) -> tuple[pd.DataFrame, Counter[str]]:
    """Returns the whole table with corrected labels, as the audit's page saves it.

    Args:
      annotations: all rows.
      decided: of `read_corrections`.

    Returns:
      The table without the dropped rows, with the columns `given_expression` and `review`: the
      label before, and "kept", "relabeled" or nothing. And how many rows were kept, relabeled,
      dropped.
    """
    number_of = {name: number for number, name in enumerate(annotations.class_names)}
    given = annotations.labels.astype(int)
    labels, review = given.copy(), [""] * len(given)
    for row, name in decided.items():
        if name is not None:
            labels[row] = number_of[name]
        changed = RELABELED if labels[row] != given[row] else KEPT
        review[row] = DROPPED if name is None else changed
    table = annotations.table.drop(columns=[*REVIEW], errors="ignore")
    columns = {LABEL: labels, **dict(zip(REVIEW, (given, review), strict=True))}
    left = [word != DROPPED for word in review]
    return table.assign(**columns)[left], Counter(filter(None, review))


_Found = Iterator[tuple[int, Any, str | None]]  # place in the file, entry, label


def _of_label_studio(tasks: list) -> _Found:
    """Yields the tasks with an answer; JSON-MIN has the answer beside the data."""
    for number, task in enumerate(map(_object, tasks)):
        answer = _last_answer(task) if "data" in task else task.get(QUESTION)
        if isinstance(answer, str):
            yield number, _object(task.get("data", task)), None if answer == DROP else answer


def _last_answer(task: dict) -> str | None:
    """Returns the choice of the newest annotation that was not skipped."""
    annotations = [_object(annotation) for annotation in task.get("annotations") or []]
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    for annotation in sorted(done, key=lambda a: str(a.get("updated_at", "")), reverse=True):
        for part in map(_object, annotation.get("result") or []):
            choices = _object(part.get("value")).get("choices")
            if part.get("from_name") == QUESTION and choices:
                return str(choices[0])
    return None


def _of_fiftyone(samples: list, annotations: Annotations) -> _Found:
    """Yields samples whose label is another, and those with a tag."""
    for number, sample in enumerate(map(_object, samples)):
        tags, label = sample.get("tags") or [], _object(sample.get(GIVEN)).get("label")
        row = sample.get(ROW)
        given = annotations.labels[row] if _is_row(row, annotations) else None
        changed = given is None or label != annotations.class_names[given]
        if DROP in tags:
            yield number, sample, None
        elif label is not None and (changed or KEPT in tags):
            yield number, sample, str(label)


def _object(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _is_row(row: Any, annotations: Annotations) -> TypeGuard[int]:
    return type(row) is int and 0 <= row < len(annotations)


def _row(path: Path, number: int, entry: dict, annotations: Annotations) -> int:
    """Returns the row that an entry is about; raises InputError where it is not that row's."""
    row, source = entry.get(ROW, -1), entry.get(SOURCE)
    if not _is_row(row, annotations) or annotations.paths[row] != source:
        raise InputError(
            f"{path}: entry {number} (row {row}, {source}) is no row of the CSV that the run was "
            "trained on. Give an export of the project that `ldl-fer audit RUN --export` began."
        )
    return row
