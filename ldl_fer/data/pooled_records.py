"""A data set seen through a frozen backbone: its pooled maps in place of its pictures."""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.columns import Columns
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.data.paths import places
from ldl_fer.data.pictures import named_when_unreadable, picture_bytes, stored_pixels
from ldl_fer.errors import InputError
from ldl_fer.files import allocate, state_of, whole_file, write_whole
from ldl_fer.networks.encoded_pictures import JPEG_TRANSFORM
from ldl_fer.networks.head import frozen_part

VIEWS = 2  # the picture, and the mirrored one
_ROWS = 1024  # read at a time
_LARGEST = np.finfo(np.float16).max


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
        """Returns the maps of [M] ids or of a slice, float16 [M, 2, P], as they are kept."""
        places = self._places[sample_ids]
        made = np.empty([len(places), VIEWS, self.size], np.float16)
        for index in np.unique(places[:, 0]):
            chosen = places[:, 0] == index
            made[chosen] = _rows(self._parts[index], places[chosen, 1])
        return made

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance over all samples and both views, float64 [P] each."""
        sums, squares = np.zeros(self.size), np.zeros(self.size)
        for start in range(0, len(self), _ROWS):
            rows = self[start : start + _ROWS].astype(np.float64)
            sums += rows.sum(axis=(0, 1))
            squares += (rows**2).sum(axis=(0, 1))
        mean = sums / (VIEWS * len(self))
        return mean, squares / (VIEWS * len(self)) - mean**2


def _rows(part: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Reads rows [M] of a part, from its file if it has one.

    Pages of a map, once read, would count as this process' memory: all of the file, in the end.
    """
    if not isinstance(part, np.memmap) or part.filename is None:
        return part[rows]
    made = np.empty([len(rows), *part.shape[1:]], part.dtype)
    size = part[:1].nbytes
    with open(part.filename, "rb", buffering=0) as file:
        for place, row in enumerate(rows.tolist()):
            file.seek(part.offset + row * size)
            if file.readinto(made[place]) != size:
                raise InputError(f"{part.filename} ends early. Remove its folder, and start anew.")
    return made


class PooledRecords:
    """Samples with pooled maps in place of pictures, looked up by sample_id as in `Records`.

    Attributes:
      pooled: N samples' maps, the mirrored picture's second.
      image_size: of the pictures that were pooled, pixels.
      num_neighbors: K.
      class_names: C names.
    """

    def __init__(
        self,
        annotations: Annotations,
        pooled: PooledMaps,
        image_size: int,
        num_neighbors: int,
        space: np.ndarray | None = None,
    ) -> None:
        """Finds the neighbors of the annotated samples.

        Args:
          annotations: N rows.
          pooled: their maps.
          image_size: pixels.
          num_neighbors: K.
          space: [N, D], of `auxiliary_space`; None: the valence-arousal plane.

        Raises:
          InputError: if there are not more than K of them.
        """
        self._annotations = annotations
        self.pooled = pooled
        self.image_size = image_size
        self.num_neighbors = num_neighbors
        self.class_names = annotations.class_names
        neighbors = neighbors_of(annotations, num_neighbors, space)
        places = annotations.valence_arousal if space is None else space
        self._columns = Columns(annotations.labels, neighbors, places)

    def __len__(self) -> int:
        return len(self._annotations)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """C numbers of samples, adding up to N."""
        counts = np.bincount(self._annotations.labels, minlength=len(self.class_names))
        return tuple(counts.tolist())

    def pictures(self, image_dir: str) -> set[str]:
        """Returns the places of all samples' pictures, whose paths start from a folder."""
        return places(image_dir, self._annotations.paths)

    def annotations(self) -> Annotations:
        """Returns the table of all samples."""
        return self._annotations

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Reads samples inside a graph; maps by one Python call a batch.

        Args:
          sample_ids: [M] integers in [0, N).
          names: those of `Columns`, and `image`: the pooled maps, float32 [M, 2, P].
        """
        found = self._columns(sample_ids, [name for name in names if name != "image"])
        return {name: found[name] if name in found else self._maps(sample_ids) for name in names}

    def _maps(self, sample_ids):
        found = tf.numpy_function(self.pooled.__getitem__, [sample_ids], tf.float16, stateful=False)
        found = tf.ensure_shape(found, [*sample_ids.shape, VIEWS, self.pooled.size])
        return tf.cast(found, tf.float32)  # by TensorFlow: NumPy's conversion is slow


def pool_pictures(
    paths: list[Path], network: tf.keras.Model, folder: str | Path, progress: bool = True
) -> PooledMaps:
    """Returns pooled maps of all pictures and their mirror images; computes those not yet kept.

    Args:
      paths: N files; the same may occur several times.
      network: of `build_network`, with a frozen backbone.
      folder: where the maps are kept.
      progress: whether to show a bar while computing.

    Raises:
      InputError: a picture cannot be read.
    """
    size = network.input_shape[1]
    folder = Path(folder) / f"pooled-{_identity(network.get_layer('backbone'), size)}"
    real = functools.cache(os.path.realpath)
    keys = [_key(path, real(path.parent)) for path in paths]
    known = _known(folder)
    missing = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}
    if missing:
        _add_part(folder, missing, size, _both_views(network), progress)
        known = _known(folder)
    names = sorted({known[key][0] for key in keys})
    parts = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]
    number = {name: index for index, name in enumerate(names)}
    places = np.array([(number[known[key][0]], known[key][1]) for key in keys], np.int64)
    return PooledMaps(parts, places)


def _known(folder: Path) -> dict[str, tuple[str, int]]:
    """Returns, by key of a picture, the name of its part and its row there."""
    found = {}
    for index in sorted(folder.glob("*.json")):
        for row, key in enumerate(json.loads(index.read_text())):
            found[key] = (index.stem, row)
    return found


@functools.lru_cache(1)
def _both_views(network):
    """Compiles a network's frozen part, once for all of its sets.

    Returns:
      The function uint8 [B, H, W, 3] -> float16 [B, 2, P].
    """
    backbone = frozen_part(network)

    def views(images):
        images = tf.cast(images, tf.float32)  # two calls: one of both views together is slower
        pooled = tf.stack([backbone(images), backbone(tf.reverse(images, [2]))], axis=1)
        return tf.cast(tf.clip_by_value(pooled, -_LARGEST, _LARGEST), tf.float16)

    images = tf.TensorSpec([None, *network.input_shape[1:]], tf.uint8)
    return tf.function(views).get_concrete_function(images)


def _add_part(folder, missing, size, run, progress):
    keys, paths = list(missing), list(missing.values())
    name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    with whole_file(folder / f"{name}.npy") as partial:
        _pool(paths, size, run, partial, progress)
    write_whole(folder / f"{name}.json", json.dumps(keys))


def batch_size() -> int:
    """Returns how many pictures pass the backbone at a time: on a CPU, few stay in its caches."""
    return 64 if tf.config.list_physical_devices("GPU") else 16


def _pool(paths, size, run, file, progress):
    shape = (len(paths), *run.output_shapes[1:])
    made = np.lib.format.open_memmap(file, "w+", np.float16, shape)
    with open(file, "r+b") as opened:
        allocate(opened.fileno())
    batch = batch_size()
    starts = range(0, len(paths), batch)
    bar = tqdm(
        starts, f"pooled maps of {len(paths):,} pictures", unit="batch", disable=not progress
    )
    with ThreadPoolExecutor(1) as reader:  # of the next batch, while this one is computed

        def read(start):
            chosen = paths[start : start + batch]
            return reader.submit(lambda: [_picture(path, size) for path in chosen])

        pictures = read(0)
        for start in bar:
            images, pictures = np.stack(pictures.result()), read(start + batch)
            made[start : start + batch] = run(tf.constant(images))
    made.flush()


def _picture(path, size):
    """Reads uint8 [size, size, 3], as a record would hold it."""
    with named_when_unreadable(path, "Replace it or drop its row"):
        return stored_pixels(picture_bytes(path), size)


def _identity(backbone: tf.keras.Model, size: int) -> str:
    digest = hashlib.sha256(f"{size} {JPEG_TRANSFORM}".encode())
    for value in backbone.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _key(path: Path, folder: str) -> str:
    """Returns a file's place, length and time of change; `folder` is its own, links resolved."""
    try:
        size, changed = state_of(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Correct the path in the CSV or the image "
            "folder's flag."
        ) from error
    return f"{os.path.join(folder, path.name)}|{size}|{changed}"
