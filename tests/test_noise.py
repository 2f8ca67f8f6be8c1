"""Label noise: exactly as much as asked, uniform over the other classes, recorded."""

import hashlib
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ldl_fer import noise
from ldl_fer.annotations import Annotations, read_annotations
from ldl_fer.config import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.noise import add_noise, flip_symmetric, noise_report


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 10, 1237])
def test_exactly_the_asked_share_changes(rows, classes, rate):
    labels = np.random.default_rng(1).integers(0, classes, rows)
    before = labels.copy()
    noisy = flip_symmetric(labels, rate, classes, seed=2)
    assert noisy.dtype == np.int32 and noisy.shape == labels.shape
    assert (noisy != labels).sum() == round(rate * rows)
    assert ((noisy >= 0) & (noisy < classes)).all()
    np.testing.assert_array_equal(labels, before)


def test_uniform_over_other_classes_and_rows():
    classes, rows = 7, 70_000
    labels = np.tile(np.arange(classes), rows // classes)
    noisy = flip_symmetric(labels, 0.3, classes, seed=0)
    counts = np.bincount(labels * classes + noisy, minlength=classes**2).reshape(classes, classes)
    off = counts[~np.eye(classes, dtype=bool)]
    # 21,000 changed rows over 42 pairs: mean 500; chi-squared of 41 degrees has mean 41 and
    # standard deviation sqrt(82) = 9.1, so 5 deviations either side are 0 to 87, and below 10 is
    # too even for chance.
    expected = 0.3 * rows / off.size
    statistic = ((off - expected) ** 2 / expected).sum()
    assert 10 < statistic < 87
    # Changed rows are spread: each tenth of the file holds 2,100, standard deviation
    # sqrt(21000 x 0.1 x 0.9 x 0.7) = 36, so 5 deviations are 182.
    tenths = (noisy != labels).reshape(10, -1).sum(axis=1)
    assert np.abs(tenths - 2100).max() < 182


def test_seed_decides():
    labels = np.random.default_rng(0).integers(0, 7, 500)
    first = flip_symmetric(labels, 0.3, 7, seed=4)
    np.testing.assert_array_equal(first, flip_symmetric(labels, 0.3, 7, seed=4))
    assert (first != flip_symmetric(labels, 0.3, 7, seed=5)).any()


@pytest.mark.parametrize(
    "labels, rate, classes, seed, text",
    [
        ([0, 1], 1.01, 7, 0, "rate is 1.01"),
        ([0, 1], -0.1, 7, 0, "rate is -0.1"),
        ([0, 1], float("nan"), 7, 0, "rate is nan"),
        ([0, 0], 0.5, 1, 0, "1 classes"),
        ([0, 7], 0.5, 7, 0, "row 1 has label 7"),
        ([-1, 0], 0.5, 7, 0, "row 0 has label -1"),
        ([0, 1], 0.5, 7, -1, "seed is -1"),
    ],
)
def test_refuses(labels, rate, classes, seed, text):
    with pytest.raises(InputError, match=text):
        flip_symmetric(np.array(labels), rate, classes, seed)


def annotations(rows=50):
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "subDirectory_filePath": [f"{i}.png" for i in range(rows)],
            "expression": random.integers(0, 7, rows),
            "valence": random.uniform(-1, 1, rows),
            "arousal": random.uniform(-1, 1, rows),
            "knn": [f"{(i + 1) % rows};{(i + 2) % rows}" for i in range(rows)],
            "subject": [f"{i:03}" for i in range(rows)],
        }
    )
    return Annotations(table, CLASS_NAMES)


def test_clean_labels_survive_a_second_dose():
    clean = annotations()
    once = add_noise(clean, "symmetric", 0.4, seed=0)
    twice = add_noise(once, "symmetric", 0.4, seed=1)
    for noisy in (once, twice):
        np.testing.assert_array_equal(noisy.table["clean_expression"], clean.labels)
    changed = (twice.labels != once.labels).sum()
    assert changed == 20  # 0.4 x 50
    report = noise_report(once, twice)
    assert report["changed"] == 20 and report["rate_realized"] == 0.4
    assert report["rate_total"] == (twice.labels != clean.labels).mean() != 0.4
    assert "clean_expression" not in clean.table
    with pytest.raises(InputError, match="'flip' is no kind of noise; there are: symmetric"):
        add_noise(clean, "flip", 0.4, seed=0)


def run_main(monkeypatch, source, output, rate, seed=0):
    given = {"annotations": str(source), "output": str(output), "rate": rate, "seed": seed}
    monkeypatch.setattr("absl.flags.FLAGS", SimpleNamespace(kind="symmetric", **given))
    noise.main()


def test_command(tmp_path, monkeypatch):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    annotations().write(source)
    run_main(monkeypatch, source, output, 0.3, seed=9)
    before, after = read_annotations(source), read_annotations(output)
    np.testing.assert_array_equal(after.labels, flip_symmetric(before.labels, 0.3, 7, 9))
    np.testing.assert_array_equal(after.table["clean_expression"], before.labels)
    columns = before.table.columns.drop("expression")
    pd.testing.assert_frame_equal(after.table[columns], before.table[columns], check_exact=True)
    manifest = json.loads((tmp_path / "out.json").read_text())
    for name, path in (("input", source), ("output", output)):
        assert manifest[name] == str(path)
        assert manifest[f"{name}_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["kind"], manifest["seed"], manifest["rate_asked"]) == ("symmetric", 9, 0.3)
    assert (manifest["rows"], manifest["changed"], manifest["rate_realized"]) == (50, 15, 0.3)
    counts = np.zeros([7, 7], int)
    for old, new in zip(before.labels, after.labels, strict=True):
        counts[old, new] += 1
    assert manifest["counts"] == counts.tolist()
    assert manifest["class_names"] == list(CLASS_NAMES)

    first = output.read_bytes()
    run_main(monkeypatch, source, output, 0.3, seed=9)
    assert output.read_bytes() == first


def test_command_refuses(tmp_path, monkeypatch):
    source = tmp_path / "in.csv"
    annotations().write(source)
    text = source.read_text()
    for output, rate, message in (
        (source, 0.3, "is the input itself"),
        (tmp_path / "out.json", 0.3, "must end in .csv"),
        (tmp_path / "out.csv", 1.5, "the noise rate is 1.5"),
    ):
        with pytest.raises(InputError, match=message):
            run_main(monkeypatch, source, output, rate)
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"] and source.read_text() == text


def test_command_line(tmp_path):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    annotations().write(source)
    arguments = [f"--annotations={source}", f"--output={output}", "--rate=0.3"]
    command = [sys.executable, "-m", "ldl_fer.noise", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "15 of 50 labels changed (30.00%, asked 30.00%)" in run.stdout
    run = subprocess.run([*command, "--rate=2"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and run.stderr.startswith("error: the noise rate is 2.0")
    assert "Traceback" not in run.stderr
