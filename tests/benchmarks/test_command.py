"""The command: its sections, what it refuses, and one section measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True
    )


def test_the_command_lists_the_sections_there_are():
    from benchmarks.__main__ import NAMES

    assert tuple(report.SECTIONS) == NAMES
    assert all(report.title(name).endswith(".") for name in NAMES)


def test_the_command_refuses_a_section_there_is_not():
    result = command("--sections=steps_small,sleep")
    assert result.returncode == 2
    assert "must name some of steps_small" in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.slow
def test_the_command_measures_reports_and_exits_with_0(tmp_path):
    output = tmp_path / "out.json"
    flags = ["--sections=pipeline", "--turns=1", "--steps=1", f"--output={output}"]
    result = command(*flags, f"--work_dir={tmp_path / 'work'}")
    assert result.returncode == 0, result.stderr
    assert "pipeline: Reads and augments, from kept pixels" in result.stdout
    rows = json.loads(output.read_text())["rows"]
    names = "decoding", "plain", "bank", "plain, encoded", "bank, encoded"
    assert {r["variant"] for r in rows} == {
        f"{name}, {pixels} px" for name in names for pixels in (48, 112)
    }
    assert "pipeline, 48 px: 100%" in result.stderr  # progress


@pytest.mark.slow
def test_the_script_for_gpus_runs_on_a_cpu(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks/gpu.sh"
    flags = ["--tiny", "--turns=1", "--steps=1", "--seconds=60", f"--work_dir={tmp_path}"]
    result = subprocess.run(
        [script, *flags],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHON": sys.executable},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    for section, compared in (
        ("gpu_one", "bank K 8 "),
        ("gpu_several", "bank K 8 "),
        ("gpu_xla", "plain, XLA "),
    ):
        rows = result.stdout.partition(f"{section}: ")[2].partition("targets met")[0]
        assert f"\n  {compared}" in rows and " x plain" in rows and "FAILED" not in rows
