"""The label audit up to the page: what is read, how it is ranked, what the page is told."""

import base64
import json
import os
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from audited_run import NAMES, make_run

from ldl_fer.annotations import read_annotations
from ldl_fer.audit.page import suggested_labels, suspicion, thumbnails, write_page
from ldl_fer.audit.training_set import training_set
from ldl_fer.errors import InputError
from ldl_fer.record_writer import write_records
from ldl_fer.records import Records
from ldl_fer.settings import CLASS_NAMES


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("audit"))


def page_data(run, folder, **settings):
    settings = dict(title="t", count=0, side=80, progress=False) | settings
    problems = write_page(folder / "audit.html", training_set(run.folder), **settings)
    text = (folder / "audit.html").read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]), problems, text


def test_scores_by_formula():
    samples = pd.DataFrame({"expression": [0, 2]})
    samples[[f"probability_{name}" for name in "abc"]] = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]
    names = ("A", "B", "C")
    # 1 - p_y; max p - p_y
    for ranking, scores in {"probability": [0.5, 0.9], "margin": [0.0, 0.7]}.items():
        np.testing.assert_allclose(suspicion(samples, names, ranking), scores, rtol=1e-12)
    assert suggested_labels(samples, names).tolist() == [0, 1]
    with pytest.raises(ValueError, match="by loss"):
        suspicion(samples, names, "loss")


def test_held_out_rows_are_in_the_file_and_not_among_the_samples(run):
    training = training_set(run.folder)
    assert len(training.annotations) == 30 and len(training.samples) == 24
    assert training.rows.tolist() == list(range(24))
    content = np.frombuffer(training.picture(29), np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (24, 24, 3)


def test_a_pipe_among_the_pictures_does_not_make_it_wait(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "images/face3.png").unlink()
    os.mkfifo(tmp_path / "images/face3.png")
    with pytest.raises(OSError, match="it is a pipe or device"):
        training_set(run.folder).picture(3)


def test_shards_serve_as_well(tmp_path):
    run = make_run(tmp_path, held_out=0)
    annotations = read_annotations(tmp_path / "train.csv")
    neighbors = np.zeros([30, 0], np.int32)
    write_records(
        annotations,
        tmp_path / "images",
        tmp_path / "shards",
        image_size=24,
        neighbors=neighbors,
        progress=False,
    )
    training = training_set(run.folder, annotations=tmp_path / "shards")
    assert training.annotations.paths == annotations.paths
    from_file = (tmp_path / "images" / annotations.paths[7]).read_bytes()
    assert training.picture(7) == from_file and len(Records(tmp_path / "shards")) == 30


def test_what_changed_or_is_gone_is_named(tmp_path):
    run = make_run(tmp_path)
    table = pd.read_csv(tmp_path / "train.csv")
    changed = table.copy()
    changed.loc[3, "expression"] = (changed.loc[3, "expression"] + 1) % 7
    for text, wrong in {
        r"row 3 \(face3.png\) is not what it was": changed,
        "10 rows, the run knows of row 23": table.head(10),
    }.items():
        wrong.to_csv(tmp_path / "wrong.csv", index=False)
        with pytest.raises(InputError, match=text):
            training_set(run.folder, tmp_path / "wrong.csv")
    with pytest.raises(InputError, match="--image_dir=FOLDER"):
        training_set(run.folder, image_dir=tmp_path / "gone")
    run.samples.unlink()
    with pytest.raises(InputError, match="--resume"):
        training_set(run.folder)


def test_the_page_knows_what_the_run_found(run, tmp_path):
    data, problems, text = page_data(run, tmp_path)
    samples = pd.read_csv(run.samples)
    assert problems == [] and data["class_names"] == list(CLASS_NAMES)
    rows = data["row"]
    assert sorted(rows) == list(range(24)) and data["listed"] == 24
    probability = samples[[f"probability_{name}" for name in NAMES]].to_numpy()
    own = probability[np.arange(24), samples["expression"]]
    assert rows == np.argsort(own, kind="stable").tolist()  # the most suspicious first
    for place, row in enumerate(rows):
        assert data["path"][place] == samples["subDirectory_filePath"][row]
        np.testing.assert_allclose(data["probability"][place], 1000 * probability[row], atol=0.5)
        assert data["uncertainty"][place] == round(1000 * samples["uncertainty"][row])
        expected = [int(other) for other in samples["neighbors"][row].split(";")]
        assert [rows[other] for other in data["neighbors"][place]] == expected
        expected = [1000 * float(c) for c in samples["contribution"][row].split(";")]
        np.testing.assert_allclose(data["contribution"][place], expected, atol=0.5)
    assert text.count("</script>") == 2  # nothing of the data ends the script early
    assert "http" not in re.sub(r"Content-Security", "", text).lower().replace("http-equiv", "")


def test_a_page_of_the_most_suspicious_and_their_neighbors(run, tmp_path):
    data, _, _ = page_data(run, tmp_path, count=4)
    assert data["listed"] == 4 and 4 < len(data["row"]) <= 16
    assert all(len(row) == 3 for row in data["neighbors"][:4])
    assert len(data["pictures"]) == len(data["row"])
    assert len(data["csv_lines"]) == 30  # the corrected file is the whole one


def test_a_run_of_another_method_has_no_uncertainty(tmp_path):
    run = make_run(tmp_path, ldlva=False)
    data, _, _ = page_data(run, tmp_path)
    assert not {"uncertainty", "target", "neighbors"} & set(data)


def test_thumbnails_are_the_pictures(tmp_path):
    random = np.random.default_rng(0)
    large = cv2.resize(random.integers(0, 256, [4, 8, 3], np.uint8), (160, 80))
    files = [cv2.imencode(".png", large)[1].tobytes(), b"no picture"]
    (first, second), problems = thumbnails(files.__getitem__, [0, 1], 40, progress=False)
    decode = lambda text: cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), 1)  # noqa: E731
    expected = cv2.resize(large, (40, 20), interpolation=cv2.INTER_AREA)  # aspect ratio kept
    assert decode(first).shape == (20, 40, 3)
    assert np.abs(decode(first).astype(int) - expected).mean() < 6
    assert decode(second).shape == (40, 40, 3)
    assert len(problems) == 1 and problems[0].startswith("row 1: ")
