"""Records of a CSV, made when first asked for and found again ever after."""

import hashlib
import json
from pathlib import Path

import numpy as np

from ldl_fer.annotations import Annotations, read_annotations
from ldl_fer.errors import InputError
from ldl_fer.manifest import MANIFEST, SCHEMA_VERSION
from ldl_fer.neighbors import add_neighbors
from ldl_fer.record_writer import write_records
from ldl_fer.records import Records


def neighbors_of(annotations: Annotations, num_neighbors: int) -> np.ndarray:
    """The first K neighbors of the table's knn column if it has so many, else computed ones.

    Returns:
      [N, K] sample_ids, int32, nearest first.

    Raises:
      InputError: if there are not more than K rows.
    """
    if not num_neighbors:
        return np.zeros([len(annotations), 0], np.int32)
    given = annotations.neighbors
    if given is not None and given.shape[1] >= num_neighbors:
        return given[:, :num_neighbors]
    return add_neighbors(annotations, num_neighbors).neighbors  # type: ignore[return-value]  # no longer None


def prepare_records(
    csv_path: str | Path,
    image_dir: str | Path,
    records_dir: str | Path,
    *,
    image_size: int | None,
    num_neighbors: int,
    class_names: tuple[str, ...],
    annotations: Annotations | None = None,
    progress: bool = True,
) -> Records:
    """Records of a CSV: those of an earlier call with the same content and settings, or new ones.

    The folder's name is the CSV's with a hash of the annotations, the image folder's path, the
    settings and the schema version. Pictures replaced under the same name are not noticed.

    Args:
      csv_path: annotations; read unless `annotations` are given, and then only a name.
      image_dir: where their paths start.
      records_dir: where such folders are kept.
      image_size: height and width of the stored pictures, pixels; None or 0 keeps each its own.
      num_neighbors: K.
      class_names: C names in the order of `expression`.
      annotations: take these instead of what `csv_path` holds, for a part of it.
      progress: show a bar while writing.

    Raises:
      InputError: as `read_annotations`, `neighbors_of`, `write_records` and `Records` do.
    """
    if annotations is None:
        rows = num_neighbors + 1
        plane = num_neighbors > 0
        annotations = read_annotations(csv_path, None, class_names, rows, progress, plane=plane)
    identity = [
        annotations.fingerprint(),
        str(Path(image_dir).resolve()),
        image_size or None,
        num_neighbors,
        SCHEMA_VERSION,
    ]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    folder = Path(records_dir) / f"{Path(csv_path).stem}-{digest}"
    if not (folder / MANIFEST).is_file():
        try:
            write_records(
                annotations,
                image_dir,
                folder,
                image_size=image_size,
                neighbors=neighbors_of(annotations, num_neighbors),
                progress=progress,
            )
        except InputError:  # or another run has made the same records meanwhile
            if not (folder / MANIFEST).is_file():
                raise
    return Records(folder)
