"""PDLS, smoothing by a prior (Vo et al., IEEE Access 2020): doubt where humans have it.

  l'_i = a l_i + (1 - a) prior[y_i],   L = CE(l'_i, f)

Row y of the prior is how humans vote, on average, for a face whose label is y: label smoothing with
the confusions of people in place of the uniform distribution. It is the loss of PSR, whose network,
with super-resolution at three scales, is not here. Where a file is given, the prior is that of its
votes or of a confusion matrix; else `FER_PLUS`, as the authors take it from FER+ for all data sets.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.files import csv_cells, with_points
from ldl_fer.methods.classifier import Batch, Classifier, Rows

# Mean of the votes' shares of 12,271 training faces of FER+ by label, rows and columns in the order
# of CLASS_NAMES; other votes are left out.
FER_PLUS = (
    (0.7814, 0.0324, 0.1146, 0.0209, 0.0069, 0.0109, 0.0328),
    (0.0459, 0.9155, 0.0057, 0.0213, 0.0025, 0.0025, 0.0066),
    (0.1800, 0.0147, 0.7252, 0.0149, 0.0207, 0.0158, 0.0287),
    (0.0662, 0.0369, 0.0144, 0.7711, 0.0855, 0.0045, 0.0213),
    (0.0568, 0.0210, 0.0829, 0.1730, 0.6077, 0.0147, 0.0439),
    (0.1264, 0.0228, 0.1067, 0.0221, 0.0171, 0.5433, 0.1615),
    (0.0842, 0.0352, 0.0409, 0.0664, 0.0284, 0.0405, 0.7045),
)


def prior_smoothed(label: tf.Tensor, prior: tf.Tensor, label_share: float) -> tf.Tensor:
    """Computes a l + (1 - a) prior[y].

    Args:
      label: [B, C], rows sum to 1.
      prior: [C, C], rows sum to 1.
      label_share: a, in [0, 1]; 0.8 in the authors' settings for RAF-DB.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes([(label, ("B", "C")), (prior, ("C", "C"))])
    return label_share * label + (1.0 - label_share) * tf.matmul(label, prior)


def prior_of_votes(labels: np.ndarray, votes: np.ndarray, classes: int) -> np.ndarray:
    """Returns the mean shares of votes by label, [C, C]; one-hot for a label without votes.

    Args:
      labels: [N], integers in [0, C).
      votes: [N, C], >= 0, counts or shares.
      classes: C.
    """
    totals = votes.sum(axis=1)
    shares = votes[totals > 0] / totals[totals > 0, np.newaxis]
    sums = np.zeros([classes, classes])
    np.add.at(sums, labels[totals > 0], shares)
    return _rows_of(sums)


def read_prior(path: str | Path, class_names: Sequence[str]) -> np.ndarray:
    """Reads a prior [C, C] from an annotation CSV with votes, or a result.json of an evaluation.

    Args:
      path: the file. Its confusion matrix counts given class by predicted class.
      class_names: C names.

    Raises:
      InputError: the file cannot be read, or has neither for all classes.
    """
    columns = [f"votes_{name.lower()}" for name in class_names]
    try:
        if Path(path).suffix == ".json":
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            places = [content["class_names"].index(name) for name in class_names]
            return _rows_of(np.array(content["confusion"], float)[np.ix_(places, places)])
        text = Path(path).read_text(encoding="utf-8-sig")
        cells = csv_cells(text, ["expression", *columns])[0]
        votes = np.array([with_points(cells[name]) for name in columns], float).T
        labels = np.array(with_points(cells["expression"]), float).astype(int)
        return prior_of_votes(labels, votes, len(class_names))
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"--pdls_prior={path} has no prior: {error}. Give an annotation CSV with a column "
            "votes_<class> for each class, or the result.json of an evaluation."
        ) from error


def known_prior(class_names: Sequence[str]) -> np.ndarray:
    """Returns the part of `FER_PLUS` of these classes, [C, C].

    Raises:
      InputError: it lacks one of them.
    """
    known = {name.lower(): place for place, name in enumerate(CLASS_NAMES)}
    lacking = [name for name in class_names if name.lower() not in known]
    if lacking:
        raise InputError(
            f"no prior of FER+ is known for {', '.join(lacking)}: --method=pdls needs "
            "--pdls_prior, a file with votes or a confusion matrix of these classes."
        )
    places = [known[name.lower()] for name in class_names]
    return _rows_of(np.array(FER_PLUS)[np.ix_(places, places)])


def _rows_of(counts):
    """Returns counts [C, C] with rows that sum to 1; one-hot where a row has none."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1), np.eye(len(counts)))


class PDLS(Classifier):
    """Minimizes CE(l', f).

    Attributes:
      prior: [C, C].
    """

    def add_parts(self) -> None:
        names, path = self.config.data.class_names, self.config.pdls.pdls_prior
        prior = read_prior(path, names) if path else known_prior(names)
        self.prior = tf.constant(prior, tf.float32)

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        share = self.config.pdls.pdls_label_share
        target = prior_smoothed(self.labels(batch), self.prior, share)
        loss = self.cross_entropy(batch, target, logits)
        return Rows(features, logits, loss, loss)
