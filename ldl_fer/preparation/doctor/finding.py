"""Holds a finding of the doctor, and the rows that it is about."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

NOT_LOOKED_AT, FINE, DOUBTFUL, MISTAKE = ("not looked at", "fine", "doubtful", "mistake")


class Row(NamedTuple):
    """A row of an annotation CSV, with a note on what is wrong with it."""

    split: str
    row: int  # from 0, without the header
    path: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One result of one check.

    Attributes:
      check: the check's name.
      level: NOT_LOOKED_AT: nothing can be said; FINE; DOUBTFUL: worth a look; MISTAKE: do not
        train on it.
      text: what was found, a sentence.
      cure: the remedy; empty where there is nothing to do.
      rows: all rows it is about, the worst first.
      values: the numbers behind it, ready for JSON.
    """

    check: str
    level: str
    text: str
    cure: str = ""
    rows: tuple[Row, ...] = ()
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
