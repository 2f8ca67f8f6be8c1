"""Draws figures of confusion, reliability, faces, distributions and neighbors; saves them.

Every function returns a `matplotlib.figure.Figure` that belongs to nobody: there is no pyplot, no
display and nothing to close; a notebook shows it as the last value of a cell. Images are uint8
RGB, [H, W, 3] each, of any size.

Names of classes may be in any script: a font that has the letters is looked for among those that
are installed, and where there is none, a class is shown by its number.
"""

import functools
import io
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.figure
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from PIL import Image

from ldl_fer.files import whole_file

DOTS_PER_INCH = 110
_OF_NOTEBOOKS = 66  # the same, beside text
FACE = 1.5  # inches that a picture has in width and height
_GIVEN, TARGET, _REFERENCE, _AGGREGATED = "#9aa0a6", "#1f77b4", "#f28e2b", "#9ecae1"
_COLORS = (TARGET, _REFERENCE, "#59a14f")
_SERIES_COLORS = {
    "given label": _GIVEN,
    "aggregated distribution": _AGGREGATED,
    "target distribution": TARGET,
    "prediction": TARGET,
}


class Figure(matplotlib.figure.Figure):
    """A figure that notebooks show, without pyplot and `%matplotlib`."""

    def _repr_png_(self) -> bytes:
        """In 256 colors, so that notebooks stay small."""
        pixels = Image.fromarray(figure_to_array(self, _OF_NOTEBOOKS)).convert("RGB")
        content = io.BytesIO()
        pixels.quantize(256, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        return content.getvalue()


@functools.lru_cache(maxsize=64)
def drawable(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns class names that can be drawn: "class 3" for one whose letters no font has.

    Says so on standard error.
    """
    named = [
        name if font_file(name) else f"class {number}" for number, name in enumerate(class_names)
    ]
    pairs = zip(class_names, named, strict=True)
    if changed := [f"{new} ({old})" for old, new in pairs if old != new]:
        print(
            "note: no font has all letters of some class names, which are drawn as "
            f"{', '.join(changed)}. Install one that has them, such as Noto.",
            file=sys.stderr,
        )
    return tuple(named)


def captioned(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns `drawable` class names for texts of figures, where a plain $ begins a formula."""
    return tuple(re.sub(r"(?<!\\)\$", r"\\$", name) for name in drawable(tuple(class_names)))


@functools.lru_cache(maxsize=4096)
def font_file(words: str) -> str | None:
    """Returns the file of an installed font with all letters of a text, DejaVu Sans if it has."""
    letters = {ord(c) for c in words if unicodedata.category(c)[0] not in "CZ" and c != "\ufe0f"}
    return next((file for file in _font_files() if letters <= _letters_of(file)), None)


@functools.lru_cache(maxsize=1)
def _font_files() -> tuple[str, ...]:
    """Returns the files of all installed fonts: DejaVu Sans, upright ones, then others."""
    fonts = [f for f in font_manager.fontManager.ttflist if "lastresort" not in f.name.lower()]
    fonts.sort(key=lambda f: (f.style != "normal", str(f.weight) not in ("400", "normal"), f.name))
    return font_manager.findfont("DejaVu Sans"), *(font.fname for font in fonts)


@functools.lru_cache(maxsize=512)
def _letters_of(file: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):  # FreeType cannot read it.
        return frozenset()


def _choose_fonts(figure: matplotlib.figure.Figure) -> None:
    """Gives each text of a figure a font that has its letters."""
    for text in figure.findobj(Text):
        file = font_file(text.get_text())
        if file and file != _font_files()[0]:
            text.get_fontproperties().set_file(file)
            text.stale = True


def save_figure(figure: matplotlib.figure.Figure, path: str | Path) -> None:
    """Writes a figure to a file, whole or not at all; the suffix names the format.

    Raises:
      InputError: it cannot be written.
    """
    _choose_fonts(figure)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH)


def figure_to_array(figure: Figure, dots_per_inch: float = DOTS_PER_INCH) -> np.ndarray:
    """Renders a figure: [H, W, 4] uint8 RGBA, as `tf.summary.image` takes it."""
    _choose_fonts(figure)
    figure.set_dpi(dots_per_inch)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix: counts in its cells, each row's shares as percent and color.

    Args:
      matrix: [C, C], integers; rows are labels, columns predictions.
      class_names: C names.

    Raises:
      ValueError: the matrix is of another shape.
    """
    matrix = np.asarray(matrix)
    count = len(class_names)
    if matrix.shape != (count, count):
        raise ValueError(f"matrix {matrix.shape} for {count} class names")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(4.5, 0.8 * count)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(count, count):
        value = share[row, column]
        axes.text(
            column,
            row,
            f"{100 * value:.0f} %\n{matrix[row, column]:,}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if value > 0.5 else "black",
        )
    class_names = captioned(class_names)
    axes.set_xticks(range(count), class_names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    total = matrix.sum()
    accuracy = np.trace(matrix) / max(total, 1)
    axes.set_title(f"{total:,} images, accuracy {100 * accuracy:.2f} %")
    bar = figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the label's images")
    return figure


def reliability(bins: Mapping[str, np.ndarray]) -> Figure:
    """Draws a reliability diagram: accuracy over confidence, above how many images have it.

    Args:
      bins: of `evaluation.metrics.reliability`.
    """
    figure = Figure(figsize=(4.5, 5.2), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    confidence, accuracy = np.asarray(bins["confidence"]), np.asarray(bins["accuracy"])
    above.plot([0, 1], [0, 1], color=_GIVEN, linestyle="--", label="as confident as right")
    above.plot(confidence, accuracy, color=TARGET, marker="o", label="network")
    above.set_ylabel("accuracy")
    above.set_ylim(0, 1)
    above.legend(loc="upper left", fontsize=8)
    count, width = np.asarray(bins["count"]), 1 / len(bins["count"])
    error = np.nansum(count * np.abs(confidence - accuracy)) / max(count.sum(), 1)
    above.set_title(f"{count.sum():,} images, calibration error {error:.3f}")
    below.bar((np.arange(len(count)) + 0.5) * width, count, 0.9 * width, color=_AGGREGATED)
    below.set_xlim(0, 1)
    below.set_xlabel("confidence")
    below.set_ylabel("images")
    return figure


def show_face(axes: Axes, image: np.ndarray, title: str, weight: str = "normal") -> None:
    """Puts an image, [H, W, 3] uint8, into its axes under a caption, without ticks or frame."""
    axes.imshow(image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=9, pad=3, weight=weight)


def faces(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 8) -> Figure:
    """Draws images in a grid, row by row, each under its caption.

    Args:
      images: [M, H, W, 3] uint8, or M images of several sizes; M >= 1.
      titles: M captions; a line break makes a second line.
      columns: images per row.

    Raises:
      ValueError: there are no images, or another number of captions.
    """
    if not len(images) or len(images) != len(titles):
        raise ValueError(f"{len(images)} images and {len(titles)} titles")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max(title.count("\n") + 1 for title in titles)
    height = FACE + 0.17 * lines
    figure = Figure(figsize=(columns * FACE, rows * height + 0.1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(images) :]:
        axes.axis("off")
    for axes, image, title in zip(grid, images, titles, strict=False):
        show_face(axes, image, title)
    return figure


def faces_with_bars(
    images: Sequence[np.ndarray],
    series: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    titles: Sequence[str] | None = None,
    columns: int = 2,
) -> Figure:
    """Draws faces, each beside a bar per class for each of several distributions.

    Args:
      images: M images, [H, W, 3] uint8 each, M >= 1.
      series: name -> [M, C], values in [0, 1].
      class_names: C names.
      titles: M captions.
      columns: faces per row.

    Raises:
      ValueError: a distribution is of another shape.
    """
    shape = (len(images), len(class_names))
    for name, values in series.items():
        if np.shape(values) != shape:
            raise ValueError(f"{name} {np.shape(values)}, not {shape}")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = max(2.1, 0.09 * len(class_names) * len(series))
    figure = Figure(figsize=(columns * 4.6, rows * height + 0.4), layout="constrained")
    grid = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1.0, 1.7] * columns)
    cells = grid.reshape(-1, 2)
    place, thick = np.arange(len(class_names)), 0.8 / len(series)
    for i, (face, bars) in enumerate(cells):
        if i >= len(images):
            face.axis("off")
            bars.axis("off")
            continue
        show_face(face, images[i], titles[i] if titles is not None else "")
        for j, (name, values) in enumerate(series.items()):
            offset = (j - (len(series) - 1) / 2) * thick
            color = _SERIES_COLORS.get(name, _REFERENCE)
            bars.barh(place + offset, values[i], thick, color=color, label=name)
        bars.set_yticks(place, captioned(class_names), fontsize=8)
        bars.invert_yaxis()
        bars.set_xlim(0.0, 1.0)
        bars.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"], fontsize=8)
        bars.spines[["top", "right"]].set_visible(False)
    handles, names = cells[0, 1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9)
    return figure


def uncertainty(
    groups: Mapping[str, np.ndarray],
    title: str,
    extremes: Mapping[str, tuple[Sequence[np.ndarray], Sequence[str]]],
) -> Figure:
    """Draws a histogram of lambda by groups of samples, above faces where it is low and high.

    Args:
      groups: name -> lambda of its samples, each in [0, 1].
      title: of the histogram.
      extremes: heading -> images [H, W, 3] uint8 and their captions; a row of faces each.
    """
    width = max([len(images) for images, _ in extremes.values()] + [5])
    figure = Figure(figsize=(width * FACE, 3.0 + 2.25 * len(extremes)), layout="constrained")
    parts = figure.subfigures(1 + len(extremes), 1, height_ratios=[3.0] + [2.25] * len(extremes))
    axes = np.ravel(parts)[0].subplots()
    edges = np.linspace(0.0, 1.0, 21)
    middles, thick = (edges[:-1] + edges[1:]) / 2, 0.045 / len(groups)
    for j, (name, values) in enumerate(groups.items()):
        share = np.histogram(values, edges)[0] / max(len(values), 1)
        offset = (j - (len(groups) - 1) / 2) * thick
        label = f"{name}: {len(values):,} samples"
        axes.bar(middles + offset, share, thick, color=_COLORS[j % len(_COLORS)], label=label)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel(r"uncertainty $\lambda$")
    axes.set_ylabel("share of the group")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=9, frameon=False)
    for part, (heading, (images, captions)) in zip(
        np.ravel(parts)[1:], extremes.items(), strict=True
    ):
        part.suptitle(heading, fontsize=10)
        row = part.subplots(1, width, squeeze=False)[0]
        for axes in row[len(images) :]:
            axes.axis("off")
        for axes, image, caption in zip(row, images, captions, strict=False):
            show_face(axes, image, caption)
    return figure


def neighbors(
    images: Sequence[np.ndarray] | np.ndarray,
    neighbor_images: Sequence[Sequence[np.ndarray]] | np.ndarray,
    labels: Sequence[str],
    neighbor_labels: Sequence[Sequence[str]],
    contribution: np.ndarray,
    calibration: np.ndarray,
    local_similarity: np.ndarray,
) -> Figure:
    """Draws each sample followed by its neighbors, as Figure 4 of the paper: a row per sample.

    Under a neighbor: a bar of its contribution c = zeta s (Eq. 4), full width being 1, with the
    local similarity s, its upper bound, in a pale color behind it, and the three numbers.

    Args:
      images: [B, H, W, 3] uint8.
      neighbor_images: [B, K, H, W, 3] uint8.
      labels: B captions of the samples: their labels, perhaps with lambda.
      neighbor_labels: B times K captions.
      contribution: [B, K] in [0, 1], c.
      calibration: [B, K] in [0, 1], zeta.
      local_similarity: [B, K] in [0, 1], s.

    Raises:
      ValueError: numbers of images and neighbors that are not those of the contributions.
    """
    contribution = np.asarray(contribution)
    rows, count = contribution.shape
    if len(images) != rows or np.shape(neighbor_images)[:2] != (rows, count):
        raise ValueError(
            f"{len(images)} images, neighbors {np.shape(neighbor_images)[:2]}, "
            f"contributions {contribution.shape}"
        )
    figure = Figure(figsize=((count + 1) * FACE, rows * (FACE + 0.75) + 0.3), layout="constrained")
    figure.suptitle(
        r"contribution $c = \zeta s$ (bar), local similarity $s$ (pale bar), "
        r"calibration $\zeta$",
        fontsize=10,
    )
    grid = figure.subplots(2 * rows, count + 1, squeeze=False, height_ratios=[6, 1] * rows)
    for i in range(rows):
        show_face(grid[2 * i, 0], images[i], labels[i], weight="bold")
        _frame(grid[2 * i, 0])
        grid[2 * i + 1, 0].axis("off")
        for k in range(count):
            show_face(grid[2 * i, k + 1], neighbor_images[i][k], neighbor_labels[i][k])
            _contribution_bar(
                grid[2 * i + 1, k + 1],
                contribution[i, k],
                float(calibration[i][k]),
                float(local_similarity[i][k]),
            )
    return figure


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, color=TARGET, linewidth=2.5)


def _contribution_bar(
    axes: Axes, contribution: float, calibration: float, similarity: float
) -> None:
    axes.barh(0, 1.0, color="#f1f3f4")
    axes.barh(0, similarity, color="#c6dbef")
    axes.barh(0, contribution, color=TARGET)
    axes.set_xlim(0.0, 1.0)
    axes.axis("off")
    axes.text(
        0.5,
        -0.25,
        f"$c$ {contribution:.2f}\n$\\zeta$ {calibration:.2f}  $s$ {similarity:.2f}",
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=8,
    )
