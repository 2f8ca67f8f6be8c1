"""Tables of runs made by hand: means and standard errors by formula, others' numbers apart."""

import dataclasses

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from ldl_fer.experiments import summary
from ldl_fer.experiments.summary import (
    PUBLISHED,
    command_line_of,
    published_table,
    summarize,
    table_of,
    write_results,
)
from ldl_fer.experiments.tables import CLEAN, EXPERIMENTS, Experiment, Figure, Noise, Variant

COLUMNS = [
    *("method", "dataset", "noise", "setting", "metric", "mean", "stderr", "runs", "published")
]
EXPERIMENT = Experiment(
    name="mine",
    source="Table 9",
    question="Is it so?",
    variants=(Variant("B", {}), Variant("A", {})),
    noises=(CLEAN, Noise("symmetric", 0.3)),
    measure="test",
    metrics=("accuracy", "kl"),
    figure=Figure("accuracy", "method", "accuracy"),
)
BY_HAND = """experiment,method,dataset,noise,setting,metric,value,stderr,source
mine,B,faces,none,,accuracy,0.9,0.02,a paper
mine,C,faces,none,,accuracy,0.99,,a paper
mine,B,others,none,,accuracy,0.91,,a paper
mine,A,faces,symmetric 0.3,,kl,0.4,,a paper
mine,B,faces,none,,accuracy,0.8,,another paper
noise,A,faces,none,,accuracy,0.95,,a paper
"""


@pytest.fixture(autouse=True)
def published(monkeypatch, tmp_path):
    path = tmp_path / "published.csv"
    path.write_text(BY_HAND)
    monkeypatch.setattr(summary, "PUBLISHED", path)


def run_of(method, seed, accuracy, noise="none", setting="", **metrics):
    return {
        **{"method": method, "dataset": "faces", "noise": noise, "setting": setting},
        **{"seed": seed, "accuracy": accuracy, **metrics},
        **{"seconds": 1800.0, "commit": "0123456789abcdef", "run_dir": f"{method}{noise}{seed}"},
    }


def runs_of():
    return pd.DataFrame(
        [
            run_of("B", 0, 0.5),
            run_of("A", 0, 0.75, kl=0.5),
            run_of("B", 1, 0.6),
            run_of("B", 2, 0.85),
            run_of("A", 0, 0.25, "symmetric 0.3", kl=1.5),
        ]
    )


def row_of(table, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    [index] = table.index
    return table.loc[index]


def test_mean_and_standard_error():
    table = summarize(EXPERIMENT, runs_of())
    assert table.columns.tolist() == COLUMNS
    row = row_of(table, method="B", metric="accuracy")
    values = np.array([0.5, 0.6, 0.85])
    assert row["runs"] == 3 and row["mean"] == pytest.approx(values.sum() / 3)
    # sqrt(sum (x - mean)^2 / (n - 1)) / sqrt(n)
    deviation = np.sqrt(((values - values.mean()) ** 2).sum() / 2)
    assert row["stderr"] == pytest.approx(deviation / np.sqrt(3))


def test_one_run_has_no_standard_error():
    row = row_of(summarize(EXPERIMENT, runs_of()), method="A", metric="accuracy", noise="none")
    assert row["runs"] == 1 and row["mean"] == 0.75 and np.isnan(row["stderr"])


def test_what_was_not_measured_has_no_row_and_the_order_is_that_of_the_runs():
    table = summarize(EXPERIMENT, runs_of())
    assert row_of(table, method="A", metric="kl", noise="none")["runs"] == 1
    assert not ((table["method"] == "B") & (table["metric"] == "kl")).any()
    assert set(table["metric"]) == {"accuracy", "kl"}  # neither seed nor seconds
    firsts = table[table["metric"] == "accuracy"][["method", "noise"]].values.tolist()
    assert firsts == [["B", "none"], ["A", "none"], ["A", "symmetric 0.3"]]


def test_a_metric_that_only_some_seeds_have_counts_those():
    runs = pd.DataFrame(
        [run_of("A", 0, 0.5, kl=1.0), run_of("A", 1, 0.5), run_of("A", 2, 0.5, kl=3)]
    )
    row = row_of(summarize(EXPERIMENT, runs), metric="kl")
    # mean 2, deviation sqrt(2), over sqrt(2)
    assert (row["runs"], row["mean"]) == (2, 2.0) and row["stderr"] == pytest.approx(1.0)


def test_published_numbers_stand_apart():
    table = summarize(EXPERIMENT, runs_of())
    assert row_of(table, method="B", metric="accuracy")["published"] == 0.9
    assert row_of(table, method="A", metric="kl", noise="symmetric 0.3")["published"] == 0.4
    assert table["published"].notna().sum() == 2
    # What we did not run is no row of ours, and another experiment's numbers are not this one's.
    assert set(table["method"]) == {"A", "B"} and set(table["dataset"]) == {"faces"}
    pd.testing.assert_frame_equal(
        table.drop(columns="published"),
        summarize(dataclasses.replace(EXPERIMENT, name="other"), runs_of()).drop(
            columns="published"
        ),
    )


def test_what_papers_print_stands_by_source_with_a_column_for_each_data_set():
    assert published_table(EXPERIMENT).splitlines() == [
        "| source | noise | method | faces | others |",
        "| --- | --- | --- | --- | --- |",
        "| a paper | none | B | 0.900 ± 0.020 | 0.910 |",
        "| a paper | none | C | 0.990 | - |",
        "| a paper | symmetric 0.3 | A | 0.400 | - |",
        "| another paper | none | B | 0.800 | - |",
    ]


def test_files(tmp_path):
    folder = tmp_path / "results" / "mine"
    write_results(EXPERIMENT, runs_of(), folder, "python -m this --seeds=0,1,2", 6)
    assert {path.name for path in folder.iterdir()} == {
        *("runs.csv", "summary.csv", "summary.md", "mine.png")
    }
    first, *lines = (folder / "summary.csv").read_text().splitlines()
    assert first.split(",") == COLUMNS and len(lines) == 5
    # One run, no standard error; nothing published.
    assert "A,faces,none,,accuracy,0.75,,1," in lines
    written = pd.read_csv(folder / "runs.csv", keep_default_na=False, na_values={"kl": [""]})
    pd.testing.assert_frame_equal(written, runs_of(), check_dtype=False)
    text = (folder / "summary.md").read_text()
    for part in (
        *("# mine: Table 9", "Is it so?", "python -m this --seeds=0,1,2", "seeds 0, 1, 2"),
        # five runs of half an hour
        *("5 runs of 6 planned, 2.5 hours", "commit 0123456789ab."),
        table_of(EXPERIMENT, summarize(EXPERIMENT, runs_of())),
        published_table(EXPERIMENT),
    ):
        assert part in text
    picture = matplotlib.image.imread(folder / "mine.png")
    assert picture.ndim == 3 and picture.std() > 0.01
    changed = runs_of().assign(commit=["fedcba9876543210-dirty"] + ["0123456789abcdef"] * 4)
    write_results(EXPERIMENT, changed, folder, "again", 5)
    text = (folder / "summary.md").read_text()
    assert "5 runs, 2.5 hours" in text and "fedcba987654-dirty, 0123456789ab." in text


def test_accuracies_of_several_methods_and_noises_stand_side_by_side(tmp_path):
    rows = [
        run_of("B", seed, accuracy, noise, accuracy_last=accuracy - 0.25)
        for noise in ("votes 0.3", "none", "pair 0.3")
        for seed, accuracy in ((0, 0.75), (1, 0.752))
    ]
    rows.append(run_of("A", 0, 0.5, "none", accuracy_last=0.375))
    write_results(EXPERIMENT, pd.DataFrame(rows), tmp_path, "x", 7)
    text = (tmp_path / "summary.md").read_text()
    _, _, wide = text.partition("Accuracy / accuracy_last in percent:\n\n")
    assert wide.split("\n\n")[0].splitlines() == [
        "| method | votes 0.3 | none | pair 0.3 |",
        "| --- | --- | --- | --- |",
        "| B | 75.1 / 50.1 | 75.1 / 50.1 | 75.1 / 50.1 |",
        "| A | - | 50.0 / 37.5 | - |",
    ]
    write_results(EXPERIMENT, runs_of(), tmp_path, "x", 5)  # two noises: its table is enough
    assert "accuracy_last in percent" not in (tmp_path / "summary.md").read_text()


def test_no_absolute_path_is_written(tmp_path, monkeypatch):
    """Neither in the command nor in runs.csv, whether below the current folder or beside it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    given = [
        *("noise", f"--pretrained={tmp_path}/models/a.onnx", "--train_data_path", f"{work}/t.csv"),
        *("--summarize", "--subset=6", "--only_noise=symmetric 0.3", "--dataset=a/b"),
    ]
    command = command_line_of(given)
    assert command == (
        "ldl-fer experiments noise --pretrained=../models/a.onnx --train_data_path t.csv "
        "--subset=6 '--only_noise=symmetric 0.3' --dataset=a/b"
    )
    runs = runs_of()
    runs["run_dir"] = [f"{tmp_path}/{name}" for name in runs["run_dir"]]
    write_results(EXPERIMENT, runs, work / "results", command, 5)
    written = pd.read_csv(work / "results" / "runs.csv")
    assert written["run_dir"].tolist() == [f"../{name}" for name in runs_of()["run_dir"]]
    for name in ("runs.csv", "summary.csv", "summary.md"):
        assert str(tmp_path) not in (work / "results" / name).read_text()


def test_settings_beside_the_papers_are_listed(tmp_path):
    changed = Variant("B", {"method": "gce", "gce_exponent": 0.5})
    variants = (changed, Variant("A", {"method": "eac"}))
    experiment = dataclasses.replace(EXPERIMENT, variants=variants)
    write_results(experiment, runs_of(), tmp_path, "x", 5)
    assert "\nSettings: B gce_exponent 0.5.\n" in (tmp_path / "summary.md").read_text()
    part = dataclasses.replace(changed, setting="(i)")
    parts = dataclasses.replace(EXPERIMENT, variants=(part,))
    write_results(parts, runs_of(), tmp_path, "x", 5)
    assert "\nSettings: B (i) gce_exponent 0.5.\n" in (tmp_path / "summary.md").read_text()
    write_results(EXPERIMENT, runs_of(), tmp_path, "x", 5)
    assert "Settings:" not in (tmp_path / "summary.md").read_text()


def test_rows_of_one_run_are_counted_once(tmp_path):
    runs = runs_of()
    twice = pd.concat([runs, runs.assign(dataset="faces (one vote)")], ignore_index=True)
    write_results(EXPERIMENT, twice, tmp_path, "x", 5)
    assert "5 runs, 2.5 hours" in (tmp_path / "summary.md").read_text()


def test_the_table_shows_what_varies():
    table = table_of(EXPERIMENT, summarize(EXPERIMENT, runs_of()))
    assert table.splitlines() == [
        "| method | noise | accuracy | kl | published |",
        "|---|---|---|---|---|",
        # sqrt((0.15^2 + 0.05^2 + 0.2^2) / 2) / sqrt(3) = 0.1041
        "| B | none | 0.650 ± 0.104 | - | accuracy 0.9 |",
        "| A | none | 0.750 | 0.500 |  |",
        "| A | symmetric 0.3 | 0.250 | 1.500 | kl 0.4 |",
    ]
    few = runs_of().drop(columns="kl")
    few = table_of(dataclasses.replace(EXPERIMENT, name="other"), summarize(EXPERIMENT, few[:1]))
    assert few.splitlines()[0] == "| method | accuracy | published |"


@pytest.mark.parametrize("x", ["method", "noise", "setting"])
def test_a_figure_without_anything_to_show_is_drawn_all_the_same(tmp_path, x):
    # Votes that are missing, for example.
    nothing = dataclasses.replace(EXPERIMENT, figure=Figure("entropy_correlation", x, "none"))
    write_results(nothing, runs_of(), tmp_path, "x", 5)
    assert (tmp_path / "mine.png").stat().st_size > 0


def test_the_field_has_what_papers_print_of_its_noises(monkeypatch):
    monkeypatch.setattr(summary, "PUBLISHED", PUBLISHED)
    table = summary.published(EXPERIMENTS["field"])
    assert set(table["noise"]) == {"none", *(f"symmetric 0.{tenth}" for tenth in (1, 2, 3))}
    ours = table[(table["method"] == "LDLVA") & (table["dataset"] == "RAF-DB")]
    assert ours.set_index("noise")["value"].to_dict() == {
        **{"symmetric 0.1": 0.8798, "symmetric 0.2": 0.8681, "symmetric 0.3": 0.8585},
        "none": 0.9051,
    }


def test_the_published_numbers_are_of_our_experiments_and_have_sources():
    table = pd.read_csv(PUBLISHED, dtype={"setting": str}, keep_default_na=False)
    keys = ["experiment", *COLUMNS[:5]]
    assert table.columns.tolist() == [*keys, "value", "stderr", "source"]
    assert not table.duplicated([*keys, "source"]).any()
    for row in table.itertuples():
        experiment = EXPERIMENTS[row.experiment]
        assert row.noise in {str(noise) for noise in experiment.noises}
        assert row.metric in experiment.metrics
        assert 0 < float(row.value) < 1 and len(row.source) > 10
        if row.experiment == "ablation":
            assert (row.method, row.setting) in {
                (variant.method, variant.setting) for variant in experiment.variants
            }
    own = table[table["source"].str.startswith("Le et al., WACV 2023")]
    assert own.groupby("experiment").size().to_dict() == {
        # 3 noises x 4 systems x 3 sets; 5 systems x 3 sets; the cells that Table 3 fills; 5 x 2
        **{"noise": 36, "inconsistent": 15, "original": 20, "ablation": 10}
    }
    # Table 1, RAF-DB at 30 %: baseline 78.92, the method 85.85.
    flipped = own[(own["noise"] == "symmetric 0.3") & (own["experiment"] == "noise")]
    faces = flipped[flipped["dataset"] == "RAF-DB"].set_index("method")["value"].astype(float)
    assert (faces["cross-entropy"], faces["LDLVA"]) == (0.7892, 0.8585)
    # What papers print for one baseline differs by more than their methods do.
    [plain] = [
        group["value"].astype(float)
        for key, group in table.groupby(["method", "dataset", "noise"])
        if key == ("cross-entropy", "RAF-DB", "symmetric 0.3")
    ]
    assert sorted(plain) == [0.7167, 0.755, 0.7892]
