"""Figures show every image, number and bar in its place."""

import subprocess
import sys

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib.figure import Figure

from ldl_fer import plots

NAMES = ("Calm", "Glad", "Sad")


def _images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [*shape, 6, 6, 3], dtype=np.uint8)


def _pictures(figure):
    """The images of a figure in the order of its axes."""
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def _titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_confusion_matrix_shows_counts_and_shares_of_rows():
    matrix = np.array([[3, 1, 0], [500, 1500, 0], [0, 0, 0]])
    figure = plots.confusion_matrix(matrix, NAMES)
    axes = figure.axes[0]
    texts = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert texts[0, 0] == "75 %\n3"  # 3 / (3 + 1)
    assert texts[1, 0] == "25 %\n500"  # 500 / 2000, in the label's row and the prediction's column
    assert texts[1, 1] == "75 %\n1,500"
    assert texts[2, 2] == "0 %\n0"  # no image of that class, no division by zero
    np.testing.assert_allclose(
        axes.images[0].get_array(), [[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0, 0]]
    )
    assert [t.get_text() for t in axes.get_xticklabels()] == list(NAMES)
    assert [t.get_text() for t in axes.get_yticklabels()] == list(NAMES)
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("label", "predicted")
    assert axes.get_title() == "2,004 images, accuracy 75.00 %"  # (3 + 1500) / 2004
    with pytest.raises(ValueError, match="class names"):
        plots.confusion_matrix(matrix, NAMES[:2])


def test_reliability_shows_accuracy_over_confidence():
    bins = {
        "count": np.array([0, 3, 1]),
        "confidence": np.array([np.nan, 0.5, 0.9]),
        "accuracy": np.array([np.nan, 0.25, 1.0]),
    }
    above, below = plots.reliability(bins).axes
    np.testing.assert_array_equal(above.lines[1].get_xdata(), bins["confidence"])
    np.testing.assert_array_equal(above.lines[1].get_ydata(), bins["accuracy"])
    assert [bar.get_height() for bar in below.patches] == [0, 3, 1]
    # (3 |0.5 - 0.25| + |0.9 - 1|) / 4
    assert above.get_title() == "4 images, calibration error 0.212"


def test_faces_shows_each_image_above_nothing_else():
    images, titles = _images(5), [f"face {i}" for i in range(5)]
    figure = plots.faces(images, titles, columns=3)
    for shown, image in zip(_pictures(figure), images, strict=True):
        np.testing.assert_array_equal(shown, image)
    assert _titles(figure) == titles
    assert len(figure.axes) == 6  # 2 rows of 3, the last empty
    array = plots.figure_to_array(figure)
    assert (array[..., :3].reshape(-1, 3) == images[0, 0, 0]).all(axis=1).any()  # it is drawn
    for count in (0, 4):
        with pytest.raises(ValueError, match="titles"):
            plots.faces(images[:count], titles)


def test_uncertainty_histogram_is_by_share_of_each_group():
    images = _images(3)
    groups = {"kept": np.array([0.0, 0.01, 0.01, 1.0]), "flipped": np.array([1.0])}
    extremes = {"lowest": (images[:2], ["a", "b"]), "highest": (images[2:], ["c"])}
    figure = plots.uncertainty(groups, "title", extremes)
    axes = figure.subfigs[0].axes[0]
    kept, flipped = ([bar.get_height() for bar in c] for c in axes.containers)
    assert (kept[0], kept[-1], flipped[-1]) == (0.75, 0.25, 1.0)  # 3 of 4, 1 of 4, 1 of 1
    assert sum(kept) == sum(flipped) == 1.0
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["kept: 4 samples", "flipped: 1 samples"]
    for part, (shown, captions) in zip(figure.subfigs[1:], extremes.values(), strict=True):
        filled = [axes for axes in part.axes if axes.images]
        assert [axes.get_title() for axes in filled] == captions
        for axes, image in zip(filled, shown, strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), image)


def test_a_file_that_cannot_be_drawn_leaves_the_old_one(tmp_path):
    figure = Figure()
    plots.save_figure(figure, tmp_path / "figure.png")
    before = (tmp_path / "figure.png").read_bytes()
    figure.subplots().set_title(r"$\nonsense{$")
    with pytest.raises(ValueError, match="nonsense"):
        plots.save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_array_and_file_have_the_same_pixels(tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    array = plots.figure_to_array(figure)
    assert array.dtype == np.uint8
    assert array.shape == (110, 220, 4)  # 1 x 2 inches at 110 dots
    assert np.ptp(array[..., :3]) > 100  # something is drawn
    plots.save_figure(figure, tmp_path / "figure.png")
    import cv2

    saved = cv2.imread(str(tmp_path / "figure.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(saved, array[..., [2, 1, 0, 3]])


def test_pyplot_is_not_loaded():
    code = "import sys, ldl_fer.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_neighbors_puts_each_bar_under_its_image():
    random = np.random.default_rng(2)
    images = random.integers(0, 256, [2, 6, 6, 3], np.uint8)
    others = random.integers(0, 256, [2, 3, 6, 6, 3], np.uint8)
    similarity, calibration = random.uniform(0, 1, [2, 2, 3])
    contribution = similarity * calibration
    labels = [["a", "b", "c"], ["d", "e", "f"]]
    figure = plots.neighbors(
        images, others, ["A", "B"], labels, contribution, calibration, similarity
    )
    expected = [images[0], *others[0], images[1], *others[1]]
    with_image = [axes for axes in figure.axes if axes.images]
    for axes, image in zip(with_image, expected, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert [axes.get_title() for axes in with_image] == ["A", "a", "b", "c", "B", "d", "e", "f"]
    bars = [axes for axes in figure.axes if axes.patches and not axes.images]
    widths = [[patch.get_width() for patch in axes.patches] for axes in bars]
    for found, s, c in zip(widths, similarity.ravel(), contribution.ravel(), strict=True):
        assert found == pytest.approx([1.0, s, c])  # frame, pale bar, bar: the last lies on top
    text = bars[4].texts[0].get_text()
    assert f"$c$ {contribution[1, 1]:.2f}" in text
    assert f"$\\zeta$ {calibration[1, 1]:.2f}" in text
    assert f"$s$ {similarity[1, 1]:.2f}" in text
    with pytest.raises(ValueError, match="neighbors"):
        plots.neighbors(
            images, others[:1], ["A", "B"], labels, contribution, calibration, similarity
        )


@pytest.fixture
def fonts(monkeypatch, request):
    """Makes DejaVu Sans, and files that are given, the fonts that are installed."""

    def install(*files):
        found = (font_manager.findfont("DejaVu Sans"), *map(str, files))
        monkeypatch.setattr(plots, "_font_files", lambda: found)
        for function in (plots.drawable, plots.font_file):
            function.cache_clear()
            request.addfinalizer(function.cache_clear)

    return install


@pytest.fixture
def glad_font(tmp_path):
    """A font whose letter 喜 looks like an A."""
    font = TTFont(font_manager.findfont("DejaVu Sans"))
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[ord("喜")] = "A"
    font.save(tmp_path / "glad.ttf")
    return tmp_path / "glad.ttf"


def test_a_class_whose_letters_no_font_has_is_shown_by_its_number(fonts, capsys):
    fonts()
    assert plots.drawable(("Ruhe", "喜", "грусть", "悲", "λύπη")) == (
        *("Ruhe", "class 1", "грусть", "class 3"),
        "λύπη",
    )
    text = capsys.readouterr().err
    assert "class 1 (喜), class 3 (悲)" in text and "Install" in text
    plots.drawable(("Ruhe", "喜", "грусть", "悲", "λύπη"))
    assert not capsys.readouterr().err  # once
    figure = plots.confusion_matrix(np.eye(2, dtype=int), ("Ruhe", "喜"))
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["Ruhe", "class 1"]


def test_a_font_that_has_the_letters_is_taken(fonts, glad_font, capsys):
    fonts(glad_font)
    matrix = np.eye(2, dtype=int)
    drawn = plots.figure_to_array(plots.confusion_matrix(matrix, ("Ruhe", "喜")))
    like = plots.figure_to_array(plots.confusion_matrix(matrix, ("Ruhe", "A")))
    other = plots.figure_to_array(plots.confusion_matrix(matrix, ("Ruhe", "B")))
    np.testing.assert_array_equal(drawn, like)
    assert (drawn.shape != other.shape) or (drawn != other).any()
    assert not capsys.readouterr().err


ANY_NAMES = ["喜び", "A$B", "$\\frac$", "50 $ or $ 60", "a_b^c", "حزن", "ความสุข"]


@pytest.mark.filterwarnings("error")  # a missing letter is one
@pytest.mark.parametrize("name", ANY_NAMES)
def test_any_name_of_a_class_can_be_drawn(name, fonts):
    fonts()
    names = ("Ruhe", name)
    for figure in (
        plots.confusion_matrix(np.eye(2, dtype=int), names),
        plots.faces(_images(2), [f"{shown}\nλ 0.5" for shown in plots.captioned(names)]),
        plots.faces_with_bars(_images(1), {"prediction": np.full([1, 2], 0.5)}, names),
    ):
        assert plots.figure_to_array(figure).any()


def test_a_name_with_a_dollar_keeps_it():
    assert plots.captioned(("A$B",)) == ("A\\$B",) == plots.captioned(("A\\$B",))
