"""Exports the best network of a run, in one format or several."""

import dataclasses
import functools
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer import files
from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.paths import is_csv
from ldl_fer.data.pictures import pictures_in, read_pictures
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError
from ldl_fer.evaluation.temperature import TEMPERATURE_FILE, is_stale, read_temperature
from ldl_fer.inference.export import COUNT, check_request, load_format
from ldl_fer.inference.export.formats import (
    Comparison,
    Format,
    Trained,
    warnings,
    write_export,
)
from ldl_fer.inference.export.model_card import model_card
from ldl_fer.training.run import Run, load_network

_SEED = 0  # of the representative pictures


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export that was written, and how it compares with the network; or why it was not kept.

    Attributes:
      kind: its format.
      folder: where it is.
      checks: comparisons by kind of images.
      failure: why it was not kept; empty if it was.
    """

    kind: Format
    folder: Path
    checks: Mapping[str, Comparison] = dataclasses.field(default_factory=dict)
    failure: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files but labels.txt, info.json, SHA256SUMS and the card."""
        skipped = {"labels.txt", "info.json", self.kind.card, files.CHECKSUMS}
        kept = (path for path in self.folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in kept if path.name not in skipped)

    @property
    def warnings(self) -> list[str]:
        """Sentences on an export that is worse than it should be."""
        return warnings(self.checks, self.kind.tolerance)


class Exports(list[Exported]):
    """Exports in the order that they were asked for."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per export: folder, size, the comparison that came out worst; or its failure."""
        return pd.DataFrame([_row(made) for made in self])


def _row(made: Exported) -> dict[str, Any]:
    row = {"format": made.kind.name, "folder": str(made.folder), "failure": made.failure}
    if made.failure:
        return row
    worst = max(made.checks.values(), key=lambda comparison: comparison.largest)
    return row | {
        "megabytes": made.size / 1e6,
        "images": sum(comparison.images for comparison in made.checks.values()),
        "largest_difference": worst.largest,
        "same_class": min(comparison.agreement for comparison in made.checks.values()),
    }


def export_run(run_dir: str | os.PathLike, output_dir: str | Path | None = None) -> Path:
    """Exports the best network of a run as a SavedModel.

    Args:
      run_dir: the run folder.
      output_dir: where to; None: saved_model in the run folder.

    Returns:
      The folder written.

    Raises:
      InputError: there is no such run, or the folder is in the way.
      RuntimeError: what was written does not answer as the network does; it is not kept.
    """
    folder = Path(output_dir or Run(run_dir).saved_model)
    (made,) = export_formats(run_dir, {"saved_model": folder})
    if made.failure:
        raise RuntimeError(made.failure)
    return made.folder


def export_formats(
    run_dir: str | os.PathLike,
    formats: Mapping[str, str | os.PathLike] | Sequence[str] | str = ("saved_model",),
    representative: str | os.PathLike | None = None,
    count: int = COUNT,
    data_license: str = "",
    trust_model: bool = False,
) -> Exports:
    """Exports the best network of a run in several formats.

    Args:
      run_dir: the run folder, or the `Run` that `train` returned.
      formats: names in `export.FORMATS`, each with its folder; or names alone, for folders of
        these names in the run folder.
      representative: folder of pictures to compare on and to calibrate by; None: the run's training
        set, or where that is not at hand, random images only.
      count: of those pictures, at most.
      data_license: of the training data, for the card.
      trust_model: see `training.run.load_network`.

    Returns:
      The exports in the order of `formats`, with the failure of those that were not kept; `table`
      has them as a table.

    Raises:
      InputError: an unknown format, no such run, a folder in the way, a missing package, or too
        few pictures to calibrate by.
    """
    if isinstance(formats, str):
        formats = [formats]
    if not isinstance(formats, Mapping):
        formats = {name: Path(run_dir) / name for name in formats}
    check_request(run_dir, formats)
    run = Run(run_dir)
    network, config = load_network(run_dir, trust_model=trust_model)
    try:
        pictures, source = representative_pictures(config.data, representative, count)
    except InputError as error:
        if representative:
            raise
        pictures, source = None, ""
        print(f"note: exports are compared on random images only: {error}", file=sys.stderr)
    for name in formats:
        load_format(name).check_pictures(pictures)
    info: dict[str, Any] = {"backbone": config.network.backbone, "best": run.epoch("best")}
    temperature = temperature_of(run)
    if temperature is not None:
        info["temperature"] = temperature
    names, size = config.data.class_names, config.data.image_size
    trained = Trained(network, names, size, info, pictures, config)
    made = Exports()
    for name, folder in formats.items():
        print(f"Writing and checking {name} of {run.folder} ...", flush=True)
        card = functools.partial(
            model_card,
            run_dir,
            pictures=source,
            data_license=data_license,
            folder=Path(folder).name,
            temperature=temperature,
        )
        kind, folder = load_format(name), Path(folder)
        try:
            made.append(Exported(kind, folder, write_export(kind, trained, folder, card)))
        except RuntimeError as error:
            made.append(Exported(kind, folder, failure=str(error)))
    return made


def representative_pictures(
    data: DataConfig,
    folder: str | os.PathLike | None = None,
    count: int = COUNT,
    progress: bool = True,
) -> tuple[np.ndarray, str]:
    """Draws pictures at random, always the same, in the network's size.

    Exports are compared on them, and the 8-bit one is calibrated by them.

    Args:
      data: of the run; its training set is taken where no folder is given.
      folder: of pictures, instead.
      count: of pictures, at most.
      progress: whether to show a bar.

    Returns:
      uint8 [M, S, S, 3], RGB, 1 <= M <= count, each another, and a phrase that says where they
      are from.

    Raises:
      InputError: there are none, or one of them cannot be read; for a run that was trained
        elsewhere, its training set may not be at hand.
    """
    text = "representative pictures" if progress else ""
    if folder:
        paths = pictures_in(os.fspath(folder))
        chosen = [paths[row] for row in _drawn(len(paths), count)]
        pictures = _different(read_pictures(chosen, data.image_size, text))
        return pictures, f"{len(pictures)} of {len(paths)} pictures of a folder given for it"
    name = data.train_data_path
    if not name or not Path(name).exists():
        raise InputError(f"the run's training set {name or '(none named)'} is not there.")
    if is_csv(name):
        folder = data.train_image_dir
        names = read_annotations(
            name, folder, data.class_names, 1, knn=False, plane=False, decode=False
        ).paths
        chosen = [Path(folder) / names[row] for row in _drawn(len(names), count)]
        pictures, total = _different(read_pictures(chosen, data.image_size, text)), len(names)
    else:
        records = Records(name)
        ids, total = _drawn(len(records), count), len(records)
        found = records.examples(ids.astype(np.int32), ["image"])["image"]
        pictures = _different(found.numpy())
    return pictures, f"{len(pictures)} of the {total} pictures named by the training file"


def temperature_of(run: Run) -> float | None:
    """Reads the run's temperature; None if it was fitted for another epoch than the best one."""
    file = run.folder / TEMPERATURE_FILE
    value = read_temperature(file)
    if value is None or not is_stale(run.folder):
        return value
    print(
        f"note: {file} was fitted for another epoch and is left out. Fit it again by "
        f"ldl-fer temperature {shlex.quote(f'--run_dir={run.folder}')}",
        file=sys.stderr,
    )
    return None


def _different(pictures: np.ndarray) -> np.ndarray:
    """Returns pictures [M, S, S, 3] without those that are equal to an earlier one."""
    rows = {picture.tobytes(): row for row, picture in reversed([*enumerate(pictures)])}
    return pictures[sorted(rows.values())]


def _drawn(total: int, count: int) -> np.ndarray:
    """Draws min(total, count) numbers below `total`, ascending."""
    drawn = np.random.default_rng(_SEED).permutation(total)[:count]
    return np.sort(drawn)
