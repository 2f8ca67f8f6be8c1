"""The memory of a process."""

import ctypes
import subprocess
import sys

import pytest

from benchmarks.memory import memory_in_use
from ldl_fer.errors import InputError


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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="no glibc 2.33 or newer")
def test_memory_in_use_is_what_is_held():
    script = (
        "import numpy\nfrom benchmarks.memory import memory_in_use, own_memory\n"
        "before = memory_in_use()\nheld = numpy.ones(10_000_000)\nprint(memory_in_use() - before)\n"
        "del held\nprint(memory_in_use() - before, own_memory())"
    )
    result = subprocess.check_output([sys.executable, "-c", script], text=True)
    held, freed, own = map(int, result.split())
    assert 80e6 <= held < 81e6 and abs(freed) < 1e6 and own > 1e6


def test_a_malloc_that_does_not_say_is_named(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    with pytest.raises(InputError, match=r"glibc 2\.33"):
        memory_in_use()
