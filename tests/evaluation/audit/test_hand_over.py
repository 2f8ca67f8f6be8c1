"""The audit as cleanlab, Label Studio, FiftyOne and Hugging Face's datasets read it."""

import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import NAMES, make_run
from helpers.called import call

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit import command
from ldl_fer.evaluation.audit.hand_over import FORMS, hand_over
from ldl_fer.evaluation.audit.suspicion import suspicion
from ldl_fer.evaluation.audit.training_set import training_set


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def expected(run):
    """Rows by suspicion, from samples.csv: label, suggestion, that score, probabilities [N, 7]."""
    samples = pd.read_csv(run.samples_file)
    shares = samples[[f"probability_{name}" for name in NAMES]].to_numpy()
    given = samples["expression"].to_numpy()
    doubt = suspicion(shares, given)
    table = pd.DataFrame({"row": samples["source_row"], "given": given, "doubt": doubt})
    table = table.assign(suggested=shares.argmax(1), shares=list(shares))
    table["path"] = samples["subDirectory_filePath"]
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)


def pixels(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_every_form_has_a_word_on_what_comes_next():
    assert set(command._NEXT) == set(FORMS)


def test_cleanlab_takes_its_arrays(run, expected, tmp_path):
    rank = pytest.importorskip("cleanlab.rank", reason="pip install cleanlab")
    from cleanlab.filter import find_label_issues

    assert hand_over(tmp_path / "out", training_set(run.folder), "cleanlab", progress=False) == []
    names = ("labels", "pred_probs", "label_quality")
    labels, shares, quality = (np.load(tmp_path / f"out/{name}.npy") for name in names)
    rows = pd.read_csv(tmp_path / "out/rows.csv")
    assert rows["row"].tolist() == list(range(24))
    wanted = expected.set_index("row").loc[rows["row"]]
    assert labels.tolist() == wanted["given"].tolist()
    assert rows["source_path"].tolist() == wanted["path"].tolist()
    np.testing.assert_allclose(shares, np.stack(wanted["shares"]), rtol=1e-12)
    np.testing.assert_allclose(quality, 1 - wanted["doubt"], atol=1e-12)
    # cleanlab's own margin of the same labels and probabilities is on the same side of a half
    own = rank.get_label_quality_scores(labels, shares, method="normalized_margin")
    np.testing.assert_array_equal(quality > 0.5, own > 0.5)
    assert find_label_issues(labels, shares).shape == (24,)
    assert json.loads((tmp_path / "out/classes.json").read_text()) == list(CLASS_NAMES)
    with pytest.raises(InputError, match="--count: cleanlab compares all samples"):
        hand_over(tmp_path / "few", training_set(run.folder), "cleanlab", 3, progress=False)


def test_label_studio_takes_its_tasks(run, expected, tmp_path):
    folder = tmp_path / "a review"
    assert hand_over(folder, training_set(run.folder), "label_studio", 5, progress=False) == []
    tasks = json.loads((folder / "tasks.json").read_text())
    config = ElementTree.parse(folder / "label_config.xml").getroot()
    (choices,), (image,) = config.findall("Choices"), config.findall("Image")
    offered = [choice.get("value") for choice in choices]
    assert offered == [*CLASS_NAMES, "drop"] and len(tasks) == 5
    for task, (_, wanted) in zip(tasks, expected.iterrows(), strict=False):
        data, (prediction,) = task["data"], task["predictions"]
        assert (data["row"], data["source_path"]) == (wanted["row"], wanted["path"])
        assert data["label"] == CLASS_NAMES[wanted["given"]]
        assert data["suspicion"] == pytest.approx(wanted["doubt"], abs=1e-12)
        assert prediction["score"] == pytest.approx(wanted["shares"].max(), abs=1e-12)
        (answer,) = prediction["result"]
        # what Label Studio's own check wants of a result: names of the configuration, its type
        assert (answer["from_name"], answer["to_name"]) == (choices.get("name"), image.get("name"))
        assert answer["type"] == "choices" and choices.get("toName") == image.get("name")
        assert answer["value"] == {"choices": [CLASS_NAMES[wanted["suggested"]]]}
        start, _, place = data[image.get("value")[1:]].partition("?d=")
        assert start == "/data/local-files/"
        original = run.folder.parent / "images" / data["source_path"]
        assert (tmp_path / unquote(place)).read_bytes() == original.read_bytes()
    variables = config.find("Header").get("value")
    assert all(f"${name}" in variables and name in data for name in ("label", "suggested"))


def test_fiftyone_takes_its_samples(run, expected, tmp_path):
    assert hand_over(tmp_path / "out", training_set(run.folder), "fiftyone", progress=False) == []
    metadata = json.loads((tmp_path / "out/metadata.json").read_text())
    # With a version, FiftyOne takes the files for documents of its database.
    assert "version" not in metadata and metadata["media_type"] == "image"
    samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    assert len(samples) == 24
    for sample, (_, wanted) in zip(samples, expected.iterrows(), strict=True):
        label, prediction = sample["ground_truth"], sample["prediction"]
        assert label["_cls"] == prediction["_cls"] == "Classification"
        assert label["label"] == CLASS_NAMES[wanted["given"]]
        assert prediction["label"] == CLASS_NAMES[wanted["suggested"]]
        assert prediction["confidence"] == pytest.approx(wanted["shares"].max(), abs=1e-12)
        assert sample["probabilities"] == pytest.approx(wanted["shares"], abs=1e-12)
        assert sample["row"] == wanted["row"] and sample["tags"] == []
        assert 0 <= sample["uncertainty"] <= 1
        assert pixels((tmp_path / "out" / sample["filepath"]).read_bytes()).shape == (24, 24, 3)


def test_imagefolder_is_a_table_beside_its_pictures(run, expected, tmp_path):
    folder = tmp_path / "out"
    assert hand_over(folder, training_set(run.folder), "imagefolder", progress=False) == []
    table = pd.read_csv(folder / "train/metadata.csv")
    assert table.columns[0] == "file_name"
    assert table["label"].tolist() == [CLASS_NAMES[label] for label in expected["given"]]
    shares = table[[f"probability_{name}" for name in NAMES]].to_numpy()
    np.testing.assert_allclose(shares, np.stack(expected["shares"]), rtol=1e-12)
    # Every picture has a row and every row a picture, or `datasets` refuses the folder.
    there = {file.name for file in (folder / "train").iterdir()} - {"metadata.csv"}
    assert there == set(table["file_name"]) and len(there) == 24


def test_datasets_loads_the_imagefolder(run, expected, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hand_over(tmp_path / "out", training_set(run.folder), "imagefolder", progress=False)
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=cache)
    assert list(loaded) == ["train"] and len(loaded["train"]) == 24
    for sample, (_, wanted) in zip(loaded["train"], expected.iterrows(), strict=True):
        assert sample["image"].size == (24, 24) and sample["row"] == wanted["row"]
        assert sample["label"] == CLASS_NAMES[wanted["given"]]


def test_a_picture_that_is_gone_is_left_out_and_told(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "images/face3.png").unlink()
    problems = hand_over(tmp_path / "out", training_set(run.folder), "fiftyone", progress=False)
    assert len(problems) == 1 and problems[0].startswith("row 3: ")
    samples = json.loads((tmp_path / "out/samples.json").read_text())["samples"]
    assert len(samples) == 23 and 3 not in [sample["row"] for sample in samples]


def test_the_command_writes_to_an_empty_folder_only(run, tmp_path):
    words = ["audit", run.folder, "--export=imagefolder", f"--output={tmp_path}/out"]
    done = call(*words)
    assert done.returncode == 0 and "24 labels" in done.stdout
    assert f"load_dataset('imagefolder', data_dir='{tmp_path}/out')" in done.stdout
    done = call(*words)
    assert done.returncode == 2 and "is not empty. Name another folder by --output" in done.stderr
    done = call(*words, "--import=x.json")
    assert done.returncode == 2 and "give one of them" in done.stderr
