"""Finds landmarks of the faces of a CSV, or takes those that a data set has; beside the CSV.

found by MediaPipe's face mesh, 468 points in 3-D:
    ldl-fer landmarks --annotations=train.csv --image_dir=images --model=face_landmark.tflite

    The file is of the package mediapipe (up to 0.10.14), mediapipe/modules/face_landmark. The
    model wants pictures of one face, as `ldl-fer faces` cuts them out. Points are in pixels of the
    picture. Interrupted, the same command goes on. Pictures in which it finds no face stay empty,
    and are counted.

taken from the data set, 5, 37 or 68 points in 2-D:
    ldl-fer landmarks --annotations=train.csv --image_dir=images --from_files=Annotation/auto

    RAF-DB's *_manu_attri.txt (5 points) or *_auto_attri.txt (37), AffectNet's *_lnd.npy (68), at
    any depth in a folder; or AffectNet's training.csv with the column facial_landmarks. They are
    found by the names of the pictures (train_00001 of train_00001_aligned.jpg).

train.landmarks.npz has path [N], as in the CSV, points [N, P, 2 or 3], NaN where there are none,
and score [N]. Landmarks of other models are written so by numpy.savez.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.config.processors import processors
from ldl_fer.errors import InputError
from ldl_fer.files import check_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_CUT = (
    "if its pictures show more than these faces, cut them out first, by ldl-fer faces: the model "
    "wants pictures of one face."
)


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    with subject("files"):
        flags.DEFINE_string("annotations", None, "CSV whose pictures are done.", required=True)
        flags.DEFINE_string("image_dir", None, "Folder that its paths start from.", required=True)
        flags.DEFINE_string("output", None, "File to write, .npz. (default: beside the CSV)")
    with subject("landmarks"):
        flags.DEFINE_string("model", None, "MediaPipe's face_landmark.tflite.")
        flags.DEFINE_string(
            "from_files", None, "Landmarks that there are: a folder, or a CSV, in place of --model."
        )
        flags.DEFINE_integer("workers", processors(), "Threads of --model.", 1)


def main() -> None:
    given = flags.FLAGS
    if (given.model is None) == (given.from_files is None):
        raise InputError("give --model=face_landmark.tflite, or --from_files=FOLDER.")
    from ldl_fer.data.paths import check_files, check_pictures_of

    check_pictures_of(given.annotations, given.image_dir)

    from ldl_fer.data.annotation_checks import BOX, PATH
    from ldl_fer.data.landmarks import check_output, landmarks_file, write_landmarks
    from ldl_fer.preparation.faces.data_set import read_table

    output = Path(given.output or landmarks_file(given.annotations))
    check_output(output)
    check_place(output)
    check_files(given.model, given.from_files)
    table = read_table(given.annotations, Path(given.image_dir))
    rows: dict[str, int] = {}
    for row, path in enumerate(table[PATH]):
        rows.setdefault(path, row)
    if given.from_files:
        from ldl_fer.preparation.landmarks.existing import existing_landmarks

        source, points = existing_landmarks(given.from_files, list(rows))
        write_landmarks(output, list(rows), points)
    else:
        if BOX[0] in table:
            print(f"note: {given.annotations} has boxes of faces; {_CUT}", file=sys.stderr)
        source = str(given.model)
        points = _find(given.model, given.annotations, given.image_dir, rows, output, given.workers)
    print(_summary(output, source, points, list(rows)))


def _find(
    model: str,
    annotations: str,
    image_dir: str,
    rows: "Mapping[str, int]",
    output: Path,
    workers: int,
) -> "np.ndarray":
    """Finds and writes landmarks by a model; parts lie beside the output meanwhile."""
    from ldl_fer.data.landmarks import write_landmarks
    from ldl_fer.preparation.landmarks.face_mesh import FaceMesh
    from ldl_fer.preparation.landmarks.pictures import find_landmarks

    parts, network = output.with_suffix(".parts"), FaceMesh(model)
    points, score = find_landmarks(network, annotations, image_dir, rows, parts, workers)
    if not (score > 0).any():
        raise InputError(
            f"{annotations}: no face in any of {len(score):,} pictures. Do they show one face "
            "each, upright? `ldl-fer faces` cuts faces out."
        )
    write_landmarks(output, list(rows), points, score)
    shutil.rmtree(parts)
    return points


def _summary(output: Path, source: str, points: "np.ndarray", paths: list[str]) -> str:
    import numpy as np

    empty = np.flatnonzero(np.isnan(points[:, 0, 0]))
    text = f"{output}: {points.shape[1]} points in {points.shape[2]}-D of "
    text += f"{len(paths) - len(empty):,} of {len(paths):,} pictures, by {source}"
    if len(empty):
        text += f"; none of {len(empty):,}, such as {paths[empty[0]]}"
    return text
