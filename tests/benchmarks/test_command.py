"""The command: its sections, what it refuses, and one section measured."""

import json
import subprocess
import sys

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
    assert "pipeline: Reads, decodes, augments, beside decoding alone" in result.stdout
    rows = json.loads(output.read_text())["rows"]
    assert {r["variant"] for r in rows} == {
        f"{name}, {pixels} px" for name in ("decoding", "plain", "bank") for pixels in (48, 112)
    }
    assert "pipeline, 48 px: 100%" in result.stderr  # progress
