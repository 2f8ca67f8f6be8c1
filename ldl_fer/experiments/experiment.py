"""What an experiment is: methods x noises x seeds, what is measured, how it is shown."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ldl_fer.method_settings import METHOD_SETTINGS


@dataclasses.dataclass(frozen=True)
class Noise:
    """How training labels are made wrong: a kind of `ldl_fer.noise`, or "none"."""

    kind: str = "none"
    rate: float | None = None

    def __str__(self) -> str:
        if self.kind == "none":
            return "none"
        return self.kind if self.rate is None else f"{self.kind} {self.rate:g}"


CLEAN = Noise()


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
      method: its name there.
      settings: of `Config`, that differ from the user's.
      setting: what varies beside the method, as the table calls it.
    """

    method: str
    settings: Mapping[str, Any]
    setting: str = ""


@dataclasses.dataclass(frozen=True)
class Figure:
    """Lines of means with standard errors, or bars where `x` is the method.

    Attributes:
      metric: the vertical axis, a name out of `runs.csv`.
      x: the horizontal axis: "noise", "setting" or "method".
      text: what the vertical axis is called.
    """

    metric: str
    x: str
    text: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One table of the paper.

    Attributes:
      name: of the command and of the folder of results.
      source: which table or figure of the paper it repeats.
      question: what it asks, in a sentence.
      variants, noises: every pair is trained once per seed.
      measure: which function of `measures.MEASURES` reads a finished run.
      metrics: columns of the table, out of what it measures.
      figure: what is drawn.
      union: whether training images get the labels of two annotators, see `data.Sets`.
    """

    name: str
    source: str
    question: str
    variants: tuple[Variant, ...]
    noises: tuple[Noise, ...]
    measure: str
    metrics: tuple[str, ...]
    figure: Figure
    union: bool = False


def compared(*methods: str) -> tuple[Variant, ...]:
    """The named methods with their papers' settings, as variants."""
    return tuple(Variant(TITLES[name], {"method": name}) for name in methods)


TITLES = {name: settings.title for name, settings in METHOD_SETTINGS.items()}
ALL = compared(*TITLES)
