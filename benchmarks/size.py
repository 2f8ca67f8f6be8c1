"""Measures a made-up AffectNet from CSV to training: seconds and memory of each stage, steps."""

import functools
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks.made_up_set import AFFECTNET_COUNTS, made_up_table, make_up_set
from benchmarks.memory import peak_memory
from benchmarks.timing import GIGABYTES, Row, compare, row
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS

ROWS = sum(AFFECTNET_COUNTS)
RAF_DB_ROWS = 12271
_MOST_GIGABYTES = 4.0
_TARGET = 1.05


class Stage(NamedTuple):
    """The cost of one stage.

    Attributes:
      name: of the stage.
      seconds: its time.
      peak: the largest resident memory of its process since that began, bytes.
    """

    name: str
    seconds: float
    peak: int


def size(
    folder: Path,
    turns: int = 12,
    steps: int = 20,
    *,
    rows: int = ROWS,
    small_rows: int = RAF_DB_ROWS,
    config: Config = PRESETS["small"],
    progress: bool = True,
) -> list[Row]:
    """Takes a made-up AffectNet from CSV to training: below 4 GB, steps as fast as on few rows.

    Memory is the most that a process of its own had resident up to the end of the stage, TensorFlow
    itself and the few rows' model and records included.

    Args:
      folder: where the pictures go; records are made anew and deleted.
      turns: how often training on all rows and on few have their turn.
      steps: in a turn.
      rows: N.
      small_rows: the first so many of them are the few.
      config: of the training; the bank is used whatever it says.
      progress: whether to show progress bars.
    """
    pixels = config.data.image_size
    made_up = folder / f"made_up_{rows}_at_{pixels}"
    csv, images = make_up_set(made_up, rows, pixels, progress=progress)
    # A new process, not a fork of this one, whose memory it would begin with.
    with (
        tempfile.TemporaryDirectory(dir=folder) as records_dir,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        paths = str(csv), str(images), records_dir
        run = functools.partial(_run_stages, *paths, small_rows, config.to_json())
        stages, times = pool.submit(run, turns, steps, progress).result()
    all_rows, few_rows = times
    targets = {(all_rows, few_rows): _TARGET}
    return _memory("size", stages) + compare("size", times, few_rows, targets, "step")


def size_frozen(
    folder: Path,
    turns: int = 1,
    steps: int = 1000,
    *,
    rows: int = ROWS,
    maps: int = 4608,
    config: Config = PRESETS["frozen"],
    progress: bool = True,
) -> list[Row]:
    """Trains a head on an AffectNet of pooled maps that a file holds: below 4 GB.

    The file is a hole: it is read as zeros, and takes no place on the disk.

    Args:
      folder: where the file goes; it is deleted.
      turns: how often `steps` are taken.
      steps: of training, in a turn.
      rows: N.
      maps: P, numbers of a view.
      config: of the training.
      progress: whether to show progress bars.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder) as own,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        run = functools.partial(_run_frozen, own, rows, maps, config.to_json())
        return _memory("size_frozen", pool.submit(run, turns * steps, progress).result())


def _memory(section: str, stages: list[Stage]) -> list[Row]:
    return [
        row(section, s.name, s.seconds, s.peak / 1e9, GIGABYTES, _MOST_GIGABYTES, "stage")
        for s in stages
    ]


class _Stages(list[Stage]):
    """Stages of this process, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.perf_counter()

    def done(self, name: str) -> None:
        """Ends a stage."""
        self.append(Stage(name, time.perf_counter() - self._start, peak_memory()))
        self._start = time.perf_counter()


def _run_frozen(
    folder: str, rows: int, maps: int, settings: str, steps: int, progress: bool
) -> list[Stage]:
    """Runs the stages of `size_frozen`, in the process that is measured."""
    import tensorflow as tf

    from benchmarks.steps import HEAD_UNITS, head_model
    from ldl_fer.data.annotations import Annotations
    from ldl_fer.data.pipeline import training_dataset
    from ldl_fer.data.pooled_records import VIEWS, PooledMaps, PooledRecords

    config = Config.from_json(settings)
    table, stages = made_up_table(rows), _Stages()
    file = Path(folder) / "maps.npy"
    np.lib.format.open_memmap(file, "w+", np.float16, (rows, VIEWS, maps))
    places = np.stack([np.zeros(rows, np.int64), np.arange(rows)], axis=1)
    pooled = PooledMaps([np.load(file, mmap_mode="r")], places)
    annotations = Annotations(table, config.data.class_names)
    records = PooledRecords(annotations, pooled, config.data.image_size, config.data.num_neighbors)
    stages.done(f"neighbors of {rows:,} rows, K {config.data.num_neighbors}")
    pooled.moments  # noqa: B018 - read once, before the first step
    stages.done("moments of the maps")
    step = tf.function(head_model(config, rows, maps, HEAD_UNITS).train_step)
    batches = training_dataset(records, config, neighbors=config.data.num_neighbors)
    for batch in tqdm(batches.take(steps), "size_frozen", steps, disable=not progress):
        step(batch)
    stages.done(f"{steps:,} steps of batch {config.optimizer.batch_size}")
    return stages


def _run_stages(
    csv: str,
    images: str,
    records_dir: str,
    small_rows: int,
    settings: str,
    turns: int,
    steps: int,
    progress: bool,
) -> tuple[list[Stage], dict[str, np.ndarray]]:
    """Runs all stages, in the process that is measured."""
    from benchmarks.steps import training_variant
    from benchmarks.timing import take_turns
    from ldl_fer.data.annotations import Annotations, read_annotations
    from ldl_fer.data.neighbors import add_neighbors
    from ldl_fer.data.records import Records, prepare_records

    config = Config.from_json(settings).replace(neighbors="bank")
    names, wanted = config.data.class_names, config.data.num_neighbors
    stages = _Stages()

    def shards(annotations: Annotations) -> Records:
        return prepare_records(
            csv,
            images,
            records_dir,
            image_size=config.data.image_size,
            num_neighbors=wanted,
            class_names=names,
            annotations=annotations,
            progress=progress,
        )

    annotations = read_annotations(csv, images, names, wanted + 1, progress)
    count = len(annotations)
    stages.done(f"{count:,} rows read and checked")
    neighbors = add_neighbors(annotations, wanted, progress)
    stages.done(f"neighbors, K {wanted}")
    whole = shards(neighbors)
    stages.done("shards written")
    del neighbors
    few = shards(Annotations(annotations.table.iloc[:small_rows], names))
    del annotations
    stages.done(f"{len(few):,} rows prepared beside")
    variants = {
        f"step on {count:,} rows": training_variant(whole, config, steps),
        f"step on {len(few):,} rows, the few": training_variant(few, config, steps),
    }
    times = take_turns(variants, turns, "size: training", progress)
    stages.done(f"{(turns + 1) * steps:,} steps trained on each")
    return stages, times
