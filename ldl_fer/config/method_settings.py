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
      taught_by: name of the setting that takes the run of a teacher; empty: it has none.
      needs_pictures: whether it cannot do with the maps that a frozen backbone keeps.
      beside: name -> value of other groups' settings that the method's paper sets.
      beside_clean_labels: the same of those that it sets otherwise where no label is wrong;
        experiments know where that is.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str] = ""
    tuned_at: ClassVar[Mapping[str, int]] = MappingProxyType({})
    taught_by: ClassVar[str] = ""
    needs_pictures: ClassVar[bool] = False
    beside: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    beside_clean_labels: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @property
    def teacher(self) -> str:
        """The run folder of the teacher; empty: none is named."""
        return getattr(self, self.taught_by) if self.taught_by else ""

    def check(self) -> None:
        """Raises InputError for values that do not go together."""
