"""docs/tour.ipynb: it runs from its first cell to its last, and shows what is kept in it."""

import ast
import contextlib
import io
import json
import tempfile

import matplotlib.figure
import pandas as pd
import pytest
from helpers.commands import ROOT

from ldl_fer.evaluation.metrics import flip_detection

NOTEBOOK = ROOT / "docs" / "tour.ipynb"
LARGEST = 300_000  # bytes, with its outputs


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def kept(cell):
    """Returns the kinds of what a cell has as its outputs."""
    kinds = {kind for one in cell["outputs"] for kind in one.get("data", {})}
    kinds |= {"printed" for one in cell["outputs"] if one["output_type"] == "stream"}
    return kinds - {"text/plain"}


def shown(value, printed):
    """Returns the kinds of what a notebook shows of a value, and of what was printed."""
    kinds = {"image/png"} if isinstance(value, matplotlib.figure.Figure) else set()
    kinds |= {"text/html"} if isinstance(value, pd.DataFrame) else set()
    return kinds | ({"printed"} if printed else set())


def run_cell(text, names):
    """Runs a cell; returns the value of its last line and what it printed."""
    body, last = ast.parse(text).body, None
    if isinstance(body[-1], ast.Expr):
        last = ast.Expression(body.pop().value)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = eval(compile(last, "cell", "eval"), names) if last else None
    return value, printed.getvalue()


def test_fifteen_cells_each_explained_with_their_outputs(cells):
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code"] * 15
    assert all(len(source(cell)) > 40 for cell in cells[::2])
    assert [cell["execution_count"] for cell in cells[1::2]] == list(range(1, 16))
    assert all(cell["outputs"] for cell in cells[1::2])
    assert {one["output_type"] for cell in cells[1::2] for one in cell["outputs"]} <= {
        "execute_result",
        "stream",
    }
    assert NOTEBOOK.stat().st_size < LARGEST


@pytest.mark.slow
def test_the_tour_runs_and_shows_what_is_kept_in_it(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # taken back though a cell goes elsewhere
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = {}
    for cell in cells[1::2]:
        value, printed = run_cell(source(cell), names)
        if hasattr(value, "_repr_png_"):
            assert value._repr_png_().startswith(b"\x89PNG")
        assert shown(value, printed) == kept(cell), source(cell)
    samples = names["samples"]
    flipped = samples["expression"] != samples["clean_expression"]
    assert flip_detection(samples["uncertainty"], flipped)["roc_auc"] > 0.55
    assert (names["exports"].table["largest_difference"] < 1e-5).all()
    assert len(names["table"]) == len(list((tmp_path).rglob("faces/images/test/*.png")))
