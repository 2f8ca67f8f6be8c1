"""The command: what was done is recorded, lists are taken, mistakes end in a sentence."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from helpers.called import call
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.preparation.noise.kinds import flip_by_confusion, flip_symmetric
from ldl_fer.preparation.noise.label_list import RAF_DB_ORDER


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments):
    return call("noise", *arguments)


@pytest.fixture
def source(tmp_path):
    made_up_annotations(votes=True).write(tmp_path / "in.csv")
    return tmp_path / "in.csv"


def test_the_record_and_the_files(tmp_path, source):
    output = tmp_path / "out.csv"
    arguments = (f"--annotations={source}", f"--output={output}", "--rate=0.3", "--seed=9")
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert "15 of 50 labels changed (30.00%, asked 30.00%)" in first.stdout
    before, after = read_annotations(source), read_annotations(output)
    np.testing.assert_array_equal(after.labels, flip_symmetric(before.labels, 0.3, 7, 9))
    np.testing.assert_array_equal(after.table["clean_expression"], before.labels)
    columns = before.table.columns.drop("expression")
    pd.testing.assert_frame_equal(after.table[columns], before.table[columns], check_exact=True)
    manifest = json.loads((tmp_path / "out.json").read_text())
    for name, path in (("input", source), ("output", output)):
        assert manifest[name] == str(path)
        assert manifest[f"{name}_sha256"] == sha256(path)
    assert (manifest["kind"], manifest["seed"], manifest["rate_asked"]) == ("symmetric", 9, 0.3)
    assert (manifest["rows"], manifest["changed"], manifest["rate_realized"]) == (50, 15, 0.3)
    counts = np.zeros([7, 7], int)
    for old, new in zip(before.labels, after.labels, strict=True):
        counts[old, new] += 1
    assert manifest["counts"] == counts.tolist()
    assert manifest["class_names"] == list(CLASS_NAMES)

    written = output.read_bytes()
    assert run(*arguments).returncode == 0 and output.read_bytes() == written


def test_confusion_from_a_result(tmp_path, source):
    matrix = np.full([7, 7], 1) + np.diag([13] * 7)  # 6 of 20 elsewhere: 0.3 by itself
    result = tmp_path / "result.json"
    result.write_text(json.dumps({"class_names": CLASS_NAMES, "confusion": matrix.tolist()}))
    arguments = (f"--annotations={source}", "--kind=confusion", f"--confusion={result}")
    own = run(*arguments, f"--output={tmp_path / 'own.csv'}")
    assert own.returncode == 0, own.stderr
    assert "15 of 50 labels changed (30.00%); the record" in own.stdout
    asked = run(*arguments, f"--output={tmp_path / 'asked.csv'}", "--rate=0.1", "--seed=3")
    assert "5 of 50 labels changed (10.00%, asked 10.00%)" in asked.stdout
    manifest = json.loads((tmp_path / "asked.json").read_text())
    assert manifest["confusion"] == {"file": str(result), "sha256": sha256(result)}
    assert manifest["confusion_matrix"] == matrix.tolist()
    expected = flip_by_confusion(made_up_annotations().labels, 0.1, 7, 3, matrix)
    np.testing.assert_array_equal(read_annotations(tmp_path / "asked.csv").labels, expected)
    # The record of result.csv would be the matrix itself.
    text = result.read_bytes()
    over = run(*arguments, f"--output={tmp_path / 'result.csv'}")
    assert over.returncode == 2 and "result.json is the input itself" in over.stderr
    assert result.read_bytes() == text and not (tmp_path / "result.csv").exists()


def test_pairs_and_one_vote(tmp_path, source):
    output = tmp_path / "out.csv"
    arguments = (f"--annotations={source}", f"--output={output}")
    pairs = run(*arguments, "--kind=pair", "--rate=0.5", "--pairs=fear:Surprise,Disgust:Anger")
    assert pairs.returncode == 0, pairs.stderr
    manifest = json.loads((tmp_path / "out.json").read_text())
    rows = int(np.isin(made_up_annotations().labels, [4, 5]).sum())
    assert manifest["rate_rows"] == rows > 4 and manifest["changed"] == round(rows / 2)
    assert manifest["pairs"] == {"fear": "Surprise", "Disgust": "Anger"}
    assert f"asked 50.00% of the {rows} rows whose class has a pair" in pairs.stdout
    assert run(*arguments, "--kind=pair", "--rate=0.5").returncode == 0
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["pairs"]["Anger"] == "Neutral" and manifest["pairs"]["Neutral"] == "Happy"
    assert (manifest["rate_rows"], manifest["changed"]) == (50, 25)
    one = run(*arguments, "--kind=one_vote")
    assert one.returncode == 0, one.stderr
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert (manifest["kind"], manifest["rate_asked"]) == ("one_vote", None)


def test_label_list(tmp_path, source):
    truth = [RAF_DB_ORDER.index(CLASS_NAMES[label]) + 1 for label in made_up_annotations().labels]
    truth[7] = truth[7] % 7 + 1  # one wrong label
    listed = tmp_path / "noisy.txt"
    listed.write_text("".join(f"{i}_aligned.png {label}\n" for i, label in enumerate(truth)))
    output = tmp_path / "out.csv"
    arguments = (f"--annotations={source}", f"--label_list={listed}", f"--output={output}")
    right = run(*arguments, f"--label_order={','.join(RAF_DB_ORDER)}", "--first_label=1")
    assert right.returncode == 0 and right.stderr == "", right.stderr
    assert "1 of 50 labels changed (2.00%)" in right.stdout
    after = read_annotations(output)
    assert np.flatnonzero(after.labels != made_up_annotations().labels).tolist() == [7]
    assert after.labels[7] == CLASS_NAMES.index(RAF_DB_ORDER[truth[7] - 1])
    np.testing.assert_array_equal(after.table["clean_expression"], made_up_annotations().labels)
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["kind"] == "label_list" and manifest["rate_realized"] == 0.02
    assert manifest["label_list"] == {"file": str(listed), "sha256": sha256(listed)}
    assert manifest["label_order"] == list(RAF_DB_ORDER) and manifest["first_label"] == 1
    assert (manifest["rows_unlisted"], manifest["output_sha256"]) == (0, sha256(output))

    wrong = run(*arguments, f"--label_order={','.join(CLASS_NAMES)}", "--first_label=1")
    assert wrong.returncode == 0 and wrong.stderr.startswith("warning: by --label_order=Neutral")
    assert "looks like --label_order=Surprise,Fear,Disgust,Happy,Sad,Anger,Neutral" in wrong.stderr


@pytest.mark.slow
def test_mistakes_are_refused(tmp_path, source):
    text, output = source.read_bytes(), tmp_path / "out.csv"
    listed = f"--label_list={source}"
    for arguments, message in (
        ([f"--output={source}", "--rate=0.3"], "in.csv is the input itself"),
        ([f"--output={tmp_path / 'out.json'}", "--rate=0.3"], "must end in .csv"),
        (["--rate=2"], "the noise rate is 2.0; it must lie in [0, 1]"),
        ([], "this kind of noise needs a rate, such as --rate=0.3"),
        ([listed, "--rate=0.3"], "--rate does not go with --label_list; leave it out"),
        (["--keep_unlisted", "--rate=0.3"], "--keep_unlisted needs --label_list"),
        ([listed, "--rate=0"], "--rate does not go with --label_list; leave it out"),
        ([listed, "--seed=0"], "--seed does not go with --label_list; leave it out"),
        (["--first_label=0", "--rate=0.3"], "--first_label needs --label_list; leave it out"),
        ([listed], "--label_list needs --label_order and --first_label"),
    ):
        refused = run(f"--annotations={source}", f"--output={output}", *arguments)
        assert refused.returncode == 2 and refused.stdout == ""
        assert refused.stderr.startswith("error: ") and message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"] and source.read_bytes() == text


def test_help_teaches_every_kind():
    text = run("--help").stdout
    for word in ("--kind=symmetric", "--kind=pair", "--kind=confusion", "--kind=votes"):
        assert word in text
    assert "--kind=one_vote" in text and "--first_label=1" in text and "%s" not in text
