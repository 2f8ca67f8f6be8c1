"""Figures of experiments: of hand-made tables, and of hand-made runs."""

import json

import numpy as np
import pandas as pd
import pytest

from ldl_fer.config import Config
from ldl_fer.experiments.figures import draw
from ldl_fer.experiments.plan import Planned
from ldl_fer.experiments.summary import summarize, write_results
from ldl_fer.experiments.tables import CLEAN, Experiment, Figure, Noise, Variant

FLIPPED = Noise("symmetric", 0.3)
EXPERIMENT = Experiment(
    name="mine",
    source="",
    question="Is it so?",
    variants=(Variant("B", {}), Variant("A", {})),
    noises=(CLEAN, FLIPPED),
    measure="test",
    metrics=("accuracy",),
    figure=Figure("accuracy", "method", "accuracy"),
    more=(Figure("accuracy", "confidence", methods=("A",)),),
)
NAMES = ("Calm", "Glad")


def row_of(method, seed, accuracy, noise="none"):
    return {
        **{"method": method, "dataset": "faces", "noise": noise, "setting": "", "seed": seed},
        **{"accuracy": accuracy, "seconds": 1.0, "commit": "0", "run_dir": f"{method}{noise}"},
    }


def runs_of():
    rows = [row_of("B", 0, 0.5), row_of("A", 0, 0.75), row_of("B", 1, 0.8)]
    return pd.DataFrame([*rows, row_of("A", 0, 0.25, "symmetric 0.3")])


def dots(axes):
    """Returns label -> dots (x, y) of each group of a figure."""
    return {
        container.get_label(): list(zip(*container.lines[0].get_data(), strict=True))
        for container in axes.containers
    }


def test_dots_of_methods():
    figure = draw(EXPERIMENT, EXPERIMENT.figure, summarize(EXPERIMENT, runs_of()))
    axes = figure.axes[0]
    drawn = dots(axes)
    assert drawn.keys() == {"none", "symmetric 0.3"}
    np.testing.assert_allclose(drawn["none"], [(0.65, 0), (0.75, 1)])
    np.testing.assert_allclose(drawn["symmetric 0.3"], [(0.25, 1)])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "A"]
    assert axes.yaxis_inverted()  # so that they stand as in the table
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["none", "symmetric 0.3"]


def test_lines_over_noises():
    lines = Figure("accuracy", "noise", "accuracy")
    axes = draw(EXPERIMENT, lines, summarize(EXPERIMENT, runs_of())).axes[0]
    drawn = dots(axes)
    assert drawn.keys() == {"A", "B"}
    np.testing.assert_allclose(drawn["A"], [(0, 0.75), (1, 0.25)])
    np.testing.assert_allclose(drawn["B"], [(0, 0.65)])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "symmetric 0.3"]


def test_only_the_methods_that_a_figure_names():
    lines = Figure("accuracy", "noise", "accuracy", ("A",))
    axes = draw(EXPERIMENT, lines, summarize(EXPERIMENT, runs_of())).axes[0]
    [drawn] = dots(axes).values()
    np.testing.assert_allclose(drawn, [(0, 0.75), (1, 0.25)])


@pytest.fixture
def run(tmp_path):
    """Makes a finished run: of a method on labels with a noise, by its bins and its samples."""

    def make(method, noise=CLEAN, seed=0, bins=None, **samples):
        folder = tmp_path / f"{method}{noise}{seed}"
        config = Config().replace(class_names=NAMES, run_dir=str(folder))
        one = Planned(Variant(method, {}), noise, seed, config, {"faces": folder / "f.csv"}, "")
        one.result("faces", "best").mkdir(parents=True)
        one.run.config_file.write_text(config.to_json())
        result = one.result("faces", "best") / "result.json"
        result.write_text(json.dumps({"reliability": bins}))
        one.run.samples_file.write_text(pd.DataFrame(samples).to_csv(index=False))
        return one

    return make


def test_reliability_adds_up_seeds_and_leaves_small_bins_out(run):
    first = {"count": [0, 10, 60], "confidence": [None, 0.5, 0.9], "accuracy": [None, 0.1, 0.6]}
    second = {"count": [0, 15, 20], "confidence": [None, 0.4, 0.7], "accuracy": [None, 0.2, 1.0]}
    many = {"count": [0, 40, 0], "confidence": [None, 0.45, None], "accuracy": [None, 0.3, None]}
    finished = [
        run("A", CLEAN, 0, first),
        run("A", CLEAN, 1, second),
        run("A", FLIPPED, 0, many),
        run("B", CLEAN, 0, many),
    ]
    summary = summarize(EXPERIMENT, runs_of())
    figure = draw(EXPERIMENT, Figure("accuracy", "confidence"), summary, finished)
    clean, flipped = figure.axes
    assert (clean.get_title(), flipped.get_title()) == ("clean labels", "symmetric 0.3")
    lines = {line.get_label(): line.get_xydata() for line in clean.lines}
    assert lines.keys() == {"as confident as right", "A", "B"}
    # (60 x 0.9 + 20 x 0.7) / 80, (60 x 0.6 + 20 x 1) / 80; 25 images are too few
    np.testing.assert_allclose(lines["A"], [(0.85, 0.7)])
    np.testing.assert_allclose(lines["B"], [(0.45, 0.3)])
    np.testing.assert_allclose(flipped.lines[-1].get_xydata(), [(0.45, 0.3)])
    [shown] = EXPERIMENT.more
    only = draw(EXPERIMENT, shown, summary, finished)
    assert [line.get_label() for line in only.axes[0].lines] == ["as confident as right", "A"]


def test_distributions_are_means_by_clean_label_beside_the_votes(run):
    columns = dict(
        clean_expression=[0, 0, 1],
        votes_calm=[10, 1, 0],
        votes_glad=[0, 1, 0],  # of the last nobody said anything
        probability_calm=[0.5, 0.7, 0.2],
        probability_glad=[0.5, 0.3, 0.8],
    )
    own = dict(uncertainty=[0.1] * 3, target_calm=[1, 1, 0], target_glad=[0, 0, 1])
    finished = [
        run("A", CLEAN, 0, **columns),
        run("A", CLEAN, 1, **columns | {"probability_calm": [0.9, 0.7, 0.2]}),
        run("B", CLEAN, 0, **columns, **own),
    ]
    figure = draw(EXPERIMENT, Figure("kl", "class"), summarize(EXPERIMENT, runs_of()), finished)
    shown = {axes.get_title(): axes.images[0].get_array() for axes in figure.axes}
    assert shown.keys() == {"people", "A", "B", "B: d"}
    np.testing.assert_allclose(shown["people"].filled(np.nan), [[0.75, 0.25], [np.nan, np.nan]])
    np.testing.assert_allclose(shown["A"], [[0.7, 0.4], [0.2, 0.8]])
    np.testing.assert_allclose(shown["B: d"], [[1, 0], [0, 1]])
    assert figure.axes[0].get_ylabel() == "clean labels"
    finished += [run("B", FLIPPED, 0, **columns, **own)]  # A is not done with that noise
    figure = draw(EXPERIMENT, Figure("kl", "class"), summarize(EXPERIMENT, runs_of()), finished)
    shown = [[axes.get_title(), len(axes.images)] for axes in figure.axes[4:]]
    assert shown == [["people", 1], ["A", 0], ["B", 1], ["B: d", 1]]


def test_figures_of_runs_are_drawn_where_all_of_them_are_here(run, tmp_path):
    bins = {"count": [40], "confidence": [0.5], "accuracy": [0.5]}
    finished = [run("A", noise, 0, bins) for noise in EXPERIMENT.noises]
    rows = runs_of()
    for one in finished:
        rows.loc[rows["run_dir"] == f"A{one.noise}", "run_dir"] = str(one.run.folder)
    folder = tmp_path / "results"
    files = write_results(EXPERIMENT, rows, folder, "x", 5, finished)
    assert files[-2:] == ["mine.png", "mine-confidence.png"]
    (folder / "mine-confidence.png").write_text("as it was")
    files = write_results(EXPERIMENT, rows, folder, "x", 5, finished[:1])
    assert files[-1] == "mine.png"
    assert (folder / "mine-confidence.png").read_text() == "as it was"
