"""Figures of faces: a grid, distributions, lambda. That of neighbors: `ldl_fer.neighbor_plot`.

Images are uint8 RGB, [H, W, 3] each, of any size.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FACE = 1.5  # inches that a picture has in width and height
_GIVEN, TARGET, _REFERENCE, _AGGREGATED = "#9aa0a6", "#1f77b4", "#f28e2b", "#9ecae1"
_COLORS = (TARGET, _REFERENCE, "#59a14f")
_SERIES_COLORS = {
    "given label": _GIVEN,
    "aggregated distribution": _AGGREGATED,
    "target distribution": TARGET,
    "prediction": TARGET,
}


def show_face(axes: Axes, image: np.ndarray, title: str, weight: str = "normal") -> None:
    """Puts an image, [H, W, 3] uint8, into its axes under a caption, without ticks or frame."""
    axes.imshow(image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=9, pad=3, weight=weight)


def faces(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 8) -> Figure:
    """Images in a grid, row by row, each under its caption.

    Args:
      images: [M, H, W, 3] uint8, or M images of several sizes; M >= 1.
      titles: M captions; a line break makes a second line.
      columns: images per row.
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
    """Faces, each beside a bar per class for each of several distributions.

    Args:
      images: M images, [H, W, 3] uint8 each, M >= 1.
      series: name -> [M, C], values in [0, 1].
      class_names: C names.
      titles: M captions.
      columns: faces per row.
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
        bars.set_yticks(place, class_names, fontsize=8)
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
    """How lambda is distributed in groups of samples, above faces where it is lowest and highest.

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
