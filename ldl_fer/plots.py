"""Figures: how they are saved, and the confusion matrix. Those of faces: `ldl_fer.face_plots`.

Every function returns a `matplotlib.figure.Figure` that belongs to nobody: there is no pyplot, no
display and nothing to close. Images are uint8 RGB, [H, W, 3] each, of any size.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ldl_fer.files import whole_file

DOTS_PER_INCH = 110


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a figure to a file, whole or not at all; the suffix names the format.

    Raises:
      InputError: it cannot be written.
    """
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DOTS_PER_INCH)


def figure_to_array(figure: Figure) -> np.ndarray:
    """A figure's pixels, [H, W, 4] uint8 RGBA, as `tf.summary.image` takes them."""
    figure.set_dpi(DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Counts in the cells, each row's shares as percent and color.

    Args:
      matrix: [C, C], integers; rows are labels, columns predictions.
      class_names: C names.
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
