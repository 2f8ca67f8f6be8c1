"""ldl-fer doctor, as a user calls it: report, JSON and exit code."""

import json

import pandas as pd
from helpers.called import call

from ldl_fer.preparation.doctor.finding import MISTAKE


def doctor(folder, *flags):
    files = [f"--train={folder}/train.csv", f"--test={folder}/test.csv"]
    return call("doctor", *files, f"--image_dir={folder}", *flags)


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
