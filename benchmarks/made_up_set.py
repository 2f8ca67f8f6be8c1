"""Makes up an AffectNet of any number of rows: its skew, its clusters, pictures of noise."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.records import Records, prepare_records
from ldl_fer.preparation.datasets.affectnet import READER
from ldl_fer.preparation.drawn_faces.latents import LATENT_PROTOTYPES, SPREAD

AFFECTNET_COUNTS = READER.published_counts["train"]  # in the order of CLASS_NAMES
_DIFFERENT = 256  # pictures; the files repeat them
_PER_FOLDER = 1000
_GRIDS = ((4, 50.0), (12, 20.0), (40, 6.0))  # cells a side and deviation of the noise's octaves


def make_up_set(
    folder: Path, rows: int, image_size: int, seed: int = 0, progress: bool = True
) -> tuple[Path, Path]:
    """Writes FOLDER/annotations.csv and FOLDER/images/*/*.jpg; an earlier one there is kept.

    Args:
      folder: made if missing; holds nothing else.
      rows: N.
      image_size: height and width of the pictures, pixels.
      seed: of everything.
      progress: whether to show a progress bar.

    Returns:
      The CSV and the folder of the images.
    """
    csv, images = folder / "annotations.csv", folder / "images"
    if csv.exists():
        return csv, images
    random = np.random.default_rng(seed)
    pictures = [_picture(random, image_size) for _ in range(min(rows, _DIFFERENT))]

    def write(first: int) -> int:
        (images / _path(first)).parent.mkdir(parents=True, exist_ok=True)
        last = min(first + _PER_FOLDER, rows)
        for row in range(first, last):
            (images / _path(row)).write_bytes(pictures[row % len(pictures)])
        return last - first

    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=rows, desc="making up pictures", unit="picture", disable=not progress) as bar,
    ):
        for written in pool.map(write, range(0, rows, _PER_FOLDER)):
            bar.update(written)
    made_up_table(rows, random).to_csv(csv, index=False)
    return csv, images


def made_up_table(rows: int, random: np.random.Generator | None = None) -> pd.DataFrame:
    """Makes up annotations of so many pictures, with AffectNet's skew and clusters.

    Args:
      rows: N.
      random: where chance comes from; None: of seed 0.
    """
    random = random or np.random.default_rng(0)
    shares = np.array(AFFECTNET_COUNTS) / sum(AFFECTNET_COUNTS)
    labels = random.choice(len(CLASS_NAMES), size=rows, p=shares)
    plane = LATENT_PROTOTYPES[labels, :2] + random.normal(0.0, SPREAD, [rows, 2])
    plane = np.clip(plane, -1.0, 1.0).round(4)
    return pd.DataFrame(
        {
            "subDirectory_filePath": [_path(row) for row in range(rows)],
            "expression": labels,
            "valence": plane[:, 0],
            "arousal": plane[:, 1],
        }
    )


def _path(row: int) -> str:
    return f"{row // _PER_FOLDER:04d}/{row:07d}.jpg"


def made_up_records(
    folder: Path, rows: int, image_size: int, num_neighbors: int, progress: bool = True
) -> Records:
    """Makes such a set under `folder`, as records; an equal one of an earlier call is kept."""
    made_up = folder / f"made_up_{rows}_at_{image_size}"
    csv, images = make_up_set(made_up, rows, image_size, progress=progress)
    return prepare_records(
        csv,
        images,
        folder / "records",
        image_size=image_size,
        num_neighbors=num_neighbors,
        class_names=CLASS_NAMES,
        progress=progress,
    )


def _picture(random: np.random.Generator, size: int) -> bytes:
    """Draws noise as smooth as a face, so that its JPEG is about as large and as slow as one's."""
    picture = np.full([size, size, 3], 127.0)
    for cells, deviation in _GRIDS:
        noise = random.normal(0.0, deviation, [cells, cells, 3])
        picture += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", picture.clip(0, 255).astype(np.uint8))[1].tobytes()
