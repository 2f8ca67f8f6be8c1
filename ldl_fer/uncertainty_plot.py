"""Figure: how the uncertainty lambda is distributed, and faces at both ends of it (Figure 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ldl_fer.plots import BLUE, FACE_INCHES, show_face

_COLORS = (BLUE, "#f28e2b", "#59a14f")


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
    figure = Figure(figsize=(width * FACE_INCHES, 3.0 + 2.25 * len(extremes)), layout="constrained")
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
