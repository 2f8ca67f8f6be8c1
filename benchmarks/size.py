"""Measures a made-up AffectNet from CSV to training: seconds and memory of each stage, steps."""

import functools
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.made_up_set import AFFECTNET_COUNTS, make_up_set
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
    memory = [
        row("size", s.name, s.seconds, s.peak / 1e9, GIGABYTES, _MOST_GIGABYTES, "stage")
        for s in stages
    ]
    all_rows, few_rows = times
    targets = {(all_rows, few_rows): _TARGET}
    return memory + compare("size", times, few_rows, targets, "step")


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
    stages, start = [], time.perf_counter()

    def done(name: str) -> None:
        nonlocal start
        stages.append(Stage(name, time.perf_counter() - start, peak_memory()))
        start = time.perf_counter()

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
    done(f"{count:,} rows read and checked")
    neighbors = add_neighbors(annotations, wanted, progress)
    done(f"neighbors, K {wanted}")
    whole = shards(neighbors)
    done("shards written")
    del neighbors
    few = shards(Annotations(annotations.table.iloc[:small_rows], names))
    del annotations
    done(f"{len(few):,} rows prepared beside")
    variants = {
        f"step on {count:,} rows": training_variant(whole, config, steps),
        f"step on {len(few):,} rows, the few": training_variant(few, config, steps),
    }
    times = take_turns(variants, turns, "size: training", progress)
    done(f"{(turns + 1) * steps:,} steps trained on each")
    return stages, times
