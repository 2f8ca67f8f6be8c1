"""Figure: faces beside their label, target, aggregated and predicted distributions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ldl_fer.plots import BLUE, show_face

_COLORS = {
    "given label": "#9aa0a6",
    "aggregated distribution": "#9ecae1",
    "target distribution": BLUE,
    "prediction": BLUE,
}
_OTHER_COLOR = "#f28e2b"


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
            color = _COLORS.get(name, _OTHER_COLOR)
            bars.barh(place + offset, values[i], thick, color=color, label=name)
        bars.set_yticks(place, class_names, fontsize=8)
        bars.invert_yaxis()
        bars.set_xlim(0.0, 1.0)
        bars.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"], fontsize=8)
        bars.spines[["top", "right"]].set_visible(False)
    handles, names = cells[0, 1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9)
    return figure
