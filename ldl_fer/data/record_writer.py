"""Writes a folder of records: pictures and a table in, one complete folder out, or nothing.

The folder (its layout: `ldl_fer.data.manifest`) is written under a name that ends in
`.partial-<process id>` and renamed at the end. Only a killed process leaves such a folder behind;
nothing ever reads it, and it may be deleted.
"""

import contextlib
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer import __version__
from ldl_fer.config.processors import processors
from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.manifest import (
    ANNOTATIONS,
    AUXILIARY,
    MANIFEST,
    PIXELS,
    SCHEMA_VERSION,
    Manifest,
    check_free,
    read_manifest,
)
from ldl_fer.data.neighbors import with_neighbors
from ldl_fer.data.pictures import JPEG_QUALITY, SKIPPING, picture_bytes, stored_image
from ldl_fer.data.shards import ShardWriter, encode_example
from ldl_fer.errors import InputError
from ldl_fer.files import made_folder, told_when_full, without_home, write_checksums
from ldl_fer.networks.encoded_pictures import decode_picture

_MOST_PIXELS = 2**31  # bytes: decoded pictures of larger sets are not stored
_PICTURES_PER_WORKER = 16  # in memory at a time
_SHOWN_PROBLEMS = 20
_Loaded = tuple[bytes, bool, np.ndarray | None]  # encoded, as it was or not; its pixels


def write_records(
    annotations: Annotations,
    image_dir: str | Path,
    output_dir: str | Path,
    *,
    image_size: int | None,
    neighbors: np.ndarray,
    auxiliary: np.ndarray | None = None,
    space: dict[str, Any] | None = None,
    shard_bytes: int = 150_000_000,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Manifest:
    """Writes all samples in row order; sample_id = row number.

    Pictures are stored as `pictures.stored_image` describes: byte by byte where they already are as
    wanted, otherwise resized to the square (the aspect ratio is not kept) and re-encoded. Of a set
    that is not too large, they are stored decoded, too: training reads these.

    Args:
      annotations: N >= 1 rows.
      image_dir: where their paths start.
      output_dir: the folder to make; parents are made too.
      image_size: height and width of the stored pictures, pixels; None or 0 keeps each its own.
      neighbors: [N, K] sample_ids, nearest first; K may be 0.
      auxiliary: float32 [N, D], places in the auxiliary space; None: the valence-arousal plane.
      space: of `auxiliary.space_identity`, of a space that is not that plane.
      shard_bytes: largest size of a .tfrecord (a larger record gets one of its own).
      workers: threads that read, decode and encode pictures; None: one per processor.
      overwrite: replace an `output_dir` that holds records.
      progress: show a bar with rate and time left.

    Returns:
      The manifest, as `read_manifest(output_dir)` returns it.

    Raises:
      InputError: for no rows, pictures that cannot be read (all of them, with their rows), an
        `image_dir` that is not there, or an `output_dir` that is taken. Nothing is left behind.
      ValueError: for neighbors of another shape, outside [0, N), repeated or the row itself.
    """
    image_dir, output_dir = Path(image_dir), Path(output_dir)
    neighbors = _checked_neighbors(neighbors, len(annotations))
    if not image_dir.is_dir():
        raise InputError(
            f"{image_dir}: no such folder of images. Name the one that the paths start from."
        )
    workers = workers or processors()
    with _whole_folder(output_dir, overwrite) as partial:
        size, total = image_size or 0, len(annotations)
        decoded = 0 < total * size**2 * 3 <= _MOST_PIXELS
        with (
            ThreadPoolExecutor(workers) as pool,
            ShardWriter(partial, shard_bytes) as shards,
            _pixel_writer(partial / PIXELS, (total, size, size, 3), decoded) as add_pixels,
        ):
            images = _in_order(
                pool,
                lambda path: _load(image_dir / path, image_size or None, decoded),
                annotations.paths,
                workers * _PICTURES_PER_WORKER,
            )
            label = f"Writing {output_dir.name}"
            with tqdm(images, label, total, unit=" images", disable=not progress) as bar:
                samples = annotations, neighbors, bar
                copied = _write_samples(*samples, shards, add_pixels, image_dir)
        names = annotations.class_names
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            count=len(annotations),
            num_neighbors=neighbors.shape[1],
            image_size=image_size or None,
            class_names=tuple(names),
            class_counts=tuple(np.bincount(annotations.labels, minlength=len(names)).tolist()),
            has_votes=annotations.votes is not None,
            images_copied=copied,
            annotations_sha256=annotations.fingerprint(),
            shards=shards.named_by_total(),
            settings={
                "image_dir": without_home(str(image_dir.resolve())),
                "shard_bytes": shard_bytes,
                "jpeg_quality": JPEG_QUALITY,
            }
            | ({} if auxiliary is None else {"auxiliary": space}),
            created_by=f"ldl_fer {__version__}",
        )
        with_neighbors(annotations, neighbors).write(partial / ANNOTATIONS)
        if auxiliary is not None:
            np.save(partial / AUXILIARY, auxiliary)
        (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        write_checksums(partial)
        read_manifest(partial, hashed=True)
    return manifest


def _checked_neighbors(neighbors: np.ndarray, count: int) -> np.ndarray:
    neighbors = np.asarray(neighbors)
    if not count:
        raise InputError("there are no rows, so nothing to write. Check the annotation CSV.")
    if neighbors.ndim != 2 or len(neighbors) != count:
        raise ValueError(f"neighbors have shape {neighbors.shape}, not ({count}, K)")
    if neighbors.size and not 0 <= neighbors.min() <= neighbors.max() < count:
        raise ValueError(f"neighbors are not all in [0, {count})")
    with_own = np.sort(np.column_stack([np.arange(count), neighbors]), axis=1)
    if (with_own[:, 1:] == with_own[:, :-1]).any():
        raise ValueError("neighbors name a row itself, or a row twice")
    return neighbors


def _load(path: Path, image_size: int | None, decoded: bool) -> _Loaded | Exception:
    try:
        content, is_copy = stored_image(picture_bytes(path), image_size)
        return content, is_copy, decode_picture(content).numpy() if decoded else None
    except OSError as error:
        return ValueError(error.strerror or str(error))
    except ValueError as error:
        return error


@contextlib.contextmanager
def _pixel_writer(
    path: Path, shape: tuple[int, ...], wanted: bool
) -> Iterator[Callable[[Any], Any]]:
    """Yields the function that adds the next picture's pixels to a .npy file, or nothing."""
    if not wanted:
        yield lambda pixels: None
        return
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file.write


def _in_order(
    pool: Executor, function: Callable[[Any], Any], items: Iterable[Any], window: int
) -> Iterator[Any]:
    """Maps in parallel, in order, with at most `window` results waiting."""
    pending = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) == window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _write_samples(
    annotations: Annotations,
    neighbors: np.ndarray,
    images: Iterable[_Loaded | Exception],
    shards: ShardWriter,
    add_pixels: Callable[[Any], Any],
    image_dir: Path,
) -> int:
    """Appends a record, and pixels, per row. Returns how many pictures were copied byte by byte."""
    labels, points, votes = annotations.labels, annotations.valence_arousal, annotations.votes
    if votes is None:
        votes = np.zeros([len(annotations), len(annotations.class_names)], np.float32)
    paths, rows, copied, problems = annotations.paths, annotations.source_rows, 0, []
    for sample_id, image in enumerate(images):
        if isinstance(image, Exception):
            problems.append(f"row {rows[sample_id]}: {paths[sample_id]}: {image}")
            continue
        if problems:
            continue
        content, is_copy, pixels = image
        copied += is_copy
        add_pixels(pixels)
        near = neighbors[sample_id]
        shards.append(
            encode_example(
                {
                    "image": content,
                    "label": labels[sample_id],
                    "valence_arousal": points[sample_id],
                    "sample_id": sample_id,
                    "neighbors": near,
                    "neighbor_labels": labels[near],
                    "neighbor_valence_arousal": points[near],
                    "votes": votes[sample_id],
                }
            )
        )
    if problems:
        shown, more = problems[:_SHOWN_PROBLEMS], len(problems) - _SHOWN_PROBLEMS
        lines = [*shown, f"and {more} more"] if more > 0 else shown
        raise InputError(
            f"{image_dir}: {len(problems)} of {len(annotations)} pictures cannot be read:\n  "
            + "\n  ".join(lines)
            + "\nCheck the image folder, replace these files or leave their rows out. Nothing was "
            f"written. {SKIPPING}"
        )
    return copied


@contextlib.contextmanager
def _whole_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yields an empty folder that takes the place of `folder` if the block succeeds.

    Else it is removed. A killed process leaves NAME-*.partial-<pid> behind, and nothing else.

    Args:
      folder: to make; parents are made too.
      overwrite: replace a folder of records.

    Raises:
      InputError: the place is taken, or the folder cannot be made.
    """
    folder = folder.resolve()
    check_free(folder, overwrite)
    made_folder(folder.parent)
    partial = folder.with_name(f"{folder.name}-{uuid.uuid4().hex[:8]}.partial-{os.getpid()}")
    try:
        with told_when_full(folder):
            partial.mkdir()
            yield partial
            _move_into_place(partial, folder, overwrite)
    except BaseException:  # ^C too
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _move_into_place(partial: Path, folder: Path, overwrite: bool) -> None:
    former = partial.with_name(f"{partial.name}-former")
    if overwrite and folder.exists():
        folder.rename(former)
    try:
        partial.rename(folder)
    except BaseException as error:
        if former.exists():
            former.rename(folder)
        if isinstance(error, OSError):
            raise InputError(f"{folder}: cannot be made ({error.strerror}).") from error
        raise
    shutil.rmtree(former, ignore_errors=True)
