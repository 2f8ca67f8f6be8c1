"""Measures what comes before the work: a command's start, the pooled maps of a frozen backbone."""

import functools
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.made_up_set import make_up_set
from benchmarks.timing import SECONDS, Row, compare, row, take_turns, timed
from ldl_fer.__main__ import COMMANDS
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.pictures import pictures_in, read_pictures
from ldl_fer.data.pooled_records import batch_size, pool_pictures
from ldl_fer.inference.export import load_format
from ldl_fer.inference.export.formats import Trained, write_export
from ldl_fer.methods import network_of_method
from ldl_fer.networks.head import frozen_part

_HELP, _PREDICT, _POOLED = 1.0, 4.0, 1.3
_FROZEN = PRESETS["frozen"].replace(pretrained="none")


def start_up(
    folder: Path,
    turns: int = 3,
    steps: int = 0,
    *,
    config: Config = PRESETS["small"],
    commands: Sequence[str] = tuple(COMMANDS),
    formats: Sequence[str] = ("onnx", "saved_model"),
    progress: bool = True,
) -> list[Row]:
    """Measures the processor time of --help, and of predict for one photo from an export.

    Args:
      folder: where the export and the photo go.
      turns: how often each variant has its turn.
      steps: is not needed.
      config: of the network, which is not trained.
      commands: whose --help is asked for, of the slowest of which a line is given.
      formats: of the exports; the target is for the first.
      progress: whether to show a progress bar.
    """
    size = config.data.image_size
    photo = pictures_in(make_up_set(folder / f"photo_at_{size}", 1, size, progress=progress)[1])[0]
    trained = Trained(network_of_method(config), config.data.class_names, size, {})
    variants = {name: functools.partial(_processor_time, name, "--help") for name in commands}
    with tempfile.TemporaryDirectory(dir=folder) as exports:
        for name in formats:
            export = Path(exports, name)
            write_export(load_format(name), trained, export)
            words = "predict", str(export), str(photo), "--faces=whole"
            variants[f"predict, {name}"] = functools.partial(_processor_time, *words)
        found = take_turns(variants, turns, "start_up", progress)
    seconds = {name: float(np.median(values)) for name, values in found.items()}
    slowest = max(commands, key=lambda name: seconds[name])
    targets = {slowest: _HELP, f"predict, {formats[0]}": _PREDICT}
    shown = {slowest: f"{slowest} --help, the slowest"}
    return [
        row(
            "start_up",
            shown.get(name, name),
            seconds[name],
            seconds[name],
            SECONDS,
            targets.get(name),
            "stage",
        )
        for name in seconds
        if name == slowest or name not in commands
    ]


def pooled(
    folder: Path,
    turns: int = 3,
    steps: int = 0,
    *,
    config: Config = _FROZEN,
    rows: int = 1024,
    load: bool = False,
    progress: bool = True,
) -> list[Row]:
    """Measures the pooled maps of pictures in files, beside the backbone on pictures in memory.

    Both are compiled in the turn that does not count.

    Args:
      folder: where made-up pictures go.
      turns: how often each variant has its turn.
      steps: is not needed.
      config: of the network.
      rows: pictures.
      load: whether the backbone has the weights of its file.
      progress: whether to show a progress bar.
    """
    size, network = config.data.image_size, network_of_method(config, load)
    _, images = make_up_set(folder / f"pooled_{rows}_at_{size}", rows, size, progress=progress)
    paths, backbone = pictures_in(images), frozen_part(network)
    pictures = read_pictures(paths, size)
    both = tf.function(lambda x: (backbone(x), backbone(tf.reverse(x, [2]))))

    batch = batch_size()

    def bare() -> None:
        for start in range(0, rows, batch):
            both(tf.constant(pictures[start : start + batch], tf.float32))

    def of_files() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as kept:
            pool_pictures(paths, network, kept, progress=False)

    unit, variant = "bare backbone", "pooled maps"
    variants: dict[str, Callable[[], float]] = {
        unit: timed(bare, rows),
        variant: timed(of_files, rows),
    }
    seconds = take_turns(variants, turns, "pooled", progress)
    return compare("pooled", seconds, unit, {(variant, unit): _POOLED}, "image")


def _processor_time(*words: str) -> float:
    """Runs a command; returns the seconds of its processors, which other load disturbs least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "ldl_fer", *words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
