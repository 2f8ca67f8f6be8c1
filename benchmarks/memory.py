"""Measures the memory of this process; loads no TensorFlow, which would add to it."""

import ctypes
import resource
import sys
from pathlib import Path

from ldl_fer.errors import InputError

PROCESS = Path("/proc/self")  # Linux


def peak_memory() -> int:
    """Returns the largest resident memory of this process since it began, bytes.

    Linux starts a new process's `ru_maxrss` at that of the one it came from; its VmHWM is its own.
    """
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def own_memory() -> int:
    """Returns the resident memory that is this process' own, bytes.

    The pages of program files, which come and go as the system likes, are left out.

    Raises:
      InputError: the system does not say.
    """
    memory = _status("RssAnon")
    if memory is None:
        raise InputError("/proc/self/status has no RssAnon. Run the soak on Linux 4.5 or newer.")
    return memory


class _MallocInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks"),
            *("fordblks", "keepcost"),
        )
    ]


def memory_in_use() -> int:
    """Returns what malloc has given out and not got back, bytes.

    Its free memory is left out, and so are Python's small objects, unless PYTHONMALLOC=malloc.

    Raises:
      InputError: the system does not say.
    """
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError) as error:
        raise InputError(
            "malloc does not say what is in use. Run the soak on Linux with glibc 2.33 or newer."
        ) from error
    ask.restype = _MallocInfo
    info = ask()
    return info.uordblks + info.hblkhd


def _status(name: str) -> int | None:
    """Reads an entry of /proc/self/status, bytes; None if there is none."""
    try:
        lines = (PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(x.split()[1]) for x in lines if x.startswith(f"{name}:")), None)
