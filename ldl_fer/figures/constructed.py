"""Figures 3 and 4: target distributions of training faces, and the neighbors they come from."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ldl_fer import face_plots, neighbor_plot
from ldl_fer.audit.training_set import TrainingSet
from ldl_fer.config import Config
from ldl_fer.equations import local_similarity
from ldl_fer.figures.faces import caption, pictures, vote_shares
from ldl_fer.samples_csv import neighbor_numbers, shares


def constructed(training: TrainingSet, names: tuple[str, ...], ids: np.ndarray) -> Figure:
    """Figure 3: faces with given label, aggregated and target distribution, and human votes.

    Args:
      training: of a run whose method constructs target distributions.
      names: the C class names.
      ids: sample_ids of the faces.

    Raises:
      InputError: a picture cannot be read.
    """
    table = training.samples.iloc[ids]
    votes = vote_shares(training.annotations.votes, training.rows[ids])
    series = {"given label": np.eye(len(names))[table["expression"]]}
    for part in ("aggregated", "target"):
        series[f"{part} distribution"] = shares(table, part, names)
    if votes is not None:
        series["human votes"] = votes
    titles = [caption(row, names) for _, row in table.iterrows()]
    return face_plots.faces_with_bars(pictures(training, ids), series, names, titles)


def with_neighbors(training: TrainingSet, config: Config, ids: np.ndarray) -> Figure:
    """Figure 4: faces, each with its K neighbors, their calibration and contribution.

    Under a neighbor's label stands what the network says of it, which is what it contributes.

    Args:
      training: of a run whose method constructs target distributions.
      config: of the run.
      ids: sample_ids of the faces.

    Raises:
      InputError: a picture cannot be read.
    """
    names, samples = config.data.class_names, training.samples
    table = samples.iloc[ids]
    neighbors = neighbor_numbers(table, "neighbors", int)
    place = samples[["valence", "arousal"]].to_numpy(np.float32)
    method: Any = config.method_settings
    similarity = local_similarity(
        place[ids], place[neighbors], method.delta, method.similarity_kernel
    )
    labels = samples["expression"].to_numpy()
    probabilities = shares(samples, "probability", names)

    def told(sample: int) -> str:
        p = probabilities[sample]
        return f"{names[labels[sample]]}\n$f$: {names[p.argmax()]} {p.max():.2f}"

    return neighbor_plot.neighbors(
        pictures(training, ids),
        [pictures(training, row) for row in neighbors],
        [caption(row, names) for _, row in table.iterrows()],
        [[told(sample) for sample in row] for row in neighbors],
        neighbor_numbers(table, "contribution"),
        neighbor_numbers(table, "calibration"),
        similarity.numpy(),
    )
