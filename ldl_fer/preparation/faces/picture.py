"""Aligns pictures of a data set: reads one, finds its faces, writes them, and records the result.

A record is a dict, ready for JSON; a journal has one per line:
  subDirectory_filePath   the picture
  stamp    [bytes, time of the last change in ns] of its file
  status   aligned, kept (whole, as no face was found) or skipped
  reason   why it was not aligned
  box      of the labeled face: x, y, width, height in the CSV; null without
  by       how the face was chosen: "at the box", "the box" (none was found at it), "only", or what
           --several says
  found    number of faces in the picture
  aligned  paths of the files written
  faces    for each of these x, y, width, height, score and, from YuNet, ten numbers of landmarks
"""

import json
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.pictures import JPEG_QUALITY, decoded_image, picture_bytes, resized
from ldl_fer.errors import InputError
from ldl_fer.files import whole_file, write_whole
from ldl_fer.preparation.faces import (
    ALL,
    AT_BOX,
    BOX_ITSELF,
    CENTRAL,
    LARGEST,
    NO_FACE,
    ONLY,
    SKIP,
)
from ldl_fer.preparation.faces.alignment import aligned
from ldl_fer.preparation.faces.boxes import Box, Job, face_at, overlap
from ldl_fer.preparation.faces.detector import Face, FaceDetector

ALIGNED, KEPT, SKIPPED = ("aligned", "kept", "skipped")
_JPEG = (".jpg", ".jpeg")


def chosen(faces: Sequence[Face], several: str, shape: tuple[int, ...]) -> list[Face]:
    """Chooses the faces of a picture that are cut out, where no box says which is meant.

    Args:
      faces: largest first.
      several: of several "largest", "central" (the one whose box's center is nearest the
        picture's), "skip" (none) or "all".
      shape: height and width of the picture, pixels.
    """

    def off_center(face: Face) -> float:
        x, y, width, height = face.box
        return (x + (width - shape[1]) / 2) ** 2 + (y + (height - shape[0]) / 2) ** 2

    if several == SKIP and len(faces) > 1:
        return []
    if several == CENTRAL:
        faces = sorted(faces, key=off_center)
    return list(faces) if several == ALL else list(faces[:1])


@dataclass(frozen=True)
class PictureAligner:
    """Aligns a picture, called with its path and a box, from any thread; returns its record.

    Attributes:
      image_dir: folder that the pictures' paths start from.
      images: folder that the paths of aligned faces start from.
      detector: finds the faces.
      size: height and width of an aligned face, pixels.
      several: one of `faces.SEVERAL`.
      keep: write the whole of a picture without a face, resized to the square.
    """

    image_dir: Path
    images: Path
    detector: FaceDetector
    size: int
    several: str = LARGEST
    keep: bool = False

    def target(self, path: str, box: Box | None = None, number: int = 0) -> str:
        """Returns the path of a picture's aligned face: its own; .png is added but to JPEG and PNG.

        Of a/b.jpg the face at a box becomes a/b.face_X_Y_WIDTH_HEIGHT.jpg, so that several CSVs
        may name several faces of one picture. Where all faces are cut out, the N-th, from 0,
        becomes a/b.faceN.jpg.
        """
        source = PurePosixPath(path)
        plain = source.suffix.lower() in (*_JPEG, ".png")
        end = source.suffix if plain else f"{source.suffix}.png"
        face = f".face{number}" if self.several == ALL else ""
        if box is not None:
            face = ".face_" + "_".join(f"{number:.10g}" for number in box)
        return str(source.with_name(f"{source.stem}{face}{end}"))

    def check_targets(self, jobs: Iterable[Job]) -> None:
        """Raises InputError if two pictures would be written to one file."""
        taken = {}
        for path, box in jobs:
            target = os.path.normpath(self.target(path, box))
            other = os.path.normpath(taken.setdefault(target, path))
            if other != os.path.normpath(path):
                raise InputError(
                    f"{self.image_dir}: the aligned faces of {other} and {path} would both be "
                    f"{target}. Rename one of the two."
                )

    def stamp(self, path: str) -> list[int]:
        """Returns the stamp of a record; empty where there is no file."""
        try:
            state = (self.image_dir / path).stat()
        except OSError:
            return []
        return [state.st_size, state.st_mtime_ns]

    def __call__(self, path: str, box: Box | None = None) -> dict:
        """Reads a picture, finds its faces and writes those that are chosen, aligned.

        Args:
          path: under `image_dir`.
          box: of the face that is meant; None: `several` decides.

        Returns:
          The record; its reason says why a picture was not aligned.

        Raises:
          InputError: a face cannot be written.
        """
        record: dict[str, Any] = {
            PATH: path,
            "stamp": self.stamp(path),
            "status": SKIPPED,
            "reason": "",
            "box": None if box is None else list(box),
            "by": "",
        }
        record |= {"found": 0, "aligned": [], "faces": []}
        try:
            image = decoded_image(picture_bytes(self.image_dir / path))
        except OSError as error:
            return record | {"reason": f"cannot be read: {error.strerror or error}"}
        except ValueError as error:
            return record | {"reason": f"cannot be read: {error}"}
        if box is not None and not overlap(box, (0, 0, image.shape[1], image.shape[0])):
            return record | {"reason": "the box lies outside the picture"}
        found = self.detector.detect(image)
        record["found"] = len(found)
        if box is not None:
            face, is_found = face_at(found, box)
            faces, record["by"] = [face], AT_BOX if is_found else BOX_ITSELF
        else:
            faces = chosen(found, self.several, image.shape)
            record["by"] = (ONLY if len(found) == 1 else self.several) if found else ""
        for number, face in enumerate(faces):
            target = self.target(path, box, number)
            self._write(target, aligned(image, face, self.size))
            record["aligned"].append(target)
            points = [] if face.landmarks is None else face.landmarks.ravel().tolist()
            numbers = [*face.box, face.score, *points]
            record["faces"].append([round(float(x), 3) for x in numbers])
        if faces:
            return record | {"status": ALIGNED}
        if found:
            return record | {"reason": f"{len(found)} faces and no box that says which"}
        record["reason"] = NO_FACE
        if self.keep:
            self._write(self.target(path), resized(image, self.size))
            record |= {"status": KEPT, "aligned": [self.target(path)]}
        return record

    def _write(self, target: str, picture: np.ndarray) -> None:
        """Writes an RGB picture, whole or not at all."""
        path = self.images / target
        is_jpeg = path.suffix.lower() in _JPEG
        settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if is_jpeg else []
        _, content = cv2.imencode(path.suffix, picture[..., ::-1], settings)
        with whole_file(path) as partial:
            partial.write_bytes(content)


def read_journal(journal: Path, settings: Mapping[str, Any]) -> dict[Job, dict]:
    """Reads the last record of each picture and box; none if there is no file.

    A line that a crash cut short is left out.

    Raises:
      InputError: the journal is of other settings.
    """
    if not journal.exists():
        return {}
    lines = []
    for text in journal.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    former = lines.pop(0).get("settings") if lines else settings
    if former != settings:
        changed = ", ".join(name for name in settings if former.get(name) != settings[name])
        raise InputError(
            f"{journal.parent} holds faces that were made with another {changed} ({former}). "
            "Name another --output_dir."
        )
    return {(line[PATH], line["box"] and tuple(line["box"])): line for line in lines}


def journaled(
    aligner: PictureAligner,
    jobs: Sequence[Job],
    journal: Path,
    settings: Mapping[str, Any],
    workers: int | None = None,
    progress: bool = True,
) -> Generator[dict, None, None]:
    """Aligns pictures, in several threads, but for those that are done by the journal.

    A picture is done if it has a face, its aligned files are there, and its own file is unchanged.

    Args:
      aligner: does one picture.
      jobs: pictures and boxes.
      journal: the file; made or added to.
      settings: all that the results depend on, JSON values.
      workers: threads; None: one per processor.
      progress: show a bar.

    Yields:
      The records of all jobs, in their order.

    Raises:
      InputError: as `read_journal`, or something cannot be written.
    """
    former = read_journal(journal, settings)

    def is_done(job: Job) -> bool:
        record = former.get(job)
        return (
            record is not None
            and record["status"] == ALIGNED
            and record["stamp"] == aligner.stamp(job[0])
            and all((aligner.images / target).is_file() for target in record["aligned"])
        )

    done = {job for job in jobs if is_done(job)}
    for job in former.keys() & (set(jobs) - done):
        for target in former[job]["aligned"]:  # the new result may lack these
            (aligner.images / target).unlink(missing_ok=True)
    lines = [{"settings": settings}, *former.values()]
    write_whole(journal, "".join(_line(line) for line in lines))
    bar = tqdm(
        desc="aligning faces",
        total=len(jobs),
        initial=len(done),
        unit=" pictures",
        disable=not progress,
    )
    pool = ThreadPoolExecutor(workers or processors())
    try:
        with bar, journal.open("a", encoding="utf-8") as file:
            records = pool.map(lambda job: aligner(*job), [job for job in jobs if job not in done])
            for job in jobs:
                if job in done:
                    yield former[job]
                    continue
                record = next(records)
                file.write(_line(record))
                file.flush()
                bar.update()
                yield record
    finally:
        pool.shutdown(cancel_futures=True)


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"
