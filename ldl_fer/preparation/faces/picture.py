"""Aligns pictures of a data set: reads one, finds its faces, writes them, and records the result.

A record is a dict, ready for JSON; a journal has one per line:
  subDirectory_filePath   the picture
  stamp    [bytes, time of the last change in ns] of its file
  status   aligned, kept (whole, as no face was found) or skipped
  reason   why it was not aligned
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
from tqdm import tqdm

from ldl_fer.config.processors import processors
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.pictures import JPEG_QUALITY, decoded_image, picture_bytes, resized
from ldl_fer.errors import InputError
from ldl_fer.files import whole_file, write_whole
from ldl_fer.preparation.faces import ALL, CENTRAL, LARGEST
from ldl_fer.preparation.faces.alignment import aligned
from ldl_fer.preparation.faces.detector import Face, FaceDetector

ALIGNED, KEPT, SKIPPED = ("aligned", "kept", "skipped")
_JPEG = (".jpg", ".jpeg")


def chosen(faces: Sequence[Face], which: str, shape: tuple[int, ...]) -> list[Face]:
    """Chooses the faces of a picture that are cut out.

    Args:
      faces: largest first.
      which: "largest", "central" (the one whose box's center is nearest the picture's) or "all".
      shape: height and width of the picture, pixels.
    """

    def off_center(face: Face) -> float:
        x, y, width, height = face.box
        return (x + (width - shape[1]) / 2) ** 2 + (y + (height - shape[0]) / 2) ** 2

    if which == CENTRAL:
        faces = sorted(faces, key=off_center)
    return list(faces) if which == ALL else list(faces[:1])


@dataclass(frozen=True)
class PictureAligner:
    """Aligns a picture, called with its path, from any thread, and returns its record.

    Attributes:
      image_dir: folder that the pictures' paths start from.
      images: folder that the paths of aligned faces start from.
      detector: finds the faces.
      size: height and width of an aligned face, pixels.
      which: one of `faces.WHICH`.
      keep: write the whole of a picture without a face, resized to the square.
    """

    image_dir: Path
    images: Path
    detector: FaceDetector
    size: int
    which: str = LARGEST
    keep: bool = False

    def target(self, path: str, number: int = 0) -> str:
        """Returns the path of a picture's aligned face: its own; .png is added but to JPEG and PNG.

        Where all faces are cut out, the N-th of a/b.jpg, from 0, becomes a/b.faceN.jpg.
        """
        source = PurePosixPath(path)
        plain = source.suffix.lower() in (*_JPEG, ".png")
        end = source.suffix if plain else f"{source.suffix}.png"
        face = f".face{number}" if self.which == ALL else ""
        return str(source.with_name(f"{source.stem}{face}{end}"))

    def check_targets(self, paths: Iterable[str]) -> None:
        """Raises InputError if two pictures would be written to one file."""
        taken = {}
        for path in paths:
            target = os.path.normpath(self.target(path))
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

    def __call__(self, path: str) -> dict:
        """Reads a picture, finds its faces and writes them, aligned.

        Args:
          path: under `image_dir`.

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
        }
        record |= {"found": 0, "aligned": [], "faces": []}
        try:
            image = decoded_image(picture_bytes(self.image_dir / path))
        except OSError as error:
            return record | {"reason": f"cannot be read: {error.strerror or error}"}
        except ValueError as error:
            return record | {"reason": f"cannot be read: {error}"}
        found = self.detector.detect(image)
        for number, face in enumerate(chosen(found, self.which, image.shape)):
            target = self.target(path, number)
            self._write(target, aligned(image, face, self.size))
            record["aligned"].append(target)
            points = [] if face.landmarks is None else face.landmarks.ravel().tolist()
            numbers = [*face.box, face.score, *points]
            record["faces"].append([round(float(x), 3) for x in numbers])
        if found:
            return record | {"status": ALIGNED, "found": len(found)}
        record["reason"] = "no face found"
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


def read_journal(journal: Path, settings: Mapping[str, Any]) -> dict[str, dict]:
    """Reads the last record of each path; none if there is no file.

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
            "Name another --output_dir, or remove this one."
        )
    return {line[PATH]: line for line in lines}


def journaled(
    aligner: PictureAligner,
    paths: Sequence[str],
    journal: Path,
    settings: Mapping[str, Any],
    workers: int | None = None,
    progress: bool = True,
) -> Generator[dict, None, None]:
    """Aligns pictures, in several threads, but for those that are done by the journal.

    A picture is done if it has a face, its aligned files are there, and its own file is unchanged.

    Args:
      aligner: does one picture.
      paths: of the pictures.
      journal: the file; made or added to.
      settings: all that the results depend on, JSON values.
      workers: threads; None: one per processor.
      progress: show a bar.

    Yields:
      The records of all pictures, in the order of `paths`.

    Raises:
      InputError: as `read_journal`, or something cannot be written.
    """
    former = read_journal(journal, settings)

    def is_done(path: str) -> bool:
        record = former.get(path)
        return (
            record is not None
            and record["status"] == ALIGNED
            and record["stamp"] == aligner.stamp(path)
            and all((aligner.images / target).is_file() for target in record["aligned"])
        )

    done = {path for path in paths if is_done(path)}
    for path in former.keys() & (set(paths) - done):
        for target in former[path]["aligned"]:  # the new result may lack these
            (aligner.images / target).unlink(missing_ok=True)
    lines = [{"settings": settings}, *former.values()]
    write_whole(journal, "".join(_line(line) for line in lines))
    bar = tqdm(
        desc="aligning faces",
        total=len(paths),
        initial=len(done),
        unit=" pictures",
        disable=not progress,
    )
    pool = ThreadPoolExecutor(workers or processors())
    try:
        with bar, journal.open("a", encoding="utf-8") as file:
            records = pool.map(aligner, [path for path in paths if path not in done])
            for path in paths:
                if path in done:
                    yield former[path]
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
