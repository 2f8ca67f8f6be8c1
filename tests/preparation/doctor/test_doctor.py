"""The command as a user runs it: report, JSON and exit code."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_split import blurred, made_up_split, picture_file

from ldl_fer.errors import InputError
from ldl_fer.preparation.doctor import (
    DOUBTFUL,
    FINE,
    MISTAKE,
    NOT_LOOKED_AT,
    Finding,
    Row,
    as_text,
    examine,
    read_split,
    verdict,
)

LABELS = np.tile(np.arange(7), 12)


@pytest.fixture
def data_set(tmp_path):
    """train.csv and test.csv of 84 different pictures each."""
    for seed, name in ((0, "train"), (1000, "test")):
        split = made_up_split(LABELS, name=name)
        paths = [picture_file(tmp_path, f"{name}/{i}.png", blurred(seed + i)) for i in range(84)]
        valence, arousal = split.valence_arousal.T
        columns = {"expression": LABELS, "valence": valence, "arousal": arousal}
        table = pd.DataFrame({"subDirectory_filePath": paths} | columns)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def doctor(folder, *flags):
    command = [sys.executable, "-m", "ldl_fer", "doctor", f"--train={folder}/train.csv"]
    command += [f"--test={folder}/test.csv", f"--image_dir={folder}", *flags]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_sound_set_has_no_mistake_and_no_doubt(data_set):
    names = ("train", "test")
    splits = [read_split(name, data_set / f"{name}.csv", data_set) for name in names]
    levels = {finding.check: finding.level for finding in examine(splits, progress=False)}
    assert levels.pop("faces") == NOT_LOOKED_AT
    assert set(levels.values()) == {FINE}


def test_a_spoiled_set(data_set):
    (data_set / "train" / "3.png").write_bytes((data_set / "test" / "5.png").read_bytes())
    (data_set / "train" / "4.png").write_bytes(b"no picture")
    table = pd.read_csv(data_set / "train.csv")
    table.loc[7, "expression"] = 9
    table.to_csv(data_set / "train.csv", index=False)
    done = doctor(data_set, f"--output={data_set}/doctor.json")
    assert done.returncode == 1, done.stderr
    report = json.loads((data_set / "doctor.json").read_text())
    mistakes = {f["check"]: f["rows"] for f in report["findings"] if f["level"] == MISTAKE}
    assert {check: [row["row"] for row in rows] for check, rows in mistakes.items()} == {
        "cells": [7],
        "unreadable pictures": [4],
        "identical pictures": [3],
    }
    assert report["mistakes"] == 3 and report["verdict"] in done.stdout


def test_user_mistakes_have_exit_code_2(data_set):
    done = doctor(data_set, "--test=", f"--train={data_set}/none.csv")
    assert done.returncode == 2 and "none.csv" in done.stderr and "Traceback" not in done.stderr


def test_unknown_data_set_and_no_split():
    split = made_up_split(LABELS)
    with pytest.raises(InputError, match="raf_db"):
        examine([split], "nonsense", progress=False)
    with pytest.raises(InputError, match="--train"):
        examine([], progress=False)


def test_the_report_is_in_sections_and_shows_a_few_rows():
    rows = tuple(Row("train", n, f"{n}.png", "so") for n in range(3))
    findings = [
        Finding("b", MISTAKE, "is wrong.", "Mend it.", rows),
        Finding("c", DOUBTFUL, "may be wrong."),
        Finding("a", FINE, "is right."),
    ]
    assert as_text(findings, rows_shown=2).splitlines() == [
        *("What is fine", "------------", "a: is right.", ""),
        *("What is doubtful", "----------------", "c: may be wrong.", ""),
        *("What is a mistake", "-----------------", "b: is wrong."),
        *("    train row 0, 0.png: so", "    train row 1, 1.png: so", "    and 1 more"),
        *("    -> Mend it.", ""),
        "Do not train on it yet: 1 mistake, 1 doubt.",
    ]
    assert verdict(findings[2:]) == "Nothing forbids training on it; 0 doubts."
