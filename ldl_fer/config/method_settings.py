"""The base of every method's settings."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class MethodSettings:
    """The base of all; a method without settings of its own has no more.

    Attributes:
      title: the method's name in tables.
      summary: what it is, in --help.
      paper: authors, conference and year; empty: none.
      tuned_at: name of a setting -> batch size that its default was chosen for.
      beside: name -> value of other groups' settings that the method's paper sets.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    tuned_at: ClassVar[Mapping[str, int]] = MappingProxyType({})
    beside: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def check(self) -> None:
        """Raises InputError for values that do not go together."""
