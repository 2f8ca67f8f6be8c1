"""The figure of samples and their neighbors, with what each contributes.

Images are uint8 RGB, [H, W, 3] each, of any size.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldl_fer.face_plots import FACE, TARGET, show_face


def neighbors(
    images: Sequence[np.ndarray] | np.ndarray,
    neighbor_images: Sequence[Sequence[np.ndarray]] | np.ndarray,
    labels: Sequence[str],
    neighbor_labels: Sequence[Sequence[str]],
    contribution: np.ndarray,
    calibration: np.ndarray,
    local_similarity: np.ndarray,
) -> Figure:
    """Each sample followed by its neighbors, as Figure 4 of the paper: one row per sample.

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
