"""Memory of this process."""

import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """The largest resident memory of this process since it began, bytes.

    Linux starts a new process's `ru_maxrss` at that of the one it came from; its VmHWM is its own.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
