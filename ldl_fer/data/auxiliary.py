"""The auxiliary space: where faces have neighbors, and where Eq. 2 measures how close they are.

  valence_arousal   [N, 2], as the CSV has them
  landmarks         [N, P D], shapes of faces: points, aligned by generalized Procrustes analysis
  both              [N, P D + 2], the two side by side
  FILE.npz          path [N], and vectors [N, D], taken as they are, or points [N, P, D], aligned

All but the first are moved and scaled: the mean of a space is 0, and two faces drawn at random
have the mean squared distance `SPREAD`, that which valence and arousal have on FER+. So delta is
as wide in any space: with 0.5, exp(-d^2 / delta^2) is e^-0.9 where two faces are as far from each
other as faces usually are. In `both`, a share of `SPREAD` comes of either part; valence and
arousal have half of their share each. A face without landmarks has the mean shape.
"""

import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ldl_fer.config.checks import SPACES
from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.landmarks import arrays_of, landmarks_file, landmarks_of, look_up
from ldl_fer.data.neighbors import is_constant, plane_of
from ldl_fer.errors import InputError
from ldl_fer.files import sha256

SPREAD = 0.22  # of valence and arousal of FER+'s training faces
_ROUNDS, _SETTLED = 20, 1e-6  # of Procrustes analysis; the mean shape has size 1

# Points of MediaPipe's face mesh, of 468, along the lines that it draws.
MESH_POINTS = 468
MESH_PARTS: Mapping[str, Sequence[int]] = MappingProxyType(
    {
        "lips": (
            *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270),
            *(409, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312),
            *(311, 310, 415),
        ),
        "brows": (
            *(276, 283, 282, 295, 285, 300, 293, 334, 296, 336),
            *(46, 53, 52, 65, 55, 70, 63, 105, 66, 107),
        ),
        "eyes": (
            *(263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398),
            *(33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173),
        ),
        "nose": (
            *(168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 294, 278, 344, 440, 275, 45),
            *(220, 115, 48, 64),
        ),
    }
)


class Space(NamedTuple):
    """The places of N faces in an auxiliary space.

    Attributes:
      places: float32 [N, D].
      known: bool [N], False where a face has no landmarks.
    """

    places: np.ndarray
    known: np.ndarray


def reads_plane(data: DataConfig) -> bool:
    """Returns whether the space needs valence and arousal of every row."""
    return data.auxiliary in ("valence_arousal", "both")


def auxiliary_file(data: DataConfig, csv_path: str | Path) -> Path | None:
    """Returns the file that the space is read from: landmarks, or the user's; None: the CSV alone.

    Args:
      data: the settings.
      csv_path: the annotation CSV, beside which landmarks are by default.
    """
    if data.auxiliary == "valence_arousal":
        return None
    if data.auxiliary not in SPACES:
        return Path(data.auxiliary)
    return Path(data.landmarks) if data.landmarks else landmarks_file(csv_path)


def landmarks_of_whole(data: DataConfig, auxiliary: str) -> dict[str, str]:
    """Returns the setting by which a CSV made of another one finds the landmarks of that.

    Args:
      data: the settings; `train_data_path` is the CSV whose landmarks are there.
      auxiliary: the space of the CSV that is made.
    """
    if auxiliary not in ("landmarks", "both") or data.landmarks:
        return {}
    return {"landmarks": str(landmarks_file(data.train_data_path))}


def space_identity(data: DataConfig, csv_path: str | Path) -> dict[str, Any]:
    """Returns all that a space depends on beside the annotations; {} for valence-arousal.

    Raises:
      InputError: its file cannot be read.
    """
    file = auxiliary_file(data, csv_path)
    if file is None:
        return {}
    check_auxiliary(data, csv_path)
    made: dict[str, Any] = {"auxiliary": kind_of(data), "sha256": sha256(file)}
    made |= {"parts": data.landmark_parts, "alignment": data.landmark_alignment}
    return made | ({"share": data.valence_arousal_share} if data.auxiliary == "both" else {})


def kind_of(data: DataConfig) -> str:
    """Returns the name of the space; "file" for one of the user's own."""
    return data.auxiliary if data.auxiliary in SPACES else "file"


def check_auxiliary(data: DataConfig, csv_path: str | Path) -> None:
    """Raises InputError where the file that the space is read from is not there."""
    file = auxiliary_file(data, csv_path)
    if file is None or file.is_file():
        return
    if data.auxiliary not in SPACES:
        raise InputError(f"--auxiliary={file}: no such file. Write path and vectors to it.")
    raise InputError(
        f"{file}: no such table of landmarks, which --auxiliary={data.auxiliary} needs. Make it by "
        f"ldl-fer landmarks {shlex.quote(f'--annotations={csv_path}')} "
        "--model=face_landmark.tflite (see its --help), or name another by --landmarks."
    )


def auxiliary_space(
    annotations: Annotations, data: DataConfig, csv_path: str | Path, progress: bool = True
) -> np.ndarray | None:
    """Returns the places of all faces in the space of the settings.

    Args:
      annotations: N rows.
      data: the settings.
      csv_path: where the annotations come from.
      progress: whether to print how many faces have no landmarks.

    Returns:
      Float32 [N, D]; None: the plane of valence and arousal, as the annotations have it.

    Raises:
      InputError: as `space_of` and `plane_of`.
    """
    file = auxiliary_file(data, csv_path)
    if file is None:
        return None
    check_auxiliary(data, csv_path)
    plane = plane_of(annotations) if reads_plane(data) else None
    space = space_of(data, file, annotations.paths, plane)
    unknown = np.count_nonzero(~space.known)
    if unknown and progress:
        print(
            f"{file}: {unknown:,} of {len(annotations):,} faces have no landmarks and get the mean "
            "shape."
        )
    return space.places


def space_of(
    data: DataConfig, file: Path, paths: Sequence[str], plane: np.ndarray | None = None
) -> Space:
    """Returns the places of pictures in a space other than valence-arousal alone.

    Args:
      data: the settings.
      file: of `auxiliary_file`.
      paths: N pictures.
      plane: [N, 2], of `both`.

    Raises:
      InputError: the file is no such table, lacks a picture, or has no two different faces.
    """
    if kind_of(data) == "file" and _has_vectors(file):
        places = _vectors_of(file, paths)
    else:
        places = landmarks_of(file, paths)
    known = np.isfinite(places).reshape(len(places), -1).all(axis=1)
    if not known.any():
        raise InputError(f"{file}: no face has landmarks. Make it anew, or choose another space.")
    if places.ndim == 3:
        places = shapes(places, known, data.landmark_parts, data.landmark_alignment)
    if is_constant(places[known]):
        raise InputError(f"{file}: all faces are the same: neighbors by them say nothing.")
    if plane is None:
        return Space(_scaled(places, known, SPREAD), known)
    share, everyone = data.valence_arousal_share, np.ones(len(places), bool)
    parts = [_scaled(places, known, (1.0 - share) * SPREAD)]
    parts += [_scaled(axis, everyone, share * SPREAD / 2) for axis in np.split(plane, 2, axis=1)]
    return Space(np.concatenate(parts, axis=1), known)


def shapes(
    points: np.ndarray, known: np.ndarray, parts: Sequence[str], alignment: str
) -> np.ndarray:
    """Returns the coordinates of aligned points side by side.

    Args:
      points: float32 [N, P, D]; those of the mesh are chosen by part.
      known: bool [N], whose points are finite; others' rows are arbitrary.
      parts: names of `MESH_PARTS`.
      alignment: "rotated", "scaled" or "none", as --landmark_alignment.

    Returns:
      Float32 [N, P' D].
    """
    if points.shape[1] == MESH_POINTS:
        points = points[:, [point for part in parts for point in MESH_PARTS[part]]]
    made = np.zeros_like(points)
    made[known] = (
        aligned(points[known], alignment == "rotated") if alignment != "none" else (points[known])
    )
    return made.reshape(len(made), -1)


def aligned(points: np.ndarray, rotate: bool = True) -> np.ndarray:
    """Moves shapes to the origin, scales them to size 1 and turns them to their mean.

    Generalized Procrustes analysis (Gower, 1975): turns to the mean, and takes the mean anew, until
    it settles. A shape is not mirrored.

    Args:
      points: [M, P, D], finite, M >= 1.
      rotate: False: shapes are not turned.

    Returns:
      [M, P, D], each with mean 0 and sum of squares 1; 0 where all points of a shape coincide.
    """
    made = points - points.mean(axis=1, keepdims=True)
    size = np.linalg.norm(made, axis=(1, 2), keepdims=True)
    made = np.divide(made, size, out=np.zeros_like(made), where=size > 0)
    mean = made[int((size[:, 0, 0] > 0).argmax())]
    for _ in range(_ROUNDS if rotate else 0):
        left, _, right = np.linalg.svd(np.einsum("npd,pe->nde", made, mean))
        left[:, :, -1] *= np.linalg.det(left @ right)[:, np.newaxis]  # 1, or -1: a mirror image
        made = made @ (left @ right)
        before, mean = mean, made.mean(axis=0)
        mean = mean / np.linalg.norm(mean)
        if np.abs(mean - before).max() < _SETTLED:
            break
    return made


def _has_vectors(file: Path) -> bool:
    try:
        with np.load(file) as kept:
            return "vectors" in kept.files
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return False  # what is wrong, `landmarks_of` says


def _vectors_of(file: Path, paths: Sequence[str]) -> np.ndarray:
    """Looks up vectors of pictures, float32 [M, D], in a user's file."""
    path, vectors = arrays_of(file, "path", "vectors")
    if path.dtype.kind != "U" or vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise InputError(
            f"{file}: path is {path.dtype} {list(path.shape)} and vectors {vectors.dtype} "
            f"{list(vectors.shape)}; write texts [N] and numbers [N, D]."
        )
    if path.shape != vectors.shape[:1] or not vectors.size:
        raise InputError(
            f"{file}: {path.size:,} paths and vectors of shape {list(vectors.shape)}. Write as "
            "many vectors as paths, one at least."
        )
    return vectors[look_up(file, path.tolist(), paths)].astype(np.float32)


def _scaled(places: np.ndarray, known: np.ndarray, spread: float) -> np.ndarray:
    """Moves the mean of the known rows to 0, and scales their mean squared distance; others are 0.

    Args:
      places: [N, D].
      known: [N].
      spread: mean squared distance of two different rows.
    """
    rows = places[known]
    center = rows.mean(axis=0, dtype=np.float64)
    variance = rows.var(axis=0, dtype=np.float64, ddof=1).sum()
    made = (places - center) * np.sqrt(spread / (2.0 * variance)) if variance else places * 0.0
    made[~known] = 0.0
    return made.astype(np.float32)
