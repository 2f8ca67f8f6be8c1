"""The soak's arithmetic, and that it watches a real training."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.soak import report_of


def table(memory, files):
    return pd.DataFrame(
        {
            "minutes": [float(i) for i in range(9)],
            "steps": [100 * i for i in range(9)],
            "memory": memory,
            "in_use": [10**8 + 10**5 * i for i in range(9)],
            "files": files,
            "threads": [4] * 9,
        }
    )


def test_growth_is_that_of_the_last_two_thirds():
    # Warm-up, then 1 MB per 100 steps: 10 MB per 1,000.
    growing = table([0, 500, 900] + [1000 + i for i in range(6)], [7] * 9)
    growing["memory"] *= 10**6
    text, flat = report_of(growing, tolerance=9.9)
    memory, in_use = text.splitlines()[1:3]
    assert "+10.00 MB per 1,000 steps" in memory and not flat
    assert in_use.startswith("given out by malloc: 100 MB after a third, 101 MB at the end")
    assert in_use.endswith("+1.00 MB per 1,000 steps")  # 0.1 MB per 100
    assert report_of(growing, tolerance=10.1)[1]


def test_flat_memory_passes_and_another_open_file_does_not():
    assert report_of(table([10**9] * 9, [9, 9, 9] + [7] * 6), 0.0)[1]
    text, flat = report_of(table([10**9] * 9, [7] * 8 + [8]), 0.0)
    assert "open files: 7, then 8" in text and not flat


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the soak reads Linux' /proc")
def test_a_short_soak(tmp_path):
    output = tmp_path / "soak.csv"
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes=0.01", "--rows=300"]
    done = subprocess.run(
        [*command, f"--output={output}", "--tolerance=1e9"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "MB per 1,000 steps" in done.stdout, done.stderr
    [row] = pd.read_csv(output).to_dict("records")
    assert row["steps"] > 0 and row["files"] > 2
    assert row["memory"] > row["in_use"] > 10**7
