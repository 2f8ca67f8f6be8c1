"""Finds the faces in the pictures of a data set, turns them upright and cuts them out.

    python -m ldl_fer.faces --annotations=train.csv --image_dir=photos --output_dir=aligned \\
        --detector=yunet.onnx

Then aligned/train.csv and aligned/images are what train.py takes. The CSV needs no valence and
arousal yet. Without --annotations all pictures in --image_dir are done.

  aligned/images/...        the faces, under the paths of their pictures; JPEG and PNG stay what
                            they are, other formats get .png added
  aligned/train_faces.csv   what happened to each picture: faces found, box, score, landmarks, or
                            why it was skipped (without --annotations: aligned/faces.csv)
  aligned/train.csv         the annotations without the skipped pictures
  aligned/faces.jsonl       what an interrupted run goes on from: run the same command again

Eyes, nose and mouth come to lie where the usual 112 x 112 alignment of face recognition (ArcFace)
has them. That needs YuNet, a small network whose file OpenCV's model zoo has: opencv_zoo, models,
face_detection_yunet. Without it, OpenCV's bundled cascade finds fewer faces, only frontal ones, and
they are cut out, not turned.
"""

import os

from absl import flags

from ldl_fer import command_line
from ldl_fer.faces.alignment import TEMPLATE_SIZE
from ldl_fer.faces.data_set import ON_NO_FACE, SKIP, Alignment, align_data_set
from ldl_fer.faces.detector import LONGEST_SIDE, MIN_SCORE, FaceDetector
from ldl_fer.faces.picture import LARGEST, WHICH


def _summary(done: Alignment) -> str:
    pictures = done.table.drop_duplicates("subDirectory_filePath")
    counts = pictures["status"].value_counts()
    reasons = pictures["reason"].str.partition(":")[0].value_counts()
    told = "".join(f", {count} {reason}" for reason, count in reasons.items() if reason)
    lines = [
        f"{done.images}: {counts.get('aligned', 0)} of {len(pictures)} pictures aligned{told}",
        f"  several faces  in {(pictures['faces'] > 1).sum()} pictures",
        f"  each picture   {done.table_file}",
    ]
    if done.annotations_file:
        lines.append(f"  annotations    {done.annotations_file}")
    return "\n".join(lines)


def main() -> None:
    given = flags.FLAGS
    detector = FaceDetector(given.detector, given.min_score, given.longest_side)
    done = align_data_set(
        given.image_dir,
        given.output_dir,
        detector,
        given.annotations,
        size=given.size,
        which=given.which,
        on_no_face=given.on_no_face,
        workers=given.workers,
    )
    print(_summary(done))


def _define_flags() -> None:
    flags.DEFINE_string("annotations", None, "CSV whose pictures are done; else all in the folder.")
    flags.DEFINE_string(
        "image_dir", None, "Folder that the pictures' paths start from.", required=True
    )
    flags.DEFINE_string("output_dir", None, "Folder to write to.", required=True)
    flags.DEFINE_integer(
        "size", TEMPLATE_SIZE, "Height and width of the aligned faces, pixels.", lower_bound=1
    )
    flags.DEFINE_string("detector", None, "YuNet's .onnx file; without it, OpenCV's cascade.")
    flags.DEFINE_float(
        "min_score", MIN_SCORE, "Least score, in [0, 1], of YuNet's faces.", 0.0, 1.0
    )
    flags.DEFINE_integer(
        "longest_side",
        LONGEST_SIDE,
        "Pixels that larger pictures are shrunk to for finding faces. Faces that are then 40 "
        "pixels wide are still found; raise it for smaller ones. Time grows with its square.",
        224,
    )
    flags.DEFINE_enum("which", LARGEST, list(WHICH), "Which face where there are several.")
    flags.DEFINE_enum(
        "on_no_face",
        SKIP,
        list(ON_NO_FACE),
        "A picture without a face is skipped, kept (all of it, made square) or ends the run.",
    )
    flags.DEFINE_integer(
        "workers",
        os.cpu_count(),
        "Threads, each with a picture in memory (50 megapixels: 150 MB).",
        1,
    )


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
