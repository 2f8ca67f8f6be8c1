"""Figure 5: what a network answers on test faces."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from ldl_fer import face_plots
from ldl_fer.annotations import read_annotations
from ldl_fer.figures.faces import drawn, vote_shares
from ldl_fer.networks.saved_model import probabilities
from ldl_fer.pictures import read_pictures
from ldl_fer.pixels import decoded_image, picture_bytes
from ldl_fer.runs import load_network


def predictions(
    run_dir: str | Path, data_path: str, image_dir: str, count: int, seed: int
) -> Figure:
    """Figure 5: test faces with given label, the best network's prediction, and human votes.

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
    table = read_annotations(data_path, None, names, 1, knn=False, plane=False)
    rows = drawn(np.arange(len(table)), count, seed)
    paths = [Path(image_dir) / table.paths[row] for row in rows]
    predicted = probabilities(network, tf.constant(read_pictures(paths, size), tf.float32)).numpy()
    labels, votes = table.labels[rows], vote_shares(table.votes, rows)
    series = {"given label": np.eye(len(names))[labels], "prediction": predicted}
    if votes is not None:
        series["human votes"] = votes
    titles = [
        f"given {names[label]}\npredicted {names[p.argmax()]} {p.max():.2f}"
        for label, p in zip(labels, predicted, strict=True)
    ]
    shown = [decoded_image(picture_bytes(path)) for path in paths]
    return face_plots.faces_with_bars(shown, series, names, titles)
