"""A data set seen through a frozen backbone: its pooled maps, computed once and kept.

A face is two vectors, those of its picture and of the mirrored picture. They depend on the
pictures and the backbone alone, so that data sets that differ in labels share them.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.annotations import Annotations
from ldl_fer.backbones import frozen_part
from ldl_fer.errors import InputError
from ldl_fer.images import stored_image
from ldl_fer.prepared_records import neighbors_of

VIEWS = 2  # the picture, and the mirrored one
_BATCH = 64


class PooledRecords:
    """What `records.Records` is for pictures: any sample is one look-up away, by sample_id.

    Attributes:
      pooled: [N, 2, P] float32, memory-mapped; mirrored pictures second.
      image_size: of the pictures that were pooled, pixels.
      num_neighbors: K.
      class_names: C names.
    """

    def __init__(
        self, annotations: Annotations, pooled: np.ndarray, image_size: int, num_neighbors: int
    ):
        """Finds the neighbors of the annotated samples.

        Raises:
          InputError: if there are not more than K of them.
        """
        self._annotations = annotations
        self.pooled = pooled
        self.image_size = image_size
        self.num_neighbors = num_neighbors
        self.class_names = annotations.class_names
        neighbors = neighbors_of(annotations, num_neighbors)
        labels, points = annotations.labels, annotations.valence_arousal
        self._columns = {
            "sample_id": np.arange(len(annotations), dtype=np.int32),
            "label": labels,
            "valence_arousal": points,
            "neighbors": neighbors,
            "neighbor_labels": labels[neighbors],
            "neighbor_valence_arousal": points[neighbors],
            "image": pooled,
        }

    def __len__(self) -> int:
        return len(self._annotations)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """C numbers of samples, adding up to N."""
        counts = np.bincount(self._annotations.labels, minlength=len(self.class_names))
        return tuple(counts.tolist())

    def annotations(self) -> Annotations:
        """The table of all samples."""
        return self._annotations

    def examples(self, sample_ids: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
        """Columns of some samples, [M] ids; `image` is their pooled maps, [M, 2, P]."""
        columns = [self._columns[name] for name in names]
        values = tf.numpy_function(
            lambda ids: [column[ids] for column in columns],
            [sample_ids],
            [column.dtype for column in columns],
            stateful=False,
        )
        for value, column in zip(values, columns, strict=True):
            value.set_shape([*sample_ids.shape, *column.shape[1:]])
        return dict(zip(names, values, strict=True))


def pool_pictures(
    annotations: Annotations,
    image_dir: str | Path,
    network: tf.keras.Model,
    folder: str | Path,
    progress: bool = True,
) -> np.ndarray:
    """Pooled maps of all pictures and of their mirror images; those of an earlier call if it can.

    Args:
      annotations: paths of the pictures.
      image_dir: where the paths start.
      network: of `backbones.build_network`, with a frozen backbone.
      folder: where the numbers are kept, in a file for each set of pictures and backbone.
      progress: whether to show a bar.

    Returns:
      [N, 2, P] float32, memory-mapped read-only.

    Raises:
      InputError: a picture cannot be read.
    """
    size = network.input_shape[1]
    backbone = frozen_part(network)
    paths = [Path(image_dir) / path for path in annotations.paths]
    file = Path(folder) / f"pooled-{_identity(paths, size, backbone)}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".partial-{os.getpid()}-{file.name}")
        try:
            _pool(paths, size, backbone, partial, progress)
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    return np.load(file, mmap_mode="r")


def _pool(paths, size, backbone, file, progress):
    shape = (len(paths), VIEWS, backbone.output_shape[-1])
    made = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    run = tf.function(
        lambda images: tf.stack([backbone(images), backbone(tf.reverse(images, [2]))], axis=1)
    )
    starts = range(0, len(paths), _BATCH)
    pictures = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])

    def read(path):
        picture = tf.numpy_function(lambda p: _picture(p.decode(), size), [path], tf.string)
        image = tf.io.decode_image(picture, channels=3, expand_animations=False)
        return tf.ensure_shape(image, [size, size, 3])

    batches = pictures.map(read, os.cpu_count()).batch(_BATCH).prefetch(2)
    bar = tqdm(zip(starts, batches, strict=True), "pooled maps", len(starts), disable=not progress)
    for start, images in bar:
        made[start : start + _BATCH] = run(tf.cast(images, tf.float32))
    made.flush()


def _picture(path, size):
    try:
        return stored_image(Path(path).read_bytes(), size)[0]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _identity(paths, size, backbone) -> str:
    """Hash of what the numbers depend on: files by name, length and time of change; weights."""
    files = [(str(path.resolve()), *_state(path)) for path in paths]
    digest = hashlib.sha256(json.dumps([size, files]).encode())
    for value in backbone.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _state(path):
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Correct the path in the CSV or the image "
            "folder's flag."
        ) from error
    return state.st_size, state.st_mtime_ns
