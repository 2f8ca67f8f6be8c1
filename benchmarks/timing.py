"""Times variants in turn, and compares them: the rows of the benchmark, with their targets.

Every variant runs a little in each turn, so that a machine whose speed drifts hits all alike.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

GIGABYTES = "GB"  # the unit of rows on memory
SECONDS = "s"  # and of those on a time as such, that of processors
Targets = Mapping[tuple[str, str], float | None]  # (variant, unit) -> most of the ratio

_LOOK = 0.01  # seconds between two looks at whether the process has come to rest
_BUSY = 0.2  # processors in use, above which it has not
_PATIENCE = 3.0  # seconds
_WARM_UP = 0.9  # of a limit


def take_turns(
    variants: Mapping[str, Callable[[], float]],
    turns: int,
    title: str,
    progress: bool = True,
    limit: float = np.inf,
) -> dict[str, np.ndarray]:
    """Runs every variant once per turn, and once before that to compile and warm up.

    Args:
      variants: name -> what runs it and returns how long that took, seconds per step, image, ...
      turns: how often.
      title: of the progress bar.
      progress: whether to show it.
      limit: seconds that all of it may take. No further turn begins that would not end by then, if
        it takes as long as the one before; the first two do in any case. A variant is left out, and
        named, if it would not have warmed up (compiled, mostly) within nine tenths, taking as long
        as the slowest so far; the first never is.

    Returns:
      name -> seconds [turns].
    """
    begun = started = time.perf_counter()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with tqdm(
        total=(turns + 1) * len(variants), desc=title, unit="run", disable=not progress
    ) as bar:
        for turn in range(turns + 1):
            former, started = started, time.perf_counter()
            if turn > 1 and started - begun + started - former > limit:
                break
            slowest = 0.0
            for name in rotated(list(seconds), turn):
                start = time.perf_counter()
                late = not turn and start - begun + slowest > _WARM_UP * limit
                if late and any(seconds.values()):
                    del seconds[name]
                    bar.write(f"{title}: {name} does not fit into {limit:.0f} s and is left out")
                    continue
                settle()
                seconds[name].append(variants[name]())
                slowest = max(slowest, time.perf_counter() - start)
                bar.update()
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """Orders a turn: each name comes first once in len(names) turns."""
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def median_ratio(seconds: np.ndarray, unit: np.ndarray) -> float:
    """Computes the median over turns of the ratio: median_t(seconds_t / unit_t)."""
    return float(np.median(np.asarray(seconds) / np.asarray(unit)))


def timed(run: Callable[[], object], count: int) -> Callable[[], float]:
    """Makes a variant: times one call of `run`, which ends with its work; seconds / count."""

    def variant() -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) / count

    return variant


def settle() -> None:
    """Waits until this process rests, a few seconds at most.

    A variant's input pipeline works ahead: what it reads after its turn would be paid by the next.
    So every variant begins with its buffers full, and pays for filling up what it takes.
    """
    deadline = time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(_LOOK)
        if time.process_time() - used < _BUSY * (time.perf_counter() - start):
            return


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a section's table.

    Attributes:
      section: the name of the function that measured it.
      variant: what ran.
      seconds: median over turns, for one of what `per` says.
      ratio: time over the unit's, the median of the turns' ratios; or gigabytes, or seconds.
      unit: the variant it is compared with, or "GB", or "s".
      target: what the ratio must not exceed; None: there is no target.
      met: whether it does not; None without a target.
      per: "step", "image" or "stage".
      quartiles: of the turns' ratios, the first and the third; None: there are no turns.
    """

    section: str
    variant: str
    seconds: float
    ratio: float
    unit: str
    target: float | None
    met: bool | None
    per: str
    quartiles: list[float] | None = None


def row(
    section: str,
    variant: str,
    seconds: float,
    ratio: float,
    unit: str,
    target: float | None,
    per: str,
    quartiles: list[float] | None = None,
) -> Row:
    """Makes a row, and says whether its target is met."""
    met = None if target is None else bool(ratio <= target)
    return Row(section, variant, float(seconds), float(ratio), unit, target, met, per, quartiles)


def compare(
    section: str, seconds: Mapping[str, np.ndarray], unit: str, targets: Targets, per: str
) -> list[Row]:
    """Compares every variant with the unit, then those of `targets` that have another unit.

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
            np.quantile(seconds[variant] / seconds[other], [0.25, 0.75]).tolist(),
        )
        for variant, other in pairs
    ]
