"""ldl-fer affect, as a user calls it: files in, files out, mistakes in a sentence."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.affect_models import SIZE, faces, onnx_model
from helpers.called import call

from ldl_fer.preparation.affect.command import COMMANDS

SOURCE = "valence_arousal_source"


def affect(*arguments):
    done = call("affect", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def mine(tmp_path):
    """Six pictures without valence and arousal, a model for them, and what it says."""
    onnx = pytest.importorskip("onnx", reason="needs the optional package onnx")
    pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    onnx_model(onnx, tmp_path / "m.onnx")
    images, wanted = faces(6)
    for row, image in enumerate(images):
        assert cv2.imwrite(str(tmp_path / f"{row}.png"), image[..., ::-1])
    rows = "".join(f"{row}.png,{row},{row + 1};0\n" for row in range(6))
    (tmp_path / "a.csv").write_text("subDirectory_filePath,expression,knn\n" + rows)
    files = (f"--annotations={tmp_path}/a.csv", f"--image_dir={tmp_path}")
    return tmp_path, ("predict", *files, f"--model={tmp_path}/m.onnx"), wanted


def test_predict_by_flags_and_by_a_spec_with_flags_over_it(mine):
    folder, command, wanted = mine
    by_flags = ("--scale=1/255", "--columns=-2,-1", f"--image_size={SIZE}")
    done = affect(*command, *by_flags, f"--output={folder}/b.csv")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 rows filled by m.onnx sha256:" in done.stdout and "knn dropped" in done.stdout
    made = pd.read_csv(folder / "b.csv")
    np.testing.assert_allclose(made[["valence", "arousal"]], wanted, atol=5.1e-5)
    assert made[SOURCE].str.match(r"m\.onnx sha256:[0-9a-f]{12}$").all() and "knn" not in made
    (folder / "s.json").write_text('{"scale": "1/255", "columns": [2, 1]}')
    spec = (f"--spec={folder}/s.json", "--columns=1,2", f"--output={folder}/c.csv")
    assert affect(*command, *spec).returncode == 0
    assert (folder / "c.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_suspicious_values_are_warned_of_and_agreement_is_printed(mine):
    folder, command, wanted = mine
    table = pd.read_csv(folder / "a.csv").assign(valence=wanted[:, 0], arousal=wanted[:, 1])
    table.to_csv(folder / "a.csv", index=False)
    done = affect(
        *command, "--scale=2/255", "--columns=1,2", "--overwrite", f"--output={folder}/b.csv"
    )
    outside = (np.abs(2 * wanted) > 1).sum(axis=0)
    for name, count in zip(("valence", "arousal"), outside, strict=True):
        assert count == 0 or f"warning: {count} of 6 values of {name} lay outside" in done.stderr
    assert outside.sum() > 0 and "Agreement with the values that were there" in done.stdout


def test_mistakes_end_in_a_sentence_and_write_nothing(mine):
    folder, command, _ = mine
    output = f"--output={folder}/b.csv"
    scaled = ("--scale=1/255", "--columns=1,2")
    for arguments, text in (
        ((*command, output), "how are its pixels scaled?"),
        ((*command, output, "--scale=x", "--columns=1,2"), "scale is"),
        ((*command, f"--output={folder}/a.csv", *scaled), "is the input itself"),
        ((*command, output, "--image_dir=no/such", *scaled), "no/such is no folder"),
        ((*command, output, "--annotations=no.csv", *scaled), "no.csv does not exist"),
        (
            ("predcit", *command[1:], output),
            "say one of predict, train, prototypes, evaluate",
        ),
        ((*command[:-1], output), "--model"),
    ):
        done = affect(*arguments)
        assert done.returncode == 2 and text in done.stderr, (arguments, done.stderr)
    (folder / "3.png").unlink()
    done = affect(*command, output, *scaled)
    assert done.returncode == 2 and "row 3: " in done.stderr
    assert not (folder / "b.csv").exists()


def test_evaluate_says_how_a_model_agrees_and_writes_no_csv(mine):
    folder, (_, *files), wanted = mine
    table = pd.read_csv(folder / "a.csv").assign(valence=wanted[:, 0], arousal=-wanted[:, 1])
    table.loc[2, "arousal"] = np.nan
    table[SOURCE] = ["given", "m.onnx sha256:0", "", "", "", ""]
    table.to_csv(folder / "a.csv", index=False)
    before = sorted(folder.iterdir())
    scaled = ("--scale=1/255", "--columns=1,2")
    done = affect("evaluate", *files, *scaled)
    assert done.returncode == 0, done.stderr
    assert "1 rows without values are left out" in done.stdout and "5 rows" in done.stdout
    assert sorted(folder.iterdir()) == before
    assert "1 of 5 rows have their values from a model" in done.stderr
    done = affect("evaluate", *files, *scaled, f"--output={folder}/found.json")
    found = json.loads((folder / "found.json").read_text())
    assert found["model"].startswith("m.onnx") and found["rows"] == 5 and found["left_out"] == 1
    # valence is the model's, arousal turned around
    assert [found["pearson"][axis]["value"] for axis in ("valence", "arousal")] == pytest.approx(
        [1.0, -1.0]
    )
    assert found["rmse"]["valence"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert found["sign_agreement"]["valence"]["value"] == 1.0
    assert "warning: the RMSE of arousal" in done.stderr and "RMSE of valence" not in done.stderr
    assert affect("evaluate", *files, *scaled, f"--output={folder}/found.json").returncode == 0
    for output, text in ((folder / "a.csv", "is the input"), (folder / "0.png", "would be lost")):
        done = affect("evaluate", *files, *scaled, f"--output={output}")
        assert done.returncode == 2 and text in done.stderr
    table.assign(valence=np.nan).to_csv(folder / "a.csv", index=False)
    done = affect("evaluate", *files, *scaled)
    assert done.returncode == 2 and "0 rows have valence and arousal" in done.stderr


def test_a_named_spec_reads_the_last_two_of_ten_columns_and_refuses_classes_alone(mine):
    onnx = pytest.importorskip("onnx")
    folder, (_, *files), _ = mine
    table = pd.read_csv(folder / "a.csv").assign(valence=0.0, arousal=0.0)
    table.to_csv(folder / "a.csv", index=False)
    weights = np.zeros([3, 10], np.float32)
    weights[0, 8], weights[2, 9] = 0.1, 0.2  # valence of red, arousal of blue
    for columns in (10, 8):
        chosen = weights[:, -columns:]
        onnx_model(onnx, folder / "m.onnx", 112, 1, chosen, np.zeros(columns, np.float32))
        output = f"--output={folder}/{columns}.csv"
        done = affect("predict", *files, "--spec=hsemotion_mbf", "--overwrite", output)
        if columns == 8:
            assert done.returncode == 2 and "8 columns" in done.stderr and "_mtl" in done.stderr
            continue
        assert done.returncode == 0, done.stderr
        colors = np.stack([cv2.imread(str(folder / f"{row}.png"))[0, 0, ::-1] for row in range(6)])
        wanted = (colors[:, [0, 2]] / 127.5 - 1) * [0.1, 0.2]
        made = pd.read_csv(folder / "10.csv")[["valence", "arousal"]]
        np.testing.assert_allclose(made, wanted, atol=6e-5)


def test_paths_are_looked_at_before_anything_is_loaded(mine):
    folder, command, _ = mine
    unknown = (*command[:-1], "--model=no/such/model", "--scale=1/255")
    for arguments, text in (
        ((f"--output={folder}/a.csv",), "is the input itself"),
        ((f"--output={folder}/b.csv", "--image_dir=no/such"), "no/such is no folder"),
        ((f"--output={folder}/b.csv",), "no/such/model does not exist"),
    ):
        assert text in affect(*unknown, *arguments).stderr
    code = (
        "import sys; from ldl_fer.preparation.affect.command import check_paths; "
        f"check_paths('{folder}/a.csv', '{folder}', '{folder}/b.csv'); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_shows_the_flags_of_the_command_it_is_asked_of():
    shown = {name: affect(name, "--help").stdout for name in COMMANDS}
    assert all("ldl-fer affect train" in text for text in shown.values())
    flags = {name: re.findall(r"^  --(?:\[no\])?(\w+)", text, re.M) for name, text in shown.items()}
    assert "columns" in flags["predict"] and "columns" not in flags["train"]
    assert "columns" in flags["evaluate"] and "overwrite" not in flags["evaluate"]
    for unused in ("--jit", "--num_neighbors=4", "--nopictures"):
        assert unused[2:].split("=")[0].removeprefix("no") not in flags["train"]
        refused = affect("train", unused, "--seed=1")
        assert refused.returncode == 2 and "Unknown command line flag" in refused.stderr
    assert "frozen" in flags["train"] and "classifier" in flags["prototypes"]
