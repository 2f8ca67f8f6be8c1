"""The memory of a process."""

import subprocess
import sys


def test_memory_is_that_of_the_process_itself():
    """400 MB held for a moment are seen ever after, but not by a process started meanwhile."""
    inner = "from benchmarks.memory import peak_memory; print(peak_memory())"
    outer = (
        f"import numpy, subprocess, sys\n{inner.partition(';')[0]}\n"
        "held = numpy.ones(50_000_000)\n"
        "child = subprocess.check_output([sys.executable, '-c', sys.argv[1]], text=True)\n"
        "del held\n"
        "print(child, peak_memory())"
    )
    result = subprocess.check_output([sys.executable, "-c", outer, inner], text=True)
    child, own = map(int, result.split())
    assert own > 400e6 and 1e6 < child < 200e6
