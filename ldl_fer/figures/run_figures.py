"""All figures of a run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ldl_fer import plots
from ldl_fer.audit.training_set import training_set
from ldl_fer.errors import InputError
from ldl_fer.figures.by_uncertainty import by_uncertainty
from ldl_fer.figures.constructed import constructed, with_neighbors
from ldl_fer.figures.faces import mixed
from ldl_fer.figures.predictions import predictions
from ldl_fer.methods import METHODS
from ldl_fer.runs import Run

_ROWS = 5  # of Figure 4


def draw_figures(
    run_dir: str | Path,
    output_dir: str | Path | None = None,
    count: int = 8,
    seed: int = 0,
    test: tuple[str, str] | None = None,
    annotations: str | Path | None = None,
    image_dir: str | Path | None = None,
) -> tuple[list[Path], list[str]]:
    """Draws all figures that the run and its data allow.

    Args:
      run_dir: the run folder.
      output_dir: where they go; None: figures in the run folder.
      count: faces of a figure (Figure 4: at most 5).
      seed: of the faces that are drawn.
      test: annotation CSV and image folder of the test set; None: no Figure 5.
      annotations, image_dir: the training set's, as `audit.training_set` takes them.

    Returns:
      The files, and a sentence for each figure that is missing.

    Raises:
      InputError: there is no such run, data cannot be read, or there is nothing to draw.
    """
    run = Run(run_dir)
    config, notes = run.config(), []
    names = config.data.class_names
    wanted: dict[str, Callable[[], Figure]] = {}
    if METHODS[config.method].constructs_targets:
        training = training_set(run_dir, annotations, image_dir)
        ids = mixed(training.samples["uncertainty"].to_numpy(), count, seed)
        few = ids[np.linspace(0, len(ids) - 1, min(len(ids), _ROWS)).round().astype(int)]
        wanted["figure_3_distributions"] = lambda: constructed(training, names, ids)
        wanted["figure_4_neighbors"] = lambda: with_neighbors(training, config, few)
        wanted["figure_6_uncertainty"] = lambda: by_uncertainty(training, names, count, seed)
    else:
        notes.append(
            f"Figures 3, 4 and 6 show target distributions; {run.folder} was trained by "
            f"{config.method}, which has none."
        )
    if test:
        wanted["figure_5_predictions"] = lambda: predictions(run_dir, *test, count, seed)
    else:
        notes.append("Figure 5 shows test faces: give --test_data_path and --test_image_dir.")
    if not wanted:
        raise InputError(" ".join(notes))
    folder = Path(output_dir or run.folder / "figures")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name in sorted(wanted):
        files.append(folder / f"{name}.png")
        plots.save_figure(wanted[name](), files[-1])
        print(files[-1], flush=True)
    return files, notes
