"""Adds to an annotation CSV the neighbors of each sample in the valence-arousal plane (Eq. 2).

    ldl-fer neighbors --annotations=train.csv --output=train_knn.csv --num_neighbors=8

The output is the input with the column knn: the K nearest other rows by Euclidean distance,
nearest first, equally near ones by row number; row numbers from 0, joined by ; as in
    subDirectory_filePath,expression,valence,arousal,knn
    train/0001.png,3,0.21,0.7,8812;54;10203;3;977;4410;6120;12
A knn column that is already there is made anew. Images are not looked at.
"""

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.settings import DataConfig
from ldl_fer.errors import InputError
from ldl_fer.files import check_replaceable, same_file


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
    flags.DEFINE_string("output", None, "CSV to write.", required=True)
    flags.DEFINE_integer(
        "num_neighbors", DataConfig().num_neighbors, "K, neighbors per sample.", lower_bound=1
    )
    flags.DEFINE_bool("overwrite", False, "Allow --output to be the input, or any other file.")


def main() -> None:
    import numpy as np

    from ldl_fer.data.annotations import read_annotations
    from ldl_fer.data.neighbors import add_neighbors, plane_of

    given = flags.FLAGS
    if same_file(given.annotations, given.output) and not given.overwrite:
        raise InputError(
            f"{given.output} is the input itself. Name another --output, or add --overwrite."
        )
    if not given.overwrite:
        check_replaceable(given.output, ",knn")
    annotations = read_annotations(given.annotations, min_rows=given.num_neighbors + 1, knn=False)
    annotations = add_neighbors(annotations, given.num_neighbors)
    annotations.write(given.output)
    neighbors, labels, plane = annotations.neighbors, annotations.labels, plane_of(annotations)
    same = np.mean(labels[neighbors] == labels[:, np.newaxis])
    distance = np.linalg.norm(plane[neighbors] - plane[:, np.newaxis], axis=-1).mean()
    print(
        f"{given.output}: {len(annotations)} rows with {given.num_neighbors} neighbors each; "
        f"{same:.1%} of the neighbors have the same label; mean distance {distance:.4f}"
    )
