"""Draws the paper's Figures 3 to 6 from a run.

Figures 3 and 4: label distributions of training faces, and their neighbors. Figure 5: predictions
for test faces. Figure 6: the labels on which lambda is high.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer import plots
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.pictures import decoded_image, picture_bytes, read_pictures
from ldl_fer.data.samples import neighbor_numbers, shares
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.training_set import TrainingSet, training_set
from ldl_fer.evaluation.metrics import flip_detection
from ldl_fer.files import made_folder
from ldl_fer.methods import METHODS
from ldl_fer.networks.saved_model import probabilities
from ldl_fer.plots import Figure
from ldl_fer.training.run import Run, load_network

_ROWS = 5  # of Figure 4
_HIGH = 0.25  # part of the samples that counts as of high lambda
_VOTED = 0.8, 0.5  # shares of votes for the given label that bound the groups of Figure 6


class Figures(Mapping[str, Figure]):
    """The figures that a run and its data allow, by name; one is drawn when it is asked for.

    Attributes:
      notes: a sentence for each figure that is missing.
    """

    def __init__(self, drawn: Mapping[str, Callable[[], Figure]], notes: Sequence[str]) -> None:
        """Takes what draws each figure, and the sentences."""
        self._drawn, self.notes = dict(sorted(drawn.items())), tuple(notes)

    def __getitem__(self, name: str) -> Figure:
        """Draws the figure of that name."""
        return self._drawn[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __repr__(self) -> str:
        return f"Figures({', '.join(self)})"


def paper_figures(
    run_dir: str | os.PathLike,
    count: int = 8,
    seed: int = 0,
    test: tuple[str | os.PathLike, str | os.PathLike] | None = None,
    annotations: str | os.PathLike | None = None,
    image_dir: str | os.PathLike | None = None,
) -> Figures:
    """Prepares the paper's Figures 3 to 6.

    Args:
      run_dir: the run folder, or a `Run`.
      count: faces of a figure (Figure 4: at most 5).
      seed: of the faces that are drawn.
      test: annotation CSV and image folder of the test set; None: no Figure 5.
      annotations, image_dir: the training set's, as `audit.training_set` takes them.

    Returns:
      `figure_3_distributions`, `figure_4_neighbors`, `figure_5_predictions` and
      `figure_6_uncertainty`, those of them that the run and its data allow.

    Raises:
      InputError: there is no such run, data cannot be read, or there is nothing to draw.
    """
    run = Run(run_dir)
    config, notes = run.config(), []
    names = config.data.class_names
    wanted: dict[str, Callable[[], Figure]] = {}
    if METHODS[config.method].constructs_targets(config):
        training = training_set(run_dir, annotations, image_dir)
        ids = mixed(training.samples["uncertainty"].to_numpy(), count, seed)
        few = ids[np.linspace(0, len(ids) - 1, min(len(ids), _ROWS)).round().astype(int)]
        wanted["figure_3_distributions"] = lambda: constructed(training, names, ids)
        wanted["figure_4_neighbors"] = lambda: with_neighbors(training, names, few)
        wanted["figure_6_uncertainty"] = lambda: by_uncertainty(training, names, count, seed)
    else:
        notes.append(
            f"Figures 3, 4 and 6 show target distributions; {run.folder} was trained by "
            f"{config.method} without any."
        )
    if test:
        data = os.fspath(test[0]), os.fspath(test[1])
        wanted["figure_5_predictions"] = lambda: predictions(run_dir, *data, count, seed)
    else:
        notes.append("Figure 5 shows test faces: give --test_data_path and --test_image_dir.")
    if not wanted:
        raise InputError(" ".join(notes))
    return Figures(wanted, notes)


def write_figures(drawn: Figures, folder: str | Path) -> list[Path]:
    """Draws figures into a folder, as PNG, and prints the name of each file.

    Raises:
      InputError: a picture cannot be read, or a file cannot be written.
    """
    files = []
    for name, figure in drawn.items():
        files.append(made_folder(folder) / f"{name}.png")
        plots.save_figure(figure, files[-1])
        print(files[-1], flush=True)
    return files


def constructed(training: TrainingSet, names: tuple[str, ...], ids: np.ndarray) -> Figure:
    """Draws Figure 3: faces with given label, aggregated and target distribution, human votes.

    Args:
      training: of a run whose method constructs target distributions.
      names: the C class names.
      ids: sample_ids of the faces.

    Raises:
      InputError: a picture cannot be read.
    """
    table = training.samples.iloc[ids]
    votes = _vote_shares(training.annotations.votes, training.rows[ids])
    series = {"given label": np.eye(len(names))[table["expression"]]}
    for part in ("aggregated", "target"):
        series[f"{part} distribution"] = shares(table, part, names)
    if votes is not None:
        series["human votes"] = votes
    titles = [_caption(row, names) for _, row in table.iterrows()]
    return plots.faces_with_bars(training.pixels(training.rows[ids]), series, names, titles)


def with_neighbors(training: TrainingSet, names: tuple[str, ...], ids: np.ndarray) -> Figure:
    """Draws Figure 4: faces, each with its K neighbors, their calibration and contribution.

    Under a neighbor's label stands what the network says of it, which is what it contributes.

    Args:
      training: of a run whose method constructs target distributions.
      names: of its C classes.
      ids: sample_ids of the faces.

    Raises:
      InputError: a picture cannot be read.
    """
    samples = training.samples
    table = samples.iloc[ids]
    neighbors = neighbor_numbers(table, "neighbors", int)
    calibration = neighbor_numbers(table, "calibration")
    contribution = neighbor_numbers(table, "contribution")
    similarity = np.divide(  # in whichever space the run had
        contribution, calibration, out=np.zeros_like(contribution), where=calibration > 0
    )
    labels = samples["expression"].to_numpy()
    probabilities = shares(samples, "probability", names)

    shown = plots.captioned(names)

    def text_of(sample: int) -> str:
        p = probabilities[sample]
        return f"{shown[labels[sample]]}\nf: {shown[p.argmax()]} {p.max():.2f}"

    return plots.neighbors(
        training.pixels(training.rows[ids]),
        [training.pixels(training.rows[row]) for row in neighbors],
        [_caption(row, names) for _, row in table.iterrows()],
        [[text_of(sample) for sample in row] for row in neighbors],
        contribution,
        calibration,
        similarity,
    )


def predictions(
    run_dir: str | os.PathLike, data_path: str, image_dir: str, count: int, seed: int
) -> Figure:
    """Draws Figure 5: test faces with given label, the best network's prediction, human votes.

    Args:
      run_dir: a run of any method.
      data_path: annotation CSV of the test set.
      image_dir: folder that its paths start from.
      count: of faces.
      seed: of the draw.

    Raises:
      InputError: no such run, or data that cannot be read.
    """
    network, config = load_network(run_dir)
    names, size = config.data.class_names, config.data.image_size
    table = read_annotations(data_path, image_dir, names, 1, knn=False, plane=False, decode=False)
    rows = drawn(np.arange(len(table)), count, seed)
    paths = [Path(image_dir) / table.paths[row] for row in rows]
    predicted = probabilities(network, tf.constant(read_pictures(paths, size), tf.float32)).numpy()
    labels, votes = table.labels[rows], _vote_shares(table.votes, rows)
    series = {"given label": np.eye(len(names))[labels], "prediction": predicted}
    if votes is not None:
        series["human votes"] = votes
    captions = plots.captioned(names)
    titles = [
        f"given {captions[label]}\npredicted {captions[p.argmax()]} {p.max():.2f}"
        for label, p in zip(labels, predicted, strict=True)
    ]
    shown = [decoded_image(picture_bytes(path)) for path in paths]
    return plots.faces_with_bars(shown, series, names, titles)


def by_uncertainty(training: TrainingSet, names: tuple[str, ...], count: int, seed: int) -> Figure:
    """Draws Figure 6: lambda's distribution in groups of labels, the faces at both of its ends.

    Among samples of equal lambda the faces are drawn at random.

    Args:
      training: of a run whose method constructs target distributions.
      names: the C class names.
      count: of faces at either end.
      seed: of the draw.

    Raises:
      InputError: a picture cannot be read.
    """
    samples = training.samples
    values = samples["uncertainty"].to_numpy()
    groups, title = _groups(training, names)
    order = np.lexsort([np.random.default_rng(seed).permutation(len(values)), values])
    extremes = {}
    for heading, ids in (("lowest", order[:count]), ("highest", order[::-1][:count])):
        captions = [_caption(row, names) for _, row in samples.iloc[ids].iterrows()]
        extremes[rf"{heading} $\lambda$"] = (training.pixels(training.rows[ids]), captions)
    return plots.uncertainty(
        {name: values[mask] for name, mask in groups.items() if mask.any()}, title, extremes
    )


def _groups(training: TrainingSet, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    """Returns masks [N] of groups of samples by name, and the figure's title."""
    samples = training.samples
    labels = samples["expression"].to_numpy()
    clean = samples.get("clean_expression")
    if clean is not None and 0 < (clean != labels).mean() < 1:
        flipped = (clean != labels).to_numpy()
        auc = flip_detection(samples["uncertainty"], flipped)["roc_auc"]
        title = rf"flipped labels are found by $\lambda$ with ROC-AUC {auc:.3f}"
        return {"label kept": ~flipped, "label flipped": flipped}, title
    votes = _vote_shares(training.annotations.votes, training.rows)
    if votes is not None:
        share, (most, half) = votes[np.arange(len(labels)), labels], _VOTED
        return {
            f"at least {most:.0%} voted for the label": share >= most,
            f"{half:.0%} to {most:.0%}": (share >= half) & (share < most),
            f"fewer than {half:.0%}": (share < half) & (votes.sum(axis=1) > 0),
        }, "by how many people voted for the given label"
    agrees = shares(samples, "probability", names).argmax(axis=1) == labels
    groups = {"network agrees with the label": agrees, "network disagrees": ~agrees}
    return groups, "by whether the network's most probable class is the given label"


def mixed(uncertainty: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws samples at random, half of them from the quarter of the highest lambda.

    Args:
      uncertainty: [N], lambda.
      count: of samples.
      seed: of the draw.

    Returns:
      Their sample_ids, by falling lambda; fewer than `count` where N is small.
    """
    order = np.argsort(uncertainty, kind="stable")
    low, high = np.split(order, [len(order) - max(round(_HIGH * len(order)), 1)])
    chosen = np.concatenate([drawn(high, -(-count // 2), seed), drawn(low, count // 2, seed)])
    return chosen[np.argsort(-uncertainty[chosen], kind="stable")]


def drawn(ids: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws at most `count` of some sample_ids; ascending."""
    return np.sort(np.random.default_rng(seed).permutation(ids)[:count])


def _vote_shares(votes: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    """Returns vote shares [M, C] of some rows, zeros where nobody voted; None without votes."""
    if votes is None or not votes[rows].any():
        return None
    return votes[rows] / np.maximum(votes[rows].sum(axis=1, keepdims=True), 1e-9)


def _caption(row: pd.Series, names: tuple[str, ...]) -> str:
    """Writes given label and lambda of a sample; below them the clean label, if it differs."""
    names = plots.captioned(names)
    text = f"{names[row['expression']]}, λ {row['uncertainty']:.2f}"
    clean = row.get("clean_expression")
    if clean is not None and clean != row["expression"]:
        text += f"\nclean: {names[int(clean)]}"
    return text
