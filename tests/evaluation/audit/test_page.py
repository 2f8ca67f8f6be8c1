"""The label audit up to the page: rows that are read, their ranking, the data of the page."""

import base64
import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import NAMES, make_run

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.evaluation.audit.page import thumbnails, write_page
from ldl_fer.evaluation.audit.suspicion import suggested_labels, suspicion, suspicion_of
from ldl_fer.evaluation.audit.training_set import training_set


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
    # 0.3 / (0.5 + 0.3), 0.8 / (0.1 + 0.8)
    np.testing.assert_allclose(suspicion_of(samples, names), [0.375, 8 / 9], rtol=1e-12)
    assert suggested_labels(samples, names).tolist() == [0, 1]


def test_suspicion_at_its_ends():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    np.testing.assert_allclose(suspicion(probabilities, np.array([0, 0, 1])), [0, 1, 0.5])
    np.testing.assert_allclose(probabilities, [[1, 0], [0, 1], [0.5, 0.5]])  # not written to


def test_the_page_knows_what_the_run_found(run, tmp_path):
    data, problems, text = page_data(run, tmp_path)
    samples = pd.read_csv(run.samples_file)
    assert problems == [] and data["class_names"] == list(CLASS_NAMES)
    rows = data["row"]
    assert sorted(rows) == list(range(24)) and data["listed"] == 24
    probability = samples[[f"probability_{name}" for name in NAMES]].to_numpy()
    doubt = suspicion(probability, samples["expression"].to_numpy())
    assert rows == np.argsort(-doubt, kind="stable").tolist()  # the most suspicious first
    np.testing.assert_allclose(data["suspicion"], 1000 * doubt[rows], atol=0.5)
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
