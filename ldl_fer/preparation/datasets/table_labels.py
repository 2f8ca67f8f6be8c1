"""Labels that stand in a table, as names or numbers: which column they are, what they mean."""

from collections.abc import Iterable, Sequence

import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ORIGINAL
from ldl_fer.preparation.datasets.reader import CLASS, map_entries, one_name

# Of a reader of such tables: how `datasets` numbers class folders, and its flags.
ORDER = tuple(sorted(CLASS_NAMES))
OPTIONS = {"map": (), "label_column": ""}
_COLUMNS = ("label", "labels", "emotion", "emotions", "expression", "class", "class_name")


def label_column(columns: Sequence[str], wanted: str, place: object) -> str:
    """Returns the column of the labels.

    Args:
      columns: of the table.
      wanted: the column's name; empty: one of the usual ones, in any case.
      place: the file, for messages.

    Raises:
      InputError: it is not there.
    """
    spelled = {name.lower(): name for name in reversed(columns)}
    for name in [wanted.lower()] if wanted else _COLUMNS:
        if name in spelled:
            return spelled[name]
    sought = wanted or ", ".join(_COLUMNS)
    raise InputError(
        f"{place} has no column {sought}; it has {', '.join(columns)}. Name that of the labels by "
        "--label_column."
    )


def class_of_value(
    values: Iterable[str], entries: Sequence[str], names: Sequence[str], place: object
) -> dict[str, str]:
    """Returns the class that each value of a label column means, as `one_name` calls it.

    Args:
      values: of the column, as text.
      entries: of --map, VALUE=Class; they come first.
      names: of the numbers 0, 1, ..., where the file has them; else empty.
      place: the file, for messages.

    Raises:
      InputError: an entry is not of this form, or names a value that is not there; or a value is a
        number without a name, or empty.
    """
    values, meaning = set(values), dict(map_entries(entries, "VALUE"))
    if unknown := set(meaning) - {value.strip().lower() for value in values}:
        raise InputError(f"--map: {place} has no label {', '.join(sorted(unknown))}.")
    found = dict[str, str]()
    for value in sorted(values):
        word = value.strip().lower()
        if word.isdecimal() and int(word) < len(names):
            word = names[int(word)]
        found[value] = one_name(meaning.get(value.strip().lower(), word))
    bare = [v or "an empty one" for v, name in found.items() if not name.strip("-.0123456789")]
    if bare:
        raise InputError(
            f"{place} has labels without a name: {', '.join(bare)}. "
            "Say what they mean by --map=0=Anger,1=Disgust and so on."
        )
    return found


def with_classes(
    table: pd.DataFrame, entries: Sequence[str], names: Sequence[str], place: object
) -> pd.DataFrame:
    """Returns a table with the classes that its original labels mean.

    Args:
      table: with the column ORIGINAL.
      entries, names, place: as `class_of_value` takes them; it says what is refused.
    """
    classes = class_of_value(table[ORIGINAL], entries, names, place)
    return table.assign(**{CLASS: table[ORIGINAL].map(classes)})
