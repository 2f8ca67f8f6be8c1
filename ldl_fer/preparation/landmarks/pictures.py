"""Finds the landmarks of many pictures, in threads; an interrupted run goes on.

Each thousand of pictures is kept as a part, under a name that is a hash of the model and of the
pictures' places, sizes and times of change.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import AnnotationError, Problem
from ldl_fer.data.pictures import decoded_image, named_when_unreadable, picture_bytes
from ldl_fer.errors import InputError
from ldl_fer.files import claimed, state_of, whole_file
from ldl_fer.preparation.landmarks.face_mesh import POINTS, FaceMesh

PART = 1000  # pictures
_LOCK = ".lock"
_CURE = "Replace it, drop the row, or correct --image_dir"


def find_landmarks(
    model: FaceMesh,
    annotations: str | Path,
    image_dir: str | Path,
    rows: Mapping[str, int],
    folder: str | Path,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the landmarks of picture files, face crops; computes those not yet kept.

    Args:
      model: finds them.
      annotations: the CSV, for messages.
      image_dir: where the paths start.
      rows: N paths, each with its first row in the CSV.
      folder: where parts are kept.
      workers: threads; None: one per processor.
      progress: show a bar.

    Returns:
      Points, float32 [N, 468, 3], pixels of the picture, NaN where no face was found; scores,
      float32 [N], above 0 where one was.

    Raises:
      InputError: a picture is not there, or cannot be read, before which parts are kept; or
        another process is at work in the folder.
    """
    names = list(rows)
    keys = _keys(annotations, Path(image_dir), rows)
    chunks = [slice(start, start + PART) for start in range(0, len(names), PART)]
    files = [Path(folder) / f"{_digest([model.digest, *keys[chunk]])}.npy" for chunk in chunks]
    points = np.empty([len(names), POINTS, 3], np.float32)
    score = np.empty(len(names), np.float32)

    def answer(row: int) -> None:
        path = Path(image_dir) / names[row]
        with named_when_unreadable(path, _CURE, rows[names[row]]):
            picture = decoded_image(picture_bytes(path))
        points[row], score[row] = model(picture)

    def is_read(file: Path, chunk: slice) -> bool:
        """Reads a part, where it is there and whole."""
        try:
            kept = np.load(file)
            points[chunk] = kept[:, :-1].reshape(-1, POINTS, 3)
            score[chunk] = kept[:, -1]
        except (OSError, ValueError, EOFError, IndexError):
            return False
        return True

    with claimed(Path(folder) / _LOCK) as mine:
        if not mine:
            raise InputError(f"another process is at work in {folder}. Name another --output.")
        pairs = zip(chunks, files, strict=True)
        pending = [(chunk, file) for chunk, file in pairs if not is_read(file, chunk)]
        done = len(names) - sum(len(names[chunk]) for chunk, _ in pending)
        bar = tqdm(
            None, "landmarks", len(names), initial=done, unit="picture", disable=not progress
        )
        pool = ThreadPoolExecutor(workers or processors())
        try:
            with bar:
                for chunk, file in pending:
                    for _ in pool.map(answer, range(len(names))[chunk]):
                        bar.update()
                    flat = points[chunk].reshape(-1, POINTS * 3)
                    with whole_file(file) as partial:
                        np.save(partial, np.column_stack([flat, score[chunk]]))
        finally:
            pool.shutdown(cancel_futures=True)
    return points, score


def _keys(annotations: str | Path, image_dir: Path, rows: Mapping[str, int]) -> list[str]:
    """Returns place, length and time of change of each picture.

    Raises:
      AnnotationError: some are not there.
    """
    keys, problems = [], list[Problem]()
    for name, row in rows.items():
        try:
            keys.append(f"{(image_dir / name).resolve()}|{state_of(image_dir / name)}")
        except OSError as error:
            problems.append((row, f"{image_dir / name} cannot be read: {error.strerror}"))
    if problems:
        raise AnnotationError(annotations, problems)
    return keys


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
