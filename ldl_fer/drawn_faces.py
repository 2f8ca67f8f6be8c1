"""Schematic faces drawn by a procedure, with the true label distribution of each known exactly.

The world they come from. A face has a latent point (valence, arousal, attack, rejection). The first
two are the plane that the method looks for neighbors in; the last two tell apart what lies close
together there: anger attacks, fear flees, disgust rejects. Each class has a prototype. A face is
a draw around one of them, and its true distribution is the softmax of the negative squared
distances to all of them (`true_distribution`): the posterior of the class at equal frequencies.
The clean label `expression` is the argmax of that distribution, so a face drawn around one
prototype and landing nearer another carries the other's label.

The latent sets mouth, brows, eyes, nose and head (`face_geometry`); who the person is, how they
are lit and how the picture was taken is nuisance (`face_drawing`). Annotators see valence and
arousal with some error. Face i of a split depends on (seed, split, i) alone, however many are
asked for.

    python -m ldl_fer.drawn_faces --output_dir=data/drawn_faces
"""

import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from absl import flags
from tqdm import tqdm

from ldl_fer import command_line
from ldl_fer.errors import InputError
from ldl_fer.face_drawing import FaceGeometry, draw_face
from ldl_fer.settings import CLASS_NAMES

VERSION = 1
SPLITS = ("train", "test")
FREQUENCIES = np.array([0.19, 0.23, 0.14, 0.12, 0.10, 0.11, 0.11])  # of the prototypes drawn around
PROTOTYPES = np.array(
    [  # valence, arousal, attack, rejection
        [0.00, -0.05, 0.00, 0.00],  # Neutral
        [0.65, 0.30, 0.00, 0.00],  # Happy
        [-0.55, -0.45, 0.00, 0.00],  # Sad
        [0.20, 0.75, 0.00, 0.00],  # Surprise
        [-0.40, 0.70, -0.35, 0.00],  # Fear
        [-0.60, 0.30, 0.00, 0.45],  # Disgust
        [-0.45, 0.60, 0.40, 0.00],  # Anger
    ]
)
SPREAD = 0.26  # standard deviation of a face around its prototype, per latent axis
ANNOTATOR_ERROR = 0.1  # standard deviation of the published valence and arousal


def sample_latent(random: np.random.Generator) -> np.ndarray:
    """A face's latent point, [4]: valence and arousal in [-1, 1], attack, rejection."""
    prototype = PROTOTYPES[random.choice(len(PROTOTYPES), p=FREQUENCIES)]
    latent = prototype + random.normal(0.0, SPREAD, 4)
    latent[:2] = np.clip(latent[:2], -1.0, 1.0)
    return latent


def true_distribution(latent: np.ndarray) -> np.ndarray:
    """Class distribution of a latent point.

      d_j = softmax_j(-||z - p_j||^2 / (2 SPREAD^2))

    Args:
      latent: [..., 4].

    Returns:
      [..., 7], rows sum to 1, in the order of `CLASS_NAMES`.
    """
    distance = np.square(latent[..., np.newaxis, :] - PROTOTYPES).sum(axis=-1)
    score = -distance / (2.0 * SPREAD**2)
    weight = np.exp(score - score.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def face_geometry(latent: np.ndarray) -> FaceGeometry:
    """How a face at a latent point, [4], looks; smooth in every axis."""
    valence, arousal, attack, rejection = (float(value) for value in latent)
    pleasure, displeasure = _ramp(valence), _ramp(-valence)
    attacking, fleeing, rejecting = _ramp(attack), _ramp(-attack), _ramp(rejection)
    return FaceGeometry(
        mouth_curvature=1.1 * valence,
        mouth_opening=1.7 * _ramp(arousal - 0.3) - 0.4 * attacking - 0.3 * rejecting,
        mouth_width=0.6 * pleasure - 0.7 * _ramp(arousal) - 0.3 * displeasure + 0.9 * fleeing,
        lip_raise=1.8 * rejecting,
        brow_height=0.8 * arousal - 1.9 * attacking - 1.3 * rejecting + 0.3 * fleeing,
        brow_slope=0.9 * displeasure - 2.2 * attack - 1.0 * rejecting,
        frown=0.4 * displeasure + 1.6 * attacking + 0.9 * rejecting,
        eye_openness=0.9 * arousal - 1.2 * attacking - 1.4 * rejecting - 0.5 * pleasure,
        pupil=0.6 * arousal,
        nose_wrinkle=2.0 * rejecting,
        head_drop=0.8 * _ramp(-arousal) * displeasure,
    )


def _ramp(value: float) -> float:
    """max(value, 0) with its corner rounded over about 0.1, and 0 at 0."""
    return 0.1 * float(np.logaddexp(0.0, value / 0.1) - np.log(2.0))


def draw_faces(
    folder: str | os.PathLike,
    train: int = 1500,
    test: int = 400,
    size: int = 48,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Draws a data set: folder/{train,test}.csv and folder/images/{train,test}/face_00000.png, ...

    The CSV columns are those of DESIGN.md section 5, with the true distribution as `votes_*`
    columns (rows sum to 1). The folder appears whole or not at all. If it already holds this very
    set, nothing is done.

    Args:
      folder: where to; missing or empty, or made by the same call before.
      train, test: numbers of faces, at least 1.
      size: height and width of the images, pixels, at least 16.
      seed: not negative. Another seed is another set of people.
      progress: show a progress bar.

    Raises:
      InputError: for a number out of range, or a folder with anything else in it.
    """
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
            "remove it or name another folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary,
        tqdm(total=train + test, desc="drawing faces", unit="face", disable=not progress) as bar,
    ):
        partial = Path(temporary) / folder.name
        for split in SPLITS:
            (partial / "images" / split).mkdir(parents=True)
            rows = []
            for index in range(settings[split]):
                image, row = _face(seed, split, index, size)
                target = partial / "images" / row["subDirectory_filePath"]
                if not cv2.imwrite(str(target), image[..., ::-1]):
                    raise InputError(f"cannot write {target}; is the disk full?")
                rows.append(row)
                bar.update()
            pd.DataFrame(rows).to_csv(partial / f"{split}.csv", index=False)
        (partial / "drawn_faces.json").write_text(json.dumps(settings) + "\n")
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            if not _holds(folder, settings):
                raise


def _holds(folder: Path, settings: dict) -> bool:
    try:
        return json.loads((folder / "drawn_faces.json").read_text()) == settings
    except (OSError, ValueError):
        return False


def _face(seed: int, split: str, index: int, size: int) -> tuple[np.ndarray, dict]:
    """Image and annotation row of one face."""
    random = np.random.default_rng([seed, SPLITS.index(split), index])
    latent = sample_latent(random)
    distribution = true_distribution(latent)
    seen = np.clip(latent[:2] + random.normal(0.0, ANNOTATOR_ERROR, 2), -1.0, 1.0).round(4)
    row = {
        "subDirectory_filePath": f"{split}/face_{index:05d}.png",
        "expression": int(distribution.argmax()),
        "valence": seen[0],
        "arousal": seen[1],
    }
    votes = (f"votes_{name.lower()}" for name in CLASS_NAMES)
    row.update(zip(votes, distribution, strict=True))
    return draw_face(face_geometry(latent), random, size), row


def _define_flags() -> None:
    flags.DEFINE_string("output_dir", "data/drawn_faces", "Folder to write; missing or empty.")
    flags.DEFINE_integer("train", 1500, "Number of training faces.")
    flags.DEFINE_integer("test", 400, "Number of test faces.")
    flags.DEFINE_integer("size", 48, "Height and width of the images, pixels.")
    flags.DEFINE_integer("seed", 0, "Another seed is another set of people.")


def main() -> None:
    given = flags.FLAGS
    draw_faces(given.output_dir, given.train, given.test, given.size, given.seed)
    print(f"{given.output_dir}: {given.train} training and {given.test} test faces")


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
