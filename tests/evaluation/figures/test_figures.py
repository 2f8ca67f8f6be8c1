"""The paper's figures from a run: the right faces, numbers and groups; sentences where none are."""

import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import make_run
from helpers.called import call

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.training_set import training_set
from ldl_fer.evaluation.figures.figures import (
    by_uncertainty,
    constructed,
    drawn,
    mixed,
    paper_figures,
    predictions,
    with_neighbors,
    write_figures,
)
from ldl_fer.methods import network_of_method

HIGH, LOW = 1.0, 0.0


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "made")


def _picture(run, path):
    return cv2.imread(str(run.folder.parent / "images" / path))[..., ::-1]


def _pictures(figure):
    axes = [axes for part in [figure, *figure.subfigs] for axes in part.axes]
    return [np.asarray(a.images[0].get_array()) for a in dict.fromkeys(axes) if a.images]


def _bars(figure):
    charts = [axes for axes in figure.axes if axes.containers and not axes.images]
    return [[[bar.get_width() for bar in c] for c in axes.containers] for axes in charts]


def test_figure_3_shows_what_samples_csv_says(run):
    training, ids = training_set(run.folder), np.array([7, 2])
    figure = constructed(training, CLASS_NAMES, ids)
    for shown, sample, bars in zip(_pictures(figure), ids, _bars(figure), strict=True):
        row = training.samples.iloc[sample]
        np.testing.assert_array_equal(shown, _picture(run, row["subDirectory_filePath"]))
        given, aggregated, target = bars
        assert np.argmax(given) == row["expression"]
        for found, part in ((aggregated, "aggregated"), (target, "target")):
            expected = [row[f"{part}_{name.lower()}"] for name in CLASS_NAMES]
            np.testing.assert_allclose(found, expected)
    title = figure.axes[0].get_title()
    assert f"{training.samples['uncertainty'][7]:.2f}" in title
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["given label", "aggregated distribution", "target distribution"]


def test_figure_3_shows_votes_where_there_are_any(run):
    table = pd.read_csv(run.folder.parent / "train.csv")
    for j, name in enumerate(CLASS_NAMES):
        table[f"votes_{name.lower()}"] = 3 if j == 1 else 1
    table.loc[2, [f"votes_{name.lower()}" for name in CLASS_NAMES]] = 0
    table.to_csv(run.folder.parent / "train.csv", index=False)
    figure = constructed(training_set(run.folder), CLASS_NAMES, np.array([7, 2]))
    voted, not_voted = (bars[-1] for bars in _bars(figure))
    np.testing.assert_allclose(voted, [1 / 9, 3 / 9, *[1 / 9] * 5])  # of 3 + 6 votes
    assert not_voted == [0.0] * 7
    assert figure.legends[0].get_texts()[-1].get_text() == "human votes"


def test_figure_4_shows_each_neighbor_with_its_numbers(run):
    _with(run, calibration="0.5;0;1", contribution="0.2;0;0.7")
    training = training_set(run.folder)
    figure = with_neighbors(training, run.config().data.class_names, np.array([4]))
    row = training.samples.iloc[4]
    neighbors = [int(n) for n in row["neighbors"].split(";")]
    for shown, sample in zip(_pictures(figure), [4, *neighbors], strict=True):
        path = training.samples["subDirectory_filePath"][sample]
        np.testing.assert_array_equal(shown, _picture(run, path))
    bars = [axes for axes in figure.axes if axes.patches and not axes.images]
    shown = [[bar.get_width() for bar in axes.patches] for axes in bars]
    # the frame; s of c = zeta s, in whichever space the neighbors were found; c
    np.testing.assert_allclose(shown, [[1, 0.4, 0.2], [1, 0, 0], [1, 0.7, 0.7]], atol=1e-6)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles[1].startswith(CLASS_NAMES[training.samples["expression"][neighbors[0]]])


def _with(run, **columns):
    samples = pd.read_csv(run.samples_file).assign(**columns)
    samples.to_csv(run.samples_file, index=False)
    return samples


def _histogram(figure):
    axes = figure.subfigs[0].axes[0]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    heights = [[bar.get_height() for bar in c] for c in axes.containers]
    return dict(zip(texts, heights, strict=True)), axes.get_title()


def test_figure_6_separates_flipped_labels_from_kept_ones(run):
    labels = pd.read_csv(run.samples_file)["expression"]
    flipped = np.arange(24) % 4 == 0
    clean = np.where(flipped, (labels + 1) % 7, labels)
    samples = _with(run, clean_expression=clean, uncertainty=np.where(flipped, HIGH, LOW))
    figure = by_uncertainty(training_set(run.folder), CLASS_NAMES, 3, 0)
    shares, title = _histogram(figure)
    assert list(shares) == ["label kept: 18 samples", "label flipped: 6 samples"]
    kept, wrong = shares.values()
    assert (kept[0], kept[-1], wrong[0], wrong[-1]) == (1.0, 0.0, 0.0, 1.0)
    assert "ROC-AUC 1.000" in title
    shown = _pictures(figure)
    assert len(shown) == 6
    files = samples["subDirectory_filePath"]
    for picture, in_group in zip(shown, [~flipped] * 3 + [flipped] * 3, strict=True):
        assert any(np.array_equal(picture, _picture(run, path)) for path in files[in_group])


def test_figure_6_without_flips_goes_by_the_network(run):
    samples = _with(run, clean_expression=pd.read_csv(run.samples_file)["expression"])
    shares, title = _histogram(by_uncertainty(training_set(run.folder), CLASS_NAMES, 2, 0))
    columns = [f"probability_{name.lower()}" for name in CLASS_NAMES]
    agree = (samples[columns].to_numpy().argmax(axis=1) == samples["expression"]).sum()
    assert f"network agrees with the label: {agree} samples" in shares
    assert f"network disagrees: {24 - agree} samples" in shares
    assert "most probable class" in title


def test_faces_are_half_of_high_uncertainty():
    uncertainty = np.linspace(0, 1, 40)[np.random.default_rng(0).permutation(40)]
    ids = mixed(uncertainty, 8, seed=3)
    highest_quarter = set(np.argsort(uncertainty)[-10:])
    assert len(set(ids)) == 8
    assert sum(sample in highest_quarter for sample in ids) == 4
    assert (np.diff(uncertainty[ids]) < 0).all()  # by falling lambda
    np.testing.assert_array_equal(ids, mixed(uncertainty, 8, seed=3))
    assert set(mixed(uncertainty, 8, seed=4)) != set(ids)
    assert len(mixed(np.array([0.5, 0.5]), 8, seed=0)) == 2


@pytest.mark.slow
def test_figure_5_and_what_another_method_lacks(tmp_path):
    run = make_run(tmp_path / "made", ldlva=False)
    run.begin(run.config().replace(method="scn", backbone="small_cnn", image_size=32))
    with pytest.raises(InputError, match="trained by scn.*give --test_data_path"):
        paper_figures(run.folder)
    network = network_of_method(run.config().replace(seed=1))
    network.save_weights(run.weights("best"))
    data, images = str(tmp_path / "made" / "train.csv"), str(tmp_path / "made" / "images")
    figures = paper_figures(run, count=3, test=(data, images))
    assert list(figures) == ["figure_5_predictions"] and len(figures) == len(figures.notes) == 1
    files = write_figures(figures, tmp_path / "drawn")
    assert [path for path in (tmp_path / "drawn").iterdir()] == files
    assert files[0].name == "figure_5_predictions.png"
    figure = predictions(run.folder, data, images, 3, 0)
    table = pd.read_csv(data)
    rows = drawn(np.arange(30), 3, 0)
    for shown, row, (given, predicted) in zip(_pictures(figure), rows, _bars(figure), strict=True):
        picture = _picture(run, table["subDirectory_filePath"][row])
        np.testing.assert_array_equal(shown, picture)
        assert np.argmax(given) == table["expression"][row]
        # As records resize: to a larger size by cubics. softmax = exp z / sum exp z
        large = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_CUBIC)
        z = network(large[np.newaxis].astype(np.float32), training=False)[1].numpy()[0]
        np.testing.assert_allclose(predicted, np.exp(z) / np.exp(z).sum(), atol=1e-5)


def test_command_draws_and_says_what_is_missing(run):
    done = call("figures", f"--run_dir={run.folder}", "--count=4")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (run.folder / "figures").iterdir())
    assert names == [
        "figure_3_distributions.png",
        "figure_4_neighbors.png",
        "figure_6_uncertainty.png",
    ]
    assert "note: Figure 5 shows test faces: give --test_data_path" in done.stdout


def test_missing_pictures_are_named(run):
    for path in (run.folder.parent / "images").glob("face*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"row \d+: face\d+.png .* by --train_image_dir"):
        write_figures(paper_figures(run.folder, count=20), run.folder)


def test_help_needs_no_tensorflow():
    code = "import sys, ldl_fer.evaluation.figures.command; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
