"""Writes the drawn data set: pictures, and two CSV files with exactly known distributions.

A face's distribution (`latents`) is written as votes, and its clean label `expression` is the
argmax of that distribution, so that a face drawn around one prototype and landing nearer another
has the other's label. Person, light and camera are nuisance (`drawing`). Annotators see valence and
arousal with some error. Face i of a split depends on (seed, split, i) alone, however many are asked
for.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.files import made_folder, told_when_full

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
SPLITS = ("train", "test")
TRAIN, TEST, SIZE, SEED = 1500, 400, 48, 0  # faces of each split, pixels, people
ANNOTATOR_ERROR = 0.1  # standard deviation of the published valence and arousal


def draw_faces(
    folder: str | os.PathLike,
    train: int = TRAIN,
    test: int = TEST,
    size: int = SIZE,
    seed: int = SEED,
    progress: bool = True,
) -> None:
    """Draws a data set: folder/{train,test}.csv and folder/images/{train,test}/face_00000.png, ...

    The CSV columns are those of `data.annotations`, with the true distribution as `votes_*`
    columns (rows sum to 1). The folder appears whole or not at all. If it already holds this very
    set, nothing is done.

    Args:
      folder: to write; missing or empty, or made by the same call before.
      train, test: numbers of faces, at least 1.
      size: height and width of the images, pixels, at least 16.
      seed: not negative. Another seed is another set of people.
      progress: show a progress bar.

    Raises:
      InputError: for a number out of range, or a folder with anything else in it.
    """
    import cv2
    import pandas as pd

    from ldl_fer.config.progress import tqdm
    from ldl_fer.data.annotation_checks import PATH

    settings = {"version": VERSION, "train": train, "test": test, "size": size, "seed": seed}
    for name, least in (("train", 1), ("test", 1), ("size", 16), ("seed", 0)):
        if settings[name] < least:
            raise InputError(f"{name} is {settings[name]}; give at least {least}")
    folder = Path(folder)
    if _holds(folder, settings):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is there and is not this set of drawn faces ({json.dumps(settings)}); "
            "name another folder"
        )
    made_folder(folder.parent)
    with (
        told_when_full(folder),
        tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary,
        tqdm(total=train + test, desc="drawing faces", unit="face", disable=not progress) as bar,
    ):
        partial = Path(temporary) / folder.name
        for split in SPLITS:
            (partial / "images" / split).mkdir(parents=True)
            rows = []
            for index in range(settings[split]):
                image, row = _face(seed, split, index, size)
                _, content = cv2.imencode(".png", image[..., ::-1])
                (partial / "images" / row[PATH]).write_bytes(content)
                rows.append(row)
                bar.update()
            pd.DataFrame(rows).to_csv(partial / f"{split}.csv", index=False)
        (partial / "drawn_faces.json").write_text(json.dumps(settings) + "\n")
        try:
            partial.rename(folder)
        except OSError as error:  # another process was faster
            if not _holds(folder, settings):
                raise InputError(f"cannot make {folder}: {error.strerror}") from error


def _holds(folder: Path, settings: dict) -> bool:
    try:
        return json.loads((folder / "drawn_faces.json").read_text()) == settings
    except (OSError, ValueError):
        return False


def _face(seed: int, split: str, index: int, size: int) -> "tuple[np.ndarray, dict]":
    """Draws one face: its image, uint8 [size, size, 3], and its annotation row."""
    import numpy as np

    from ldl_fer.data.annotation_checks import AROUSAL, LABEL, PATH, VALENCE, vote_columns
    from ldl_fer.preparation.drawn_faces.drawing import draw_face
    from ldl_fer.preparation.drawn_faces.latents import (
        face_geometry,
        sample_latent,
        true_distribution,
    )

    random = np.random.default_rng([seed, SPLITS.index(split), index])
    latent = sample_latent(random)
    distribution = true_distribution(latent)
    seen = np.clip(latent[:2] + random.normal(0.0, ANNOTATOR_ERROR, 2), -1.0, 1.0).round(4)
    row = {
        PATH: f"{split}/face_{index:05d}.png",
        LABEL: int(distribution.argmax()),
        VALENCE: seen[0],
        AROUSAL: seen[1],
    }
    row.update(zip(vote_columns(CLASS_NAMES), distribution, strict=True))
    return draw_face(face_geometry(latent), random, size), row
