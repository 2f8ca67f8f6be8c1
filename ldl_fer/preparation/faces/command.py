"""Finds the faces in the pictures of a data set, turns them upright and cuts them out.

    ldl-fer faces --annotations=train.csv --image_dir=photos --output_dir=aligned \\
        --detector=yunet.onnx

Then aligned/train.csv and aligned/images are what `ldl-fer train` takes. The CSV needs no valence
and arousal yet. Its columns face_x, face_y, face_width, face_height, pixels, say whose face is
labeled: the face found there is cut out, or the box if none is. Without --annotations all pictures
in --image_dir are done.

  aligned/images/...        the faces, under the paths of their pictures (given a box,
                            NAME.face_X_Y_WIDTH_HEIGHT.jpg); JPEG and PNG stay what they are, other
                            formats get .png added
  aligned/train_faces.csv   what happened to each picture: faces found, how one was chosen,
                            its box, score, landmarks, or why it was skipped (without
                            --annotations: aligned/faces.csv)
  aligned/train.csv         the annotations without the skipped pictures
  aligned/faces.jsonl       what an interrupted run goes on from: run the same command again

Eyes, nose and mouth come to lie where the usual 112 x 112 alignment of face recognition (ArcFace)
has them. That needs YuNet, a small network whose file OpenCV's model zoo has: opencv_zoo, models,
face_detection_yunet. Without it, OpenCV's bundled cascade finds fewer faces, only frontal ones, and
they are cut out, not turned.
"""

import sys
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.config.processors import processors
from ldl_fer.preparation.faces import (
    ALL,
    AT_BOX,
    BOX_ITSELF,
    LARGEST,
    NO_FACE,
    ON_NO_FACE,
    SEVERAL,
    SKIP,
    TEMPLATE_SIZE,
)
from ldl_fer.preparation.faces.detector_flags import define_detector_flags, detector_of

if TYPE_CHECKING:
    import pandas as pd

    from ldl_fer.preparation.faces.data_set import Alignment

_SHOWN = 20  # pictures that the summary names


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _summary(done: "Alignment") -> str:
    pictures = done.table.drop_duplicates(["subDirectory_filePath", "box"])
    counts = pictures["status"].value_counts()
    reasons = pictures["reason"].str.partition(":")[0].value_counts()
    left_out = "".join(f", {count} {reason}" for reason, count in reasons.items() if reason)
    lines = [
        f"{done.images}: {counts.get('aligned', 0)} of {len(pictures)} pictures aligned{left_out}",
        f"  several faces  in {(pictures['faces'] > 1).sum()} pictures",
        *_choices(pictures),
        f"  each picture   {done.table_file}",
    ]
    if done.annotations_file:
        lines.append(f"  annotations    {done.annotations_file}")
    return "\n".join(lines)


def _choices(pictures: "pd.DataFrame") -> list[str]:
    """Returns lines that say which faces boxes chose, and each picture that has no box to say."""
    by = pictures["chosen_by"]
    at_box, itself = int((by == AT_BOX).sum()), int((by == BOX_ITSELF).sum())
    lines = []
    if at_box or itself:
        lines.append(
            f"  boxes          {at_box} with a face found there, {itself} cut out as given"
        )
    unsure = pictures.loc[by.isin(SEVERAL) & (pictures["faces"] > 1)]
    if len(unsure):
        (how,) = set(unsure["chosen_by"])
        done = "skipped" if how == SKIP else f"the {how} cut out" if how != ALL else "all cut out"
        lines.append(f"  no box says which face is meant in {len(unsure)} of them ({done}):")
        shown = zip(unsure["subDirectory_filePath"][:_SHOWN], unsure["faces"], strict=False)
        lines += [f"    {path}: {faces} faces" for path, faces in shown]
        if len(unsure) > _SHOWN:
            lines.append(f"    and {len(unsure) - _SHOWN} more: chosen_by={how} in the table below")
    return lines


def main() -> None:
    from ldl_fer.preparation.faces.data_set import align_data_set

    given = flags.FLAGS
    detector = detector_of(given.detector, given.min_score, given.longest_side)
    done = align_data_set(
        given.image_dir,
        given.output_dir,
        detector,
        given.annotations,
        size=given.size,
        several=given.several,
        on_no_face=given.on_no_face,
        workers=given.workers,
    )
    print(_summary(done))
    if (done.table["reason"] == NO_FACE).any():
        print(f"note: {NO_FACE} in some pictures. {detector.advice}", file=sys.stderr)


def _define_flags() -> None:
    with subject("files"):
        flags.DEFINE_string(
            "annotations", None, "CSV whose pictures are done; else all in the folder."
        )
        flags.DEFINE_string(
            "image_dir", None, "Folder that the pictures' paths start from.", required=True
        )
        flags.DEFINE_string("output_dir", None, "Folder to write to.", required=True)
    with subject("faces"):
        flags.DEFINE_integer(
            "size", TEMPLATE_SIZE, "Height and width of the aligned faces, pixels.", lower_bound=1
        )
        define_detector_flags()
        flags.DEFINE_enum(
            "several", LARGEST, SEVERAL, "Which face where there are several and no box says so."
        )
        flags.DEFINE_enum(
            "on_no_face",
            SKIP,
            ON_NO_FACE,
            "A picture without a face is skipped, kept (all of it, made square) or ends the run.",
        )
        flags.DEFINE_integer(
            "workers",
            processors(),
            "Threads, each with a picture in memory (50 megapixels: 150 MB).",
            1,
        )
