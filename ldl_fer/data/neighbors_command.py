"""Adds to an annotation CSV the neighbors of each sample in the auxiliary space (Eq. 2).

    ldl-fer neighbors --annotations=train.csv --output=train_knn.csv --num_neighbors=8

The output is the input with the column knn: the K nearest other rows by Euclidean distance,
nearest first, equally near ones by row number; row numbers from 0, joined by ; as in
    subDirectory_filePath,expression,valence,arousal,knn
    train/0001.png,3,0.21,0.7,8812;54;10203;3;977;4410;6120;12
A knn column that is already there is made anew. Images are not looked at. The space is the plane of
valence and arousal, or another by --auxiliary. Training with another finds its neighbors itself.
"""

from absl import flags

from ldl_fer.config import Config, command_line
from ldl_fer.config.flags import config_from_flags, define_flags_of
from ldl_fer.config.settings import AUXILIARY_SETTINGS, DataConfig
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
    define_flags_of("data", AUXILIARY_SETTINGS)
    flags.DEFINE_bool("overwrite", False, "Allow --output to be the input, or any other file.")


def main() -> None:
    import numpy as np

    from ldl_fer.data.annotations import read_annotations
    from ldl_fer.data.auxiliary import auxiliary_space, check_auxiliary, reads_plane
    from ldl_fer.data.neighbors import add_neighbors, distances, plane_of

    given, data = flags.FLAGS, config_from_flags(Config(), AUXILIARY_SETTINGS).data
    if same_file(given.annotations, given.output) and not given.overwrite:
        raise InputError(
            f"{given.output} is the input itself. Name another --output, or add --overwrite."
        )
    if not given.overwrite:
        check_replaceable(given.output, ",knn")
    check_auxiliary(data, given.annotations)
    annotations = read_annotations(
        given.annotations, min_rows=given.num_neighbors + 1, knn=False, plane=reads_plane(data)
    )
    space = auxiliary_space(annotations, data, given.annotations)
    annotations = add_neighbors(annotations, given.num_neighbors, space=space)
    annotations.write(given.output)
    neighbors, labels = annotations.neighbors, annotations.labels
    assert neighbors is not None  # added just now
    same = np.mean(labels[neighbors] == labels[:, np.newaxis])
    rows = np.repeat(np.arange(len(labels)), given.num_neighbors)
    places = plane_of(annotations) if space is None else space
    distance = distances(places, rows, neighbors.ravel()).mean()
    print(
        f"{given.output}: {len(annotations)} rows with {given.num_neighbors} neighbors each; "
        f"{same:.1%} of the neighbors have the same label; mean distance {distance:.4f}"
    )
