"""Looks at every picture of the splits once: size, contrast, faces, and a perceptual signature.

Pictures are decoded on all cores; of each only a few hundred bytes are kept, so that 300,000 fit
into 200 MB.
"""

import dataclasses
import hashlib
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.picture_names import leads_out
from ldl_fer.data.pictures import decoded_image, picture_bytes, stored_image
from ldl_fer.preparation.doctor.finding import Row
from ldl_fer.preparation.doctor.split import Split
from ldl_fer.preparation.faces.detector import FaceDetector

_CHUNK = 32  # pictures per task given to a thread
UNKNOWN = -1
_FREQUENCIES = 16  # of a signature's cosine transform, in each direction
_SIDE = 32  # pixels, before the transform
_LEAST = 1e-3  # norm of what is not one gray value

# Bool [255]: the numbers of a signature that change sign when the picture is mirrored.
ODD = (np.arange(_FREQUENCIES**2) % 2 == 1)[1:]


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """M pictures: one for each file that a split names.

    Attributes:
      splits: the splits they are from.
      split: int [M], which of them.
      row: int [M], the first row in it with that picture.
      problems: M texts, why a picture cannot be read; empty if it can.
      sizes: int32 [M, 2], height and width, pixels; 0 if it cannot be read.
      contrast: float32 [M], standard deviation of its gray values, in [0, 128].
      digests: bytes [M, 16], equal if and only if the decoded pixels are; 0 if it cannot be read.
      signatures: float16 [M, 255], of `signature`.
      faces: int8 [M], number of faces; UNKNOWN without a detector.
    """

    splits: Sequence[Split]
    split: np.ndarray
    row: np.ndarray
    problems: list[str]
    sizes: np.ndarray
    contrast: np.ndarray
    digests: np.ndarray
    signatures: np.ndarray
    faces: np.ndarray

    def __len__(self) -> int:
        """M."""
        return len(self.row)

    @property
    def readable(self) -> np.ndarray:
        """Bool [M], whether it can be read."""
        return self.sizes[:, 0] > 0

    @property
    def labels(self) -> np.ndarray:
        """Int [M], the label of the first row."""
        return np.array(
            [self.splits[s].labels[r] for s, r in zip(self.split, self.row, strict=True)], int
        )

    def file(self, picture: int) -> Path:
        """Returns the path of a picture's file."""
        split = self.splits[self.split[picture]]
        return Path(split.image_dir) / split.paths[self.row[picture]]

    def row_of(self, picture: int, note: str = "") -> Row:
        """Returns the row of a picture, for a finding."""
        return self.splits[self.split[picture]].row(self.row[picture], note)

    def name_of(self, picture: int) -> str:
        """Names a picture's place for a note: `train row 5 (a.png, Happy)`."""
        split, row = self.splits[self.split[picture]], self.row[picture]
        label = split.labels[row]
        name = split.class_names[label] if label >= 0 else "no class"
        return f"{split.name} row {row} ({split.paths[row]}, {name})"


def look_at(
    splits: Sequence[Split], detector: FaceDetector | None = None, progress: bool = True
) -> Pictures:
    """Decodes every picture once; the reason why one cannot be read goes into `problems`.

    Args:
      splits: of the pictures; a file that several rows of a split name is one picture.
      detector: counts faces; None: they are not counted.
      progress: show a bar with time left.
    """
    places = [
        (number, row, split.image_dir / path)
        for number, split in enumerate(splits)
        for path, row in _first_rows(split.paths).items()
    ]
    count = len(places)
    looks = Pictures(
        splits,
        np.array([number for number, _, _ in places], int),
        np.array([row for _, row, _ in places], int),
        [""] * count,
        np.zeros([count, 2], np.int32),
        np.zeros(count, np.float32),
        np.zeros([count, 16], np.uint8),
        np.zeros([count, len(ODD)], np.float16),
        np.full(count, UNKNOWN, np.int8),
    )

    def look(chunk: range) -> int:
        for picture in chunk:
            try:
                _look(looks, picture, places[picture][2], detector)
            except (OSError, ValueError) as error:
                looks.problems[picture] = getattr(error, "strerror", None) or str(error)
        return len(chunk)

    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    bar = tqdm(None, "looking at pictures", count, unit="image", delay=2, disable=not progress)
    pool = ThreadPoolExecutor(processors())
    try:
        for done in pool.map(look, chunks):
            bar.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    return looks


def _look(looks: Pictures, picture: int, file: Path, detector: FaceDetector | None) -> None:
    content = picture_bytes(file)
    stored_image(content, None)  # refuses what training would
    image = decoded_image(content)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    pixels = hashlib.blake2b(str(image.shape).encode() + image.tobytes(), digest_size=16)
    looks.contrast[picture] = gray.std()
    looks.digests[picture] = np.frombuffer(pixels.digest(), np.uint8)
    looks.signatures[picture] = signature(gray)
    if detector:
        looks.faces[picture] = min(len(detector.detect(image)), 100)
    looks.sizes[picture] = image.shape[:2]


def signature(gray: np.ndarray) -> np.ndarray:
    """Returns a perceptual hash that keeps its decimals: alike in any size, brightness, contrast.

    Args:
      gray: uint8 [H, W].

    Returns:
      Float32 [255] of norm 1: cosine transform of the picture made 32 x 32, its 16 x 16 lowest
      frequencies without the mean, by row. The product of two signatures is the correlation of
      the pictures so blurred. All zero for a picture of one gray value.
    """
    small = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_FREQUENCIES, :_FREQUENCIES].ravel()[1:]
    norm = np.linalg.norm(low)
    return low / norm if norm > _LEAST else np.zeros_like(low)


def _first_rows(paths: Sequence[str]) -> dict[str, int]:
    """Maps normal paths to their first row; leaves out paths that lead out of the folder."""
    rows = {}
    for row, path in enumerate(paths):
        normal = posixpath.normpath(path)
        if path.strip() and not leads_out(path):
            rows.setdefault(normal, row)
    return rows
