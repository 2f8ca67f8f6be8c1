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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ldl_fer.data.annotation_checks import ANNOTATOR, NEIGHBORS, PATH, AnnotationError, check_paths
from ldl_fer.data.pictures import PICTURE_ENDINGS
from ldl_fer.errors import InputError
from ldl_fer.files import same_file, write_whole
from ldl_fer.preparation.faces import (
    ALL,
    FAIL,
    KEEP,
    LARGEST,
    ON_NO_FACE,
    SKIP,
    TEMPLATE_SIZE,
    WHICH,
)
from ldl_fer.preparation.faces.detector import FaceDetector
from ldl_fer.preparation.faces.picture import SKIPPED, PictureAligner, journaled

IMAGES, JOURNAL = "images", "faces.jsonl"
_POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # as in TEMPLATE
_FACE_COLUMNS = ["x", "y", "width", "height", "score"]
_FACE_COLUMNS += [f"{point}_{axis}" for point in _POINTS for axis in "xy"]


@dataclass(frozen=True)
class Alignment:
    """The result of aligning a data set.

    Attributes:
      table: content of NAME_faces.csv. Columns: subDirectory_filePath, the picture; status, one of
        aligned, kept (whole, as no face was found), skipped; reason, why it was not aligned; faces,
        the number found in the picture; aligned, path of the result under `images`; x, y, width,
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
    which: str = LARGEST,
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
      annotations: a CSV with the column subDirectory_filePath; its other columns are carried as
        they are, but knn only where no row is lost. None: all pictures in the folder.
      size: height and width of the aligned faces, pixels.
      which: of several faces the largest, the one nearest the picture's center, or all; not all
        with annotations, since a label is one person's.
      on_no_face: skip the picture, keep the whole of it (resized to the square, its aspect ratio
        is lost), or fail at the first. Pictures that cannot be read are never kept.
      workers: threads, each with a picture in memory; None: one per processor.
      progress: show a bar.

    Raises:
      InputError: a folder or CSV is not as it should be, the output would overwrite what is read,
        other settings were used in output_dir before, no picture has a face, or on_no_face is fail
        and one has none.
    """
    image_dir, output_dir = Path(image_dir), Path(output_dir)
    _check_settings(annotations, size, which, on_no_face, workers)
    _check_places(image_dir, output_dir, annotations)
    table = None if annotations is None else read_table(annotations)
    rows = {}
    if table is None:
        paths = _pictures(image_dir, output_dir)
    else:
        for row, path in enumerate(table[PATH]):
            rows.setdefault(path, row)
        paths = list(rows)
    images = output_dir / IMAGES
    aligner = PictureAligner(image_dir, images, detector, size, which, on_no_face == KEEP)
    aligner.check_targets(paths)
    settings: dict[str, Any] = {"image_dir": str(image_dir.resolve()), "detector": detector.name}
    settings |= {"size": size, "which": which}
    records = []
    work = journaled(aligner, paths, output_dir / JOURNAL, settings, workers, progress)
    with contextlib.closing(work):
        for record in work:
            if on_no_face == FAIL and record["status"] == SKIPPED:
                row = f"{annotations}: row {rows[record[PATH]]}: " if rows else ""
                raise InputError(
                    f"{row}{image_dir / record[PATH]}: {record['reason']}. Remove it, or choose "
                    "--on_no_face=skip or keep. The pictures before it are not done again."
                )
            records.append(record)
    name = "faces" if annotations is None else f"{Path(annotations).stem}_faces"
    report, report_file = face_table(records), output_dir / f"{name}.csv"
    write_whole(report_file, report.to_csv(index=False, lineterminator="\n"))
    written = {record[PATH]: record["aligned"][0] for record in records if record["aligned"]}
    if not written:
        raise InputError(
            f"{image_dir}: no face in any of {len(paths)} pictures; {report_file} says why. Do "
            "they show faces? YuNet (--detector) finds more of them than the cascade."
        )
    if annotations is None:
        return Alignment(report, report_file, images, None)
    copy = output_dir / f"{Path(annotations).stem}.csv"
    write_whole(copy, rewritten(table, written).to_csv(index=False, lineterminator="\n"))
    return Alignment(report, report_file, images, copy)


def read_table(annotations: str | Path) -> pd.DataFrame:
    """Reads an annotation CSV, every cell as text; valence and arousal may be missing.

    Raises:
      InputError: it cannot be read, has no rows or no paths, or a path is wrong.
    """
    try:
        table = pd.read_csv(annotations, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{annotations} cannot be read as CSV: {error}. Correct it.") from error
    if PATH not in table:
        problem = f"column {PATH} is missing (there are: {', '.join(table)})"
        raise AnnotationError(annotations, [(None, problem)])
    annotators = table[ANNOTATOR].tolist() if ANNOTATOR in table else None
    problems = check_paths(table[PATH].tolist(), None, False, annotators)
    problems += [(None, "has no rows")] if table.empty else []
    if problems:
        raise AnnotationError(annotations, problems, range(2, len(table) + 2))
    return table


def rewritten(table: pd.DataFrame, written: dict[str, str]) -> pd.DataFrame:
    """Returns the rows whose picture was written, with new paths; without knn if a row is lost.

    Args:
      table: of `read_table`.
      written: path of a picture -> that of its aligned face.
    """
    left = table[table[PATH].isin(list(written))]
    left = left.assign(**{PATH: left[PATH].map(written)})
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
        common = [record[PATH], record["status"], record["reason"], record["found"]]
        for number in range(max(1, len(record["aligned"]))):
            path = record["aligned"][number] if record["aligned"] else ""
            face = record["faces"][number] if record["faces"] else []
            rows.append([*common, path, *face, *[None] * (len(_FACE_COLUMNS) - len(face))])
    return pd.DataFrame(
        rows, columns=[PATH, "status", "reason", "faces", "aligned", *_FACE_COLUMNS]
    )


def _check_settings(
    annotations: str | Path | None, size: int, which: str, on_no_face: str, workers: int | None
) -> None:
    for name, value, choices in (("which", which, WHICH), ("on_no_face", on_no_face, ON_NO_FACE)):
        if value not in choices:
            raise InputError(f"{name} is one of {', '.join(choices)}, not {value!r}.")
    if size < 1 or (workers is not None and workers < 1):
        raise InputError("the size of an aligned face and the number of workers are at least 1.")
    if annotations is not None and which == ALL:
        raise InputError(
            f"{annotations}: a label is one person's, and --which=all cuts out every person. "
            "Choose --which=largest or central, or leave out --annotations."
        )


def _check_places(image_dir: Path, output_dir: Path, annotations: str | Path | None) -> None:
    if not image_dir.is_dir():
        raise InputError(f"{image_dir}: no such folder of pictures. Check --image_dir.")
    if same_file(image_dir, output_dir / IMAGES):
        raise InputError(
            f"{image_dir}: the pictures would be overwritten. Name another --output_dir."
        )
    if annotations is not None and same_file(annotations, output_dir / Path(annotations).name):
        raise InputError(f"{annotations} would be overwritten. Name another --output_dir.")


def _pictures(image_dir: Path, output_dir: Path) -> list[str]:
    """Lists the pictures in a folder and below, sorted, with /, but for those in output_dir."""
    own, found = output_dir.resolve(), []
    for folder, folders, names in os.walk(image_dir):
        folders[:] = [name for name in folders if Path(folder, name).resolve() != own]
        files = [Path(folder, n) for n in names if Path(n).suffix.lower() in PICTURE_ENDINGS]
        found += [file.relative_to(image_dir).as_posix() for file in files]
    if not found:
        raise InputError(f"{image_dir}: no pictures in this folder. Check --image_dir.")
    return sorted(found)
