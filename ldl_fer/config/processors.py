"""How many processors this process may use."""

import math
import os
from pathlib import Path


def processors() -> int:
    """Returns the number of processors that affinity and the control groups' quotas leave."""
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min(affine or 1, quota())))


def quota(mounted: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Returns the smallest quota of the process's control groups, in processors; inf without one.

    Args:
      mounted: where control groups are, version 2 (`cpu.max`) or 1 (`cpu/cpu.cfs_quota_us`).
      own: file of lines NUMBER:CONTROLLERS:GROUP. Within a container a group may not be there:
        what is mounted is the container's own.
    """
    found = [math.inf]
    for line in _text(own).splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mounted / "cpu" if controllers else mounted
        names = Path(group.strip("/")).parts
        for depth in range(len(names) + 1):
            folder = top.joinpath(*names[:depth])
            words = _text(folder / "cpu.max").split() or [
                *_text(folder / "cpu.cfs_quota_us").split(),
                *_text(folder / "cpu.cfs_period_us").split(),
            ]
            if len(words) == 2 and words[0] not in ("max", "-1"):
                found.append(int(words[0]) / int(words[1]))
    return min(found)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # no such file, or no Linux
        return ""
