"""Some real pictures of a run: to compare exports on, and to calibrate the 8-bit one by."""

from pathlib import Path

import numpy as np

from ldl_fer.annotations import read_annotations
from ldl_fer.batches import decode
from ldl_fer.errors import InputError
from ldl_fer.export import COUNT
from ldl_fer.pictures import pictures_in, read_pictures
from ldl_fer.records import Records
from ldl_fer.settings import DataConfig

_SEED = 0


def representative_pictures(
    data: DataConfig, folder: str | Path | None = None, count: int = COUNT, progress: bool = True
) -> tuple[np.ndarray, str]:
    """Pictures drawn at random, always the same, in the network's size.

    Args:
      data: of the run; its training set is taken where no folder is given.
      folder: of pictures, instead.
      count: how many at most.
      progress: whether to show a bar.

    Returns:
      uint8 [M, S, S, 3], RGB, 1 <= M <= count, and a phrase that tells what they are.

    Raises:
      InputError: there are none, or one of them cannot be read; for a run that was trained
        elsewhere, its training set may not be at hand.
    """
    text = "representative pictures" if progress else ""
    if folder:
        paths = pictures_in(folder)
        chosen = [paths[row] for row in _drawn(len(paths), count)]
        pictures = read_pictures(chosen, data.image_size, text)
        return pictures, f"{len(chosen)} of {len(paths)} pictures of a folder given for it"
    name = data.train_data_path
    if not name or not Path(name).exists():
        raise InputError(f"the run's training set {name or '(none named)'} is not there.")
    if name.endswith(".csv"):
        names = read_annotations(name, None, data.class_names, 1, knn=False, plane=False).paths
        chosen = [Path(data.train_image_dir) / names[row] for row in _drawn(len(names), count)]
        pictures, total = read_pictures(chosen, data.image_size, text), len(names)
    else:
        records = Records(name)
        ids, total = _drawn(len(records), count), len(records)
        encoded = records.examples(ids.astype(np.int32), ["image"])["image"]
        pictures = decode(encoded, data.image_size).numpy()
    return pictures, f"{len(pictures)} of the {total} pictures named by the training file"


def _drawn(total: int, count: int) -> np.ndarray:
    """min(total, count) numbers below `total`, ascending."""
    drawn = np.random.default_rng(_SEED).permutation(total)[:count]
    return np.sort(drawn)
