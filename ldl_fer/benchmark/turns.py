"""Variants of one thing that run in turn in one process, so that a drifting machine hits all alike.

A turn runs each variant once, a little; the order rotates from turn to turn. What is compared is
the ratio within a turn, and of those the median over all turns.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

_LOOK = 0.01  # seconds between two looks at whether the process has come to rest
_BUSY = 0.2  # processors in use, above which it has not
_PATIENCE = 3.0  # seconds


def take_turns(
    variants: Mapping[str, Callable[[], float]], turns: int, title: str, progress: bool = True
) -> dict[str, np.ndarray]:
    """Runs every variant once per turn, and once before that to compile and warm up.

    Args:
      variants: name -> what runs it and returns how long that took, seconds per step, image, ...
      turns: how often.
      title: of the progress bar.
      progress: whether to show it.

    Returns:
      name -> seconds [turns].
    """
    seconds = {name: [] for name in variants}
    with tqdm(
        total=(turns + 1) * len(variants), desc=title, unit="run", disable=not progress
    ) as bar:
        for turn in range(turns + 1):
            for name in rotated(list(variants), turn):
                settle()
                seconds[name].append(variants[name]())
                bar.update()
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The order of a turn: each name comes first once in len(names) turns."""
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def median_ratio(seconds: np.ndarray, unit: np.ndarray) -> float:
    """The median over turns of a turn's ratio.  median_t(seconds_t / unit_t)"""
    return float(np.median(np.asarray(seconds) / np.asarray(unit)))


def timed(run: Callable[[], object], count: int) -> Callable[[], float]:
    """A variant: runs `run` once, which ends when its work is done; seconds / count."""

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
