"""Pooled maps of pictures under a frozen backbone, computed once and kept.

A face is two vectors, those of its picture and of the mirrored picture. They depend on the
picture and the backbone alone, so that data sets that share pictures share them, whatever their
labels and order. A folder per backbone holds them in parts, one for each time that some were
missing: NAME.npy with the numbers, NAME.json with the pictures they are of.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.images import stored_image
from ldl_fer.networks.head import frozen_part
from ldl_fer.pictures import named_when_unreadable
from ldl_fer.pixels import picture_bytes

VIEWS = 2  # the picture, and the mirrored one
_BATCH = 64
_ROWS = 1024  # read at a time


class PooledMaps:
    """Rows of memory-mapped parts, looked up by sample_id.

    Attributes:
      size: P, numbers a view.
    """

    def __init__(self, parts: list[np.ndarray], places: np.ndarray) -> None:
        """Takes parts [M, 2, P] each, and (part, row) of each sample, [N, 2]."""
        self._parts = parts
        self._places = places
        self.size = parts[0].shape[-1]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, sample_ids: np.ndarray | slice) -> np.ndarray:
        """[M] ids or a slice -> [M, 2, P] float32."""
        places = self._places[sample_ids]
        made = np.empty([len(places), VIEWS, self.size], np.float32)
        for index in np.unique(places[:, 0]):
            chosen = places[:, 0] == index
            made[chosen] = self._parts[index][places[chosen, 1]]
        return made

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance over all samples and both views, [P] each."""
        sums, squares = np.zeros(self.size), np.zeros(self.size)
        for start in range(0, len(self), _ROWS):
            rows = self[start : start + _ROWS].astype(np.float64)
            sums += rows.sum(axis=(0, 1))
            squares += (rows**2).sum(axis=(0, 1))
        mean = sums / (VIEWS * len(self))
        return mean, squares / (VIEWS * len(self)) - mean**2


def pool_pictures(
    paths: list[Path], network: tf.keras.Model, folder: str | Path, progress: bool = True
) -> PooledMaps:
    """Pooled maps of all pictures and of their mirror images; computes those not yet known.

    Args:
      paths: N files; the same may occur several times.
      network: of `build_network`, with a frozen backbone.
      folder: where numbers are kept.
      progress: whether to show a bar while computing.

    Raises:
      InputError: a picture cannot be read.
    """
    size, backbone = network.input_shape[1], frozen_part(network)
    folder = Path(folder) / f"pooled-{_identity(backbone, size)}"
    keys = [_key(path) for path in paths]
    known = _known(folder)
    missing = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
    if missing:
        _add_part(folder, missing, size, backbone, progress)
        known = _known(folder)
    names = sorted({known[key][0] for key in keys})
    parts = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
    number = {name: index for index, name in enumerate(names)}
    places = np.array([(number[known[key][0]], known[key][1]) for key in keys], np.int64)
    return PooledMaps(parts, places)


def _known(folder: Path) -> dict[str, tuple[str, int]]:
    """Key of a picture -> name of its part and its row there."""
    found = {}
    for index in sorted(folder.glob("*.json")):
        for row, key in enumerate(json.loads(index.read_text())):
            found[key] = (index.stem, row)
    return found


def _add_part(folder, missing, size, backbone, progress):
    keys, paths = list(missing), list(missing.values())
    name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".partial-{os.getpid()}-{name}.npy"
    try:
        _pool(paths, size, backbone, partial, progress)
        os.replace(partial, folder / f"{name}.npy")
    finally:
        partial.unlink(missing_ok=True)
    write_whole(folder / f"{name}.json", json.dumps(keys))


def _pool(paths, size, backbone, file, progress):
    shape = (len(paths), VIEWS, backbone.output_shape[-1])
    made = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    run = tf.function(
        lambda images: tf.stack([backbone(images), backbone(tf.reverse(images, [2]))], axis=1),
        input_signature=[tf.TensorSpec([None, size, size, 3])],
    )
    starts = range(0, len(paths), _BATCH)
    bar = tqdm(
        starts, f"pooled maps of {len(paths):,} pictures", unit="batch", disable=not progress
    )
    for start in bar:
        images = np.stack([_picture(path, size) for path in paths[start : start + _BATCH]])
        made[start : start + _BATCH] = run(tf.constant(images, tf.float32))
    made.flush()


def _picture(path, size):
    """[size, size, 3], uint8, as a record would hold it."""
    with named_when_unreadable(path, "Replace it or drop its row"):
        content, _ = stored_image(picture_bytes(path), size)
    return tf.io.decode_image(content, channels=3, expand_animations=False).numpy()


def _identity(backbone: tf.keras.Model, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    for value in backbone.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _key(path: Path) -> str:
    """A file by its place, length and time of change."""
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Correct the path in the CSV or the image "
            "folder's flag."
        ) from error
    return f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
