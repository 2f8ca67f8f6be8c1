"""The files and the table of an evaluation, of a matrix made by hand."""

import json

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.evaluation import result as evaluation_result

NAMES = ("Calm", "Glad", "Sad")
BINS = {
    "count": np.array([0, 1240]),
    "confidence": np.array([np.nan, 0.75]),
    "accuracy": np.array([np.nan, 1237 / 1240]),
}


@pytest.fixture
def result():
    matrix = np.array([[3, 1, 0], [2, 1234, 0], [0, 0, 0]])
    accuracies = {"accuracy": 1237 / 1240, "nll": 0.25}
    return evaluation_result.Result(NAMES, accuracies, matrix, BINS, 1240)


def test_per_class(result):
    found = result.per_class()
    # recall TP / row sum, precision TP / column sum, F1 = 2 TP / (row sum + column sum)
    np.testing.assert_allclose(found["recall"], [3 / 4, 1234 / 1236, np.nan])
    np.testing.assert_allclose(found["precision"], [3 / 5, 1234 / 1235, np.nan])
    np.testing.assert_allclose(found["f1"], [6 / 9, 2468 / 2471, np.nan])
    np.testing.assert_array_equal(found["support"], [4, 1236, 0])


def test_table_and_figure(result):
    assert result.table.loc["Glad", "support"] == 1236
    assert result.table.columns.tolist() == ["recall", "precision", "f1", "support"]
    assert np.isnan(result.table.loc["Sad", "recall"])
    assert str(result) == evaluation_result.format_table(result)
    assert result.figure()._repr_png_().startswith(b"\x89PNG")  # as a notebook shows it


def test_write_result(result, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = evaluation_result.write_result(
        result, folder, {"data_path": tmp_path, "select_on_test": True}
    )
    found = json.loads(path.read_text())
    assert path == folder / "result.json"
    assert found["metrics"] == result.metrics
    assert found["confusion"] == result.confusion.tolist()
    assert found["class_names"] == list(NAMES)
    assert (found["count"], found["vote_count"]) == (1240, 0)
    assert found["per_class"]["Calm"] == pytest.approx(
        {"recall": 3 / 4, "precision": 3 / 5, "f1": 6 / 9, "support": 4}
    )
    assert found["per_class"]["Sad"] == {
        "recall": None,
        "precision": None,
        "f1": None,
        "support": 0,
    }
    assert (found["data_path"], found["select_on_test"]) == (str(tmp_path), True)
    assert (folder / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert found["reliability"] == {
        "count": [0, 1240],
        "confidence": [None, 0.75],
        "accuracy": [None, 1237 / 1240],
    }
    assert (folder / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in folder.iterdir()) == [
        *("confusion_matrix.png", "reliability.png", "result.json")
    ]


def test_a_former_result_is_named_and_other_files_are_not_replaced(result, tmp_path):
    assert evaluation_result.former_result(tmp_path) == ""
    path = evaluation_result.write_result(result, tmp_path, {"data_path": "val.csv"})
    named = evaluation_result.former_result(tmp_path)
    assert named == f"{path}, of val.csv (accuracy 0.9976)"
    for text in ('{"mine": 1}', "[1]", "text"):
        path.write_text(text)
        with pytest.raises(InputError, match="result.json is there and is no result"):
            evaluation_result.former_result(tmp_path)


def test_write_result_replaces_whole_files_or_none(result, tmp_path, monkeypatch):
    path = evaluation_result.write_result(result, tmp_path, {"checkpoint": "a"})
    evaluation_result.write_result(result, tmp_path, {"checkpoint": "b"})
    assert json.loads(path.read_text())["checkpoint"] == "b"
    with pytest.raises(ValueError, match="metrics"):
        evaluation_result.write_result(result, tmp_path, {"metrics": 0})

    def fail(figure, partial, dpi):
        partial.write_bytes(b"half")
        raise OSError("disk full")

    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(InputError, match="disk full"):
        evaluation_result.write_result(result, tmp_path, {"checkpoint": "c"})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_table_fits_a_terminal(result):
    lines = evaluation_result.format_table(result).splitlines()
    assert lines[0] == "1,240 images"
    assert lines[2].split() == ["accuracy", "0.9976"]  # 1237 / 1240
    rows = {line.split()[0]: line for line in lines[-3:]}
    assert rows["Calm"].split() == ["Calm", "0.7500", "0.6000", "0.6667", "4"]
    assert rows["Sad"].split() == ["Sad", "-", "-", "-", "0"]
    assert len({len(line) for line in lines[-4:]}) == 1  # aligned with the header
    long = evaluation_result.Result(
        ("x" * 60, *NAMES[1:]), result.metrics, result.confusion, BINS, 1240, vote_count=1239
    )
    table = evaluation_result.format_table(long)
    assert table.startswith("1,240 images, 1,239 of them with votes\n")
    assert max(map(len, table.splitlines())) <= 80
