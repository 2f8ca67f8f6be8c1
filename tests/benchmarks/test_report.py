"""The report on given rows: a table, the same as JSON, sections that fail."""

import json

import pytest
import tensorflow as tf

from benchmarks import report
from benchmarks.timing import Row, row
from ldl_fer.errors import InputError

MACHINE = {
    "cpu": "Abacus",
    "cores": 3,
    "gpus": [],
    "load": 0.5,
    "tensorflow": "2.15.1",
    "python": "3.11",
    "date": "today",
}


REPORTED = [
    row("steps_small", "plain", 0.05, 1.0, "plain", None, "step"),
    row("steps_small", "bank K 8", 0.06, 1.2, "plain", 1.3, "step", [1.15, 1.25]),
    row("steps_small", "forward K 8", 0.2, 4.0, "plain", 3.1, "step"),
    row("pipeline", "decoding", 0.0001, 1.0, "decoding", None, "image"),
    row("size", "shards", 61.0, 4.25, "GB", 4.0, "stage"),
]


def test_the_table_says_what_is_met_and_what_is_missed():
    titles = {"steps_small": "A step.", "pipeline": "Input.", "size": "Large.", "inference": "Not."}
    text = report.table(MACHINE, titles, REPORTED, {"inference": "OSError: disk full"})
    assert text.splitlines() == [
        "Abacus, 3 cores; load at the start 0.5",
        "TensorFlow 2.15.1, Python 3.11, today",
        "",
        "steps_small: A step.",
        "  plain         50.0 ms/step  1.000",
        "  bank K 8      60.0 ms/step  1.200  x plain (1.150-1.250)  <= 1.3  met",
        "  forward K 8  200.0 ms/step  4.000  x plain                <= 3.1  MISSED",
        "",
        "pipeline: Input.",
        "  decoding  10,000 images/s  1.000",
        "",
        "size: Large.",
        "  shards  61.0 s  4.25 GB  of memory  <= 4  MISSED",
        "",
        "inference: Not.",
        "  FAILED: OSError: disk full",
        "",
        "1 of 3 targets met",
        "  missed: steps_small: forward K 8, 4.000 > 3.1",
        "  missed: size: shards, 4.25 GB > 4",
    ]


def test_the_json_holds_the_same(tmp_path):
    path = tmp_path / "new" / "benchmark.json"
    report.write_json(path, MACHINE, REPORTED, {})
    content = json.loads(path.read_text())
    assert [Row(**r) for r in content["rows"]] == REPORTED
    assert content["machine"] == MACHINE and content["failed"] == {}


def test_the_machine_is_named():
    here = report.machine()
    assert here["tensorflow"] == tf.__version__
    assert here["cores"] >= 1 and here["cpu"] and here["date"]


def test_a_section_that_fails_is_named_and_passed_over(tmp_path, monkeypatch, capsys):
    def broken(folder):
        """Breaks."""
        raise RuntimeError("no such luck")

    def works(folder, turns):
        """Works."""
        return [row("works", "a", float(turns), 1.0, "a", None, "step")]

    def mistaken(folder):
        """Is given nonsense."""
        raise InputError("no such file")

    made_up = {"broken": broken, "works": works, "mistaken": mistaken}
    monkeypatch.setattr(report, "SECTIONS", made_up)
    output = tmp_path / "benchmark.json"
    run = ["broken", "works"], tmp_path, output, {"works": {"turns": 5}}
    text, measured = report.run_sections(*run)
    assert not measured
    assert "FAILED: RuntimeError: no such luck" in text and "works: Works." in text
    assert "Traceback" in capsys.readouterr().err
    content = json.loads(output.read_text())
    assert content["failed"] == {"broken": "RuntimeError: no such luck"}
    assert [r["seconds"] for r in content["rows"]] == [5.0]
    with pytest.raises(InputError, match="no such file"):
        report.run_sections(["mistaken"], tmp_path, output, {})
