"""Cuts out the faces of all pictures of a data set, and tabulates the result for each picture.

  output_dir/images/...       the aligned faces, under the paths of their pictures; JPEG (quality
                              95) and PNG stay what they are, other formats get .png added
  output_dir/NAME_faces.csv   a row for each face, and for each picture that was left out
  output_dir/NAME.csv         the annotations NAME.csv without the rows of pictures left out
  output_dir/faces.jsonl      the journal, from which an interrupted run goes on

Without annotations the table is output_dir/faces.csv.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ldl_fer.data.annotation_checks import (
    ANNOTATOR,
    BOX,
    NEIGHBORS,
    PATH,
    AnnotationError,
    named_pictures,
)
from ldl_fer.data.annotations import parse_csv
from ldl_fer.data.pictures import PICTURE_ENDINGS
from ldl_fer.errors import InputError
from ldl_fer.files import check_utf8, claimed, same_file, write_whole
from ldl_fer.preparation.faces import (
    ALL,
    FAIL,
    KEEP,
    LARGEST,
    ON_NO_FACE,
    SEVERAL,
    SKIP,
    TEMPLATE_SIZE,
)
from ldl_fer.preparation.faces.boxes import Job, jobs_of
from ldl_fer.preparation.faces.detector import FaceDetector
from ldl_fer.preparation.faces.picture import SKIPPED, PictureAligner, journaled

IMAGES, JOURNAL, _LOCK = "images", "faces.jsonl", ".lock"
_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # as in TEMPLATE
_FACE_COLUMNS = ["x", "y", "width", "height", "score"]
_FACE_COLUMNS += [f"{point}_{axis}" for point in _POINTS for axis in "xy"]


@dataclass(frozen=True)
class Alignment:
    """The result of aligning a data set.

    Attributes:
      table: content of NAME_faces.csv. Columns: subDirectory_filePath, the picture; status, one of
        aligned, kept (whole, as no face was found), skipped; reason, why it was not aligned; box,
        of the labeled face, as the CSV has it; chosen_by, see `picture`; faces, the number found in
        the picture; aligned, path of the result under `images`; x, y, width,
        height, score, left_eye_x, ... of the face, pixels of the picture, left and right as seen.
      table_file: that file.
      images: the folder of the aligned faces.
      annotations_file: the new annotation CSV; None if there are no annotations.
    """

    table: pd.DataFrame
    table_file: Path
    images: Path
    annotations_file: Path | None


def align_data_set(
    image_dir: str | Path,
    output_dir: str | Path,
    detector: FaceDetector,
    annotations: str | Path | None = None,
    *,
    size: int = TEMPLATE_SIZE,
    several: str = LARGEST,
    on_no_face: str = SKIP,
    workers: int | None = None,
    progress: bool = True,
) -> Alignment:
    """Aligns all pictures that an annotation CSV names, or all in a folder and the folders in it.

    Called again, it goes on: pictures whose aligned face is there are not done again, unless their
    file changed. Pictures without a face are.

    Args:
      image_dir: folder that the pictures' paths start from.
      output_dir: folder to write to; train and test CSVs of one image_dir may share it.
      detector: finds the faces.
      annotations: a CSV with the column subDirectory_filePath. Columns face_x, face_y, face_width
        and face_height, pixels, say which face is labeled: the one found that overlaps this box
        most is cut out, else the box. A picture may come again with another box. Other columns
        are carried as they are, but knn only where no row is lost, and boxes, which are the
        picture's, not the face's, never. None: all pictures in the folder.
      size: height and width of the aligned faces, pixels.
      several: of several faces without a box the largest, the one nearest the picture's center,
        none (skip), or all; not all with annotations, since a label is one person's.
      on_no_face: skip the picture, keep the whole of it (resized to the square, its aspect ratio
        is lost), or fail at the first. Pictures that cannot be read are never kept.
      workers: threads, each with a picture in memory; None: one per processor.
      progress: show a bar.

    Raises:
      InputError: a folder or CSV is not as it should be, the output would overwrite what is read or
        is another run's, other settings were used in output_dir before, no picture has a face, or
        on_no_face is fail and one has none.
    """
    image_dir, output_dir = Path(image_dir), Path(output_dir)
    _check_settings(annotations, size, several, on_no_face, workers)
    _check_places(image_dir, output_dir, annotations)
    table = None if annotations is None else read_table(annotations, image_dir)
    rows: dict[Job, int] = {}
    if table is None:
        jobs: list[Job] = [(path, None) for path in _pictures(image_dir, output_dir)]
    else:
        for row, job in enumerate(jobs_of(table)[0]):
            rows.setdefault(job, row)
        jobs = list(rows)
    images = output_dir / IMAGES
    aligner = PictureAligner(image_dir, images, detector, size, several, on_no_face == KEEP)
    aligner.check_targets(jobs)
    settings: dict[str, Any] = {"image_dir": str(image_dir.resolve()), "detector": detector.name}
    settings |= {"size": size, "several": several}
    records: list[dict] = []
    work = journaled(aligner, jobs, output_dir / JOURNAL, settings, workers, progress)
    with claimed(output_dir / _LOCK) as mine, contextlib.closing(work):
        if not mine:
            raise InputError(f"another run is at work in {output_dir}. Name another --output_dir.")
        for job, record in zip(jobs, work, strict=True):
            left_out = record["status"] == SKIPPED and record["by"] != SKIP
            if on_no_face == FAIL and left_out:
                row = f"{annotations}: row {rows[job]}: " if rows else ""
                raise InputError(
                    f"{row}{image_dir / record[PATH]}: {record['reason']}. Leave it out, or choose "
                    "--on_no_face=skip or keep. The pictures before it are not done again."
                )
            records.append(record)
    name = "faces" if annotations is None else f"{Path(annotations).stem}_faces"
    report, report_file = face_table(records), output_dir / f"{name}.csv"
    write_whole(report_file, report.to_csv(index=False, lineterminator="\n"))
    pairs = zip(jobs, records, strict=True)
    written = {job: record["aligned"][0] for job, record in pairs if record["aligned"]}
    if not written:
        raise InputError(
            f"{image_dir}: no face in any of {len(jobs)} pictures; {report_file} says why. Do "
            f"they show faces? {detector.advice}"
        )
    if annotations is None:
        return Alignment(report, report_file, images, None)
    copy = output_dir / f"{Path(annotations).stem}.csv"
    write_whole(copy, rewritten(table, written).to_csv(index=False, lineterminator="\n"))
    return Alignment(report, report_file, images, copy)


def read_table(annotations: str | Path, image_dir: Path) -> pd.DataFrame:
    """Reads an annotation CSV, every cell as text; valence and arousal may be missing.

    Raises:
      AnnotationError: it cannot be read, has no rows or no paths, or a path is wrong.
    """
    texts, lines, problems = parse_csv(annotations)
    if PATH not in texts:
        problem = f"column {PATH} is missing (there are: {', '.join(texts)})"
        raise AnnotationError(annotations, [(None, problem)])
    jobs, wrong = jobs_of(pd.DataFrame(texts))
    annotators = texts.get(ANNOTATOR, [""] * len(lines))
    whose = [f"{who} {box}" for who, (_, box) in zip(annotators, jobs, strict=True)]
    wrong += named_pictures(texts, image_dir, whose)
    ragged = {row for row, _ in problems}
    problems += [problem for problem in wrong if problem[0] not in ragged]
    problems += [] if lines else [(None, "has no rows")]
    if problems:
        raise AnnotationError(annotations, problems, lines)
    return pd.DataFrame(texts)


def rewritten(table: pd.DataFrame, written: Mapping[Job, str]) -> pd.DataFrame:
    """Returns the rows whose face was written, with new paths; without knn if a row is lost.

    Boxes are dropped: they are of the picture, not of the face.

    Args:
      table: of `read_table`.
      written: path and box of a picture -> path of its aligned face.
    """
    paths = [written.get(job) for job in jobs_of(table)[0]]
    left = (
        table.assign(**{PATH: paths}).dropna(subset=PATH).drop(columns=list(BOX), errors="ignore")
    )
    if len(left) < len(table):
        left = left.drop(columns=NEIGHBORS, errors="ignore")  # the row numbers have moved
    return left


def face_table(records: Sequence[dict]) -> pd.DataFrame:
    """Makes a row for each face, and for each picture without one, see `Alignment.table`.

    Args:
      records: of pictures, see `picture`.
    """
    rows = []
    for record in records:
        box = " ".join(f"{number:.10g}" for number in record["box"] or ())
        common = [record[PATH], record["status"], record["reason"], box, record["by"]]
        common.append(record["found"])
        for number in range(max(1, len(record["aligned"]))):
            path = record["aligned"][number] if record["aligned"] else ""
            face = record["faces"][number] if record["faces"] else []
            rows.append([*common, path, *face, *[None] * (len(_FACE_COLUMNS) - len(face))])
    return pd.DataFrame(
        rows,
        columns=[PATH, "status", "reason", "box", "chosen_by", "faces", "aligned", *_FACE_COLUMNS],
    )


def _check_settings(
    annotations: str | Path | None, size: int, several: str, on_no_face: str, workers: int | None
) -> None:
    named = (("several", several, SEVERAL), ("on_no_face", on_no_face, ON_NO_FACE))
    for name, value, choices in named:
        if value not in choices:
            raise InputError(f"{name} is one of {', '.join(choices)}, not {value!r}.")
    if size < 1 or (workers is not None and workers < 1):
        raise InputError("the size of an aligned face and the number of workers are at least 1.")
    if annotations is not None and several == ALL:
        raise InputError(
            f"{annotations}: a label is one person's, and --several=all cuts out every person. "
            "Choose --several=largest or central, or leave out --annotations."
        )


def _check_places(image_dir: Path, output_dir: Path, annotations: str | Path | None) -> None:
    if not image_dir.is_dir():
        raise InputError(f"{image_dir}: no such folder of pictures. Check --image_dir.")
    has_faces = annotations is None and (image_dir / JOURNAL).exists()
    if same_file(image_dir, output_dir) or has_faces:
        raise InputError(
            f"{image_dir}: holds faces that were cut out, or would, and the next run would take "
            "them for photos. Name another --output_dir, or the photos' folder as --image_dir."
        )
    if (output_dir / IMAGES).resolve() in image_dir.resolve().parents:
        raise InputError(
            f"{image_dir} lies among the faces of {output_dir / IMAGES}. Name the folder of the "
            "photos as --image_dir."
        )
    if same_file(image_dir, output_dir / IMAGES):
        raise InputError(
            f"{image_dir}: the pictures would be overwritten. Name another --output_dir."
        )
    if annotations is not None and same_file(annotations, output_dir / Path(annotations).name):
        raise InputError(f"{annotations} would be overwritten. Name another --output_dir.")


def _pictures(image_dir: Path, output_dir: Path) -> list[str]:
    """Lists the pictures in a folder and below, sorted, with /, but for faces that were cut out.

    These lie in output_dir, and where there is a journal.
    """
    own, found = output_dir.resolve(), []
    for folder, folders, names in os.walk(image_dir):
        below = [(name, Path(folder, name)) for name in folders]
        folders[:] = [n for n, p in below if p.resolve() != own and not (p / JOURNAL).exists()]
        files = [Path(folder, n) for n in names if Path(n).suffix.lower() in PICTURE_ENDINGS]
        for file in files:
            check_utf8(file)  # a CSV cannot hold other names
            found.append(file.relative_to(image_dir).as_posix())
    if not found:
        raise InputError(f"{image_dir}: no pictures in this folder. Check --image_dir.")
    return sorted(found)
