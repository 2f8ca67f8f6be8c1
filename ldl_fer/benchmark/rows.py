"""A row of the benchmark: one variant beside another, and the target if there is one."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from ldl_fer.benchmark.turns import median_ratio

GIGABYTES = "GB"  # the unit of rows that tell of memory
Targets = Mapping[tuple[str, str], float | None]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a section's table.

    Attributes:
      section: the name of the function that measured it.
      variant: what ran.
      seconds: median over turns, for one of what `per` says.
      ratio: time over the unit's, the median of the turns' ratios; for memory, gigabytes.
      unit: the variant it is compared with, or "GB".
      target: what the ratio must not exceed; None: there is no target.
      met: whether it does not; None without a target.
      per: "step", "image" or "stage".
    """

    section: str
    variant: str
    seconds: float
    ratio: float
    unit: str
    target: float | None
    met: bool | None
    per: str


def row(
    section: str,
    variant: str,
    seconds: float,
    ratio: float,
    unit: str,
    target: float | None,
    per: str,
) -> Row:
    """A row that says whether its target is met."""
    met = None if target is None else bool(ratio <= target)
    return Row(section, variant, float(seconds), float(ratio), unit, target, met, per)


def compare(
    section: str, seconds: Mapping[str, np.ndarray], unit: str, targets: Targets, per: str
) -> list[Row]:
    """Every variant beside the unit, then the comparisons of `targets` that have another unit.

    Args:
      section: name.
      seconds: name -> seconds [turns], of `take_turns`; targets of variants not there are dropped.
      unit: the variant that the others are compared with.
      targets: (variant, unit) -> what the ratio must not exceed; None: only shown.
      per: see `Row`.
    """
    pairs = [(name, unit) for name in seconds]
    pairs += [pair for pair in targets if pair not in pairs and set(pair) <= set(seconds)]
    return [
        row(
            section,
            variant,
            np.median(seconds[variant]),
            median_ratio(seconds[variant], seconds[other]),
            other,
            targets.get((variant, other)),
            per,
        )
        for variant, other in pairs
    ]
