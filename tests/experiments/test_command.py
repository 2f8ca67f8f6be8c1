"""The command `experiments`, from end to end."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.called import call
from helpers.frozen_faces import make_frozen_faces

from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

METHOD_OF = {settings.title: name for name, settings in METHOD_SETTINGS.items()}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    draw_faces(folder / "drawn", train=60, test=20, size=32, progress=False)
    return folder / "drawn"


def command(faces, folder, *arguments):
    paths = {
        **{"train_data_path": faces / "train.csv", "train_image_dir": faces / "images"},
        **{"val_data_path": faces / "test.csv", "val_image_dir": faces / "images"},
        **{"test_data_path": faces / "test.csv", "test_image_dir": faces / "images"},
        **{name: folder / name for name in ("records_dir", "runs_dir", "results_dir")},
    }
    settings = {
        **{"preset": "small", "image_size": 32, "num_neighbors": 3, "batch_size": 16},
        **{"epochs": 1, "decay_epochs": "", "dataset": "drawn", "seeds": "0"},
    }
    flags = [f"--{name}={value}" for name, value in (paths | settings).items()]
    return ["experiments", *flags, *arguments]


def run(*arguments):
    return call(*command(*arguments))


def test_mistakes_are_sentences(faces, tmp_path):
    wrong = {
        "name one experiment: noise, inconsistent": [],
        "name one experiment: ": ["table1"],
        "--method is what experiments vary": ["noise", "--method=scn"],
        "--run_dir is made up for each run; say by --runs_dir": ["noise", "--run_dir=mine"],
        "--seed is another for each run; name them by --seeds": ["noise", "--seed=0"],
        "--pictures is of no use here": ["noise", "--nopictures"],
        "uncertainty` compares with classifiers on pooled maps": ["uncertainty"],
        "must be an annotation CSV": ["noise", f"--train_data_path={faces}"],
        "--seeds": ["noise", "--seeds=0,one"],
        "--only: noise has no LDL; it has cross-entropy, label smoothing": ["noise", "--only=LDL"],
        "--only_noise: ablation has no symmetric 0.1; it has none, symmetric 0.3": [
            *("ablation", "--only_noise=symmetric 0.1")
        ],
        "--subset=61": ["noise", "--subset=61"],
        "no run of noise is finished": ["noise", "--summarize"],
    }
    for words, given in wrong.items():
        done = run(faces, tmp_path, *given)
        assert done.returncode == 2 and words in done.stderr.replace("\n", " ")
    assert not list(tmp_path.glob("results_dir/*"))


def test_a_mistake_ends_the_command_without_a_traceback(faces, tmp_path):
    done = run(faces, tmp_path, "table1")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "error: name one experiment: " in done.stderr


@pytest.mark.slow
def test_noise_from_end_to_end(faces, tmp_path):
    arguments = ("noise", "--only=cross-entropy,LDLVA", "--only_noise=symmetric 0.3")
    done = run(faces, tmp_path, *arguments, "--seeds=0,1")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results_dir/noise"
    summary = pd.read_csv(folder / "summary.csv")
    assert summary.columns.tolist() == [
        *("method", "dataset", "noise", "setting", "metric", "mean", "stderr", "runs"),
        "published",
    ]
    assert set(summary["method"]) == {"cross-entropy", "LDLVA"}
    assert set(summary["noise"]) == {"symmetric 0.3"} and set(summary["dataset"]) == {"drawn"}
    assert (summary["runs"] == 2).all() and summary["published"].isna().all()
    runs = pd.read_csv(folder / "runs.csv")
    assert sorted(zip(runs["method"], runs["seed"], strict=True)) == [
        *(("LDLVA", 0), ("LDLVA", 1), ("cross-entropy", 0), ("cross-entropy", 1))
    ]
    for row in runs.itertuples():
        # The number in the table is that of the result file, and of the labels named there.
        for epoch, accuracy in (("best", row.accuracy), ("last", row.accuracy_last)):
            [file] = (tmp_path / "runs_dir/drawn").glob(f"{row.run_dir.split('/')[-1]}/*{epoch}")
            result = json.loads((file / "result.json").read_text())
            assert result["metrics"]["accuracy"] == pytest.approx(accuracy, rel=1e-5)
            assert result["weights"] == epoch and result["count"] == 20
        samples = pd.read_csv(f"{row.run_dir}/samples.csv")
        assert len(samples) == 60
        # round(0.3 * 60)
        assert (samples["expression"] != samples["clean_expression"]).sum() == 18
        assert np.isnan(row.flips_auc) == (row.method == "cross-entropy")
    rows = runs.groupby("method")["accuracy"]
    for method, mean in rows.mean().items():
        found = summary[(summary["method"] == method) & (summary["metric"] == "accuracy")]
        assert found["mean"].item() == pytest.approx(mean, rel=1e-5)
        # |a - b| / sqrt(2) over sqrt(2)
        gap = abs(np.subtract(*rows.get_group(method))) / 2
        assert found["stderr"].item() == pytest.approx(gap, rel=1e-4, abs=1e-9)
    text = (folder / "summary.md").read_text()
    # methods, 3 noises, 2 seeds
    planned = len(METHOD_SETTINGS) * 3 * 2
    assert "ldl-fer experiments" in text and f"4 runs of {planned} planned" in text
    assert cv2.imread(str(folder / "noise.png")).std() > 1
    assert "| LDLVA |" in done.stdout
    # Again: all is done, and the tables are the same.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs_dir").rglob("*.json")}
    again = run(faces, tmp_path, *arguments, "--seeds=0,1")
    assert again.returncode == 0 and again.stdout == done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    pd.testing.assert_frame_equal(pd.read_csv(folder / "summary.csv"), summary)


@pytest.mark.slow
def test_inconsistent_from_end_to_end(faces, tmp_path):
    done = run(faces, tmp_path, "inconsistent", "--only=LDLVA")
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(tmp_path / "results_dir/inconsistent/runs.csv")
    assert runs["dataset"].tolist() == ["drawn", "drawn (one vote)"]
    samples = pd.read_csv(f"{runs['run_dir'][0]}/samples.csv")
    assert samples["subDirectory_filePath"].value_counts().eq(2).all() and len(samples) == 120


@pytest.mark.slow
def test_votes_and_a_part_of_the_training_set_for_validation(faces, tmp_path):
    held_out = ("--val_data_path=", "--val_image_dir=", "--validation_fraction=0.2")
    done = run(faces, tmp_path, "votes", "--only_noise=none", *held_out)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "results_dir/votes/summary.csv")
    found = set(zip(summary["method"], summary["setting"], strict=True))
    training = {
        *("cross-entropy: softmax", "one-hot label", "label smoothing: softmax"),
        *("smoothed label", "PDLS: softmax", "LDLVA: softmax"),
        *("LDLVA: target d", "LDLVA: neighbors' d~"),
    }
    training |= {name.replace(": ", ": scaled ") for name in training if name.endswith("softmax")}
    tests = {"cross-entropy", "label smoothing", "PDLS", "LDLVA"}
    tests |= {f"{name}: scaled" for name in tests}
    assert found == {(name, "training faces") for name in training} | {
        (name, "test faces") for name in tests
    }
    kl = summary[summary["metric"] == "kl"].set_index(["method", "setting"])["mean"]
    # Drawn faces have soft votes: a smoothed label is nearer to them than a one-hot one.
    assert kl["one-hot label", "training faces"] > kl["smoothed label", "training faces"] > 0
    # The run's temperature is that of its held-out faces, and accuracy does not feel it.
    table = summary.set_index(["method", "setting", "metric"])["mean"]
    for name in ("cross-entropy", "LDLVA"):
        [run_dir] = (tmp_path / "runs_dir/drawn").glob(f"{METHOD_OF[name]}-none-*")
        assert 0.05 < json.loads((run_dir / "temperature.json").read_text())["temperature"] < 20
        plain, scaled = ((n, "test faces") for n in (name, f"{name}: scaled"))
        assert table[(*plain, "accuracy")] == table[(*scaled, "accuracy")]
        assert table[(*plain, "nll")] != table[(*scaled, "nll")]


@pytest.fixture(scope="module")
def frozen_faces(tmp_path_factory):
    return make_frozen_faces(tmp_path_factory.mktemp("frozen"), train=150).folder


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True])
def test_uncertainty_from_end_to_end(frozen_faces, tmp_path, held_out):
    """Also where the set to choose the epoch on is a part of the training CSV."""
    pytest.importorskip("cleanlab", reason="needs the package cleanlab")
    arguments = ["uncertainty", "--only_noise=symmetric 0.3", "--preset=frozen", "--head_units=16"]
    arguments += [f"--pretrained={frozen_faces}/made_up.onnx", "--runs_dir=" + str(tmp_path / "r")]
    arguments += ["--val_data_path=", "--val_image_dir="] * held_out
    done = run(frozen_faces / "drawn", tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "results_dir/uncertainty/summary.csv")
    assert set(summary["method"]) == {
        *("cross-entropy: 1 - p(label)", "LDLVA: 1 - p(label)", "LDLVA: lambda"),
        *("LDLVA: 1 - d(label)", "LDLVA: 1 - d~(label)", "LDLVA: 1 - p(label), 5 folds"),
        *("cross-entropy: suspicion", "LDLVA: suspicion", "LDLVA: suspicion, with 5 folds"),
        *("cross-entropy: 1 - p(label), 5 folds", "cross-entropy: suspicion, with 5 folds"),
        *("linear: suspicion, 5 folds", "cleanlab: self_confidence"),
        *("cleanlab: normalized_margin", "cleanlab: confidence_weighted_entropy"),
    }
    means = summary.set_index(["method", "metric"])["mean"]
    for method in set(summary["method"]):
        assert 0 <= means[method, "roc_auc"] <= 1
        assert -1 <= means[method, "entropy_correlation"] <= 1
    for metric in ("issues_precision", "issues_recall"):
        assert set(summary[summary["metric"] == metric]["method"]) == {"cleanlab: self_confidence"}
