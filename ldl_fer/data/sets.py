"""The sets of a run: opens them as shards or pooled maps, and leaves out bad pictures."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotation_checks import PATH, AnnotationError, image_problems
from ldl_fer.data.annotations import SOURCE_ROW, Annotations, read_annotations
from ldl_fer.data.auxiliary import auxiliary_space, check_auxiliary, kind_of, reads_plane
from ldl_fer.data.holdout import split_annotations
from ldl_fer.data.paths import check_sources, is_csv
from ldl_fer.data.pooled_records import PooledRecords, pool_pictures
from ldl_fer.data.records import Records, prepare_records
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole

MOST_SKIPPED = 0.5  # share of the pictures; beyond it the folder is wrong, not the pictures
_SHOWN = 3
AnyRecords = Records | PooledRecords
Opener = Callable[..., AnyRecords]  # see `opener`
Source = tuple[str, str, int, Annotations | None]  # see `training_sources`


def training_records(
    data: DataConfig, seed: int, open_set: Opener | None = None
) -> tuple[AnyRecords, AnyRecords]:
    """Opens the training set and the set to choose the epoch on; makes shards from CSV files.

    Args:
      data: paths, image size, K.
      seed: of the split, where the validation set is a part of the training CSV.
      open_set: of `opener`; None: `open_records`.

    Raises:
      InputError: a path is missing, or data cannot be used.
    """
    first, second = training_sources(data, seed)
    open_set = open_set or open_records
    return open_set(data, *first), open_set(data, *second)


def training_sources(data: DataConfig, seed: int) -> tuple[Source, Source]:
    """Returns where the training set and the set to choose the epoch on are; opens neither.

    Args:
      data, seed: as `training_records` takes them.

    Returns:
      For each: path, image folder, K, and the annotations if they are a part of what the path has.

    Raises:
      InputError: a path is missing, or no part can be held out.
    """
    check_sources(data)
    if data.num_neighbors and is_csv(data.train_data_path):
        check_auxiliary(data, data.train_data_path)
    if data.val_data_path:
        return (
            (data.train_data_path, data.train_image_dir, data.num_neighbors, None),
            (data.val_data_path, data.val_image_dir, 0, None),
        )
    annotations = read_annotations(
        data.train_data_path,
        data.train_image_dir,
        data.class_names,
        data.num_neighbors + 1,
        decode=False,  # who writes records or maps decodes them, and names those that are bad
        plane=data.num_neighbors > 0 and reads_plane(data),
    )
    first, second = split_annotations(annotations, data.validation_fraction, seed)
    paths = data.train_data_path, data.train_image_dir
    return (*paths, data.num_neighbors, first), (*paths, 0, second)


def opener(network: tf.keras.Model, frozen: bool) -> Opener:
    """Returns the function that opens a network's sets: `open_pooled` for a frozen one."""
    return functools.partial(open_pooled, network) if frozen else open_records


def open_records(
    data: DataConfig,
    path: str,
    image_dir: str,
    neighbors: int,
    annotations: Annotations | None = None,
) -> Records:
    """Opens shards, or a CSV made into shards under `records_dir`; checks them by the settings.

    Args:
      data: image size, class names, where shards are kept.
      path: CSV file or folder of shards.
      image_dir: folder that the CSV's paths start from.
      neighbors: how many each sample must have at least; 0 for sets that are only evaluated.
      annotations: take these instead of what the CSV holds, for a part of it.

    Raises:
      InputError: unreadable data, or shards of another image size, K or classes.
    """
    if is_csv(path):
        annotations = _usable(data, path, image_dir, neighbors, annotations)
        return prepare_records(
            path,
            image_dir,
            data.records_dir,
            image_size=data.image_size,
            num_neighbors=neighbors,
            class_names=data.class_names,
            annotations=annotations,
            data=data,
        )
    records = Records(path)
    for name, have, want in (
        ("image size", records.image_size, data.image_size),
        ("classes", tuple(records.class_names), tuple(data.class_names)),
    ):
        if have != want:
            raise InputError(f"{path} has {name} {have}, the settings say {want}.")
    if records.num_neighbors < neighbors:
        raise InputError(
            f"{path} holds {records.num_neighbors} neighbors a sample, --num_neighbors is "
            f"{neighbors}. Write it again by ldl-fer records with the latter."
        )
    space = records.manifest.space.get("auxiliary", "valence_arousal")
    if neighbors and space != kind_of(data):
        raise InputError(
            f"{path} has the auxiliary space {space}, the settings say {data.auxiliary}. Write it "
            "again by ldl-fer records with the latter."
        )
    return records


def open_pooled(
    network: tf.keras.Model,
    data: DataConfig,
    path: str,
    image_dir: str,
    neighbors: int,
    annotations: Annotations | None = None,
) -> PooledRecords:
    """Opens the pooled maps of a CSV's pictures under the frozen backbone of a network.

    Args:
      network: of `build_network`.
      data, path, image_dir, neighbors, annotations: as those of `open_records`.

    Raises:
      InputError: unreadable data, or a folder of shards.
    """
    if not is_csv(path):
        raise InputError(f"{path} is no CSV: --frozen reads pictures, not shards. Give the CSV.")
    annotations = _usable(data, path, image_dir, neighbors, annotations)
    paths = [Path(image_dir) / name for name in annotations.paths]
    try:
        pooled = pool_pictures(paths, network, data.records_dir)
    except InputError as error:  # it names one picture
        rows = annotations.source_rows
        found = image_problems(annotations.paths, Path(image_dir), progress=True)
        if not found:
            raise
        problems = [(row if row is None else int(rows[row]), text) for row, text in found]
        raise AnnotationError(path, problems) from error
    space = auxiliary_space(annotations, data, path) if neighbors else None
    return PooledRecords(annotations, pooled, data.image_size, neighbors, space)


def _usable(data, path, image_dir, neighbors, annotations):
    """Returns the annotations given or in a CSV, without bad pictures if these are skipped."""
    plane = neighbors > 0 and reads_plane(data)
    if annotations is None:
        annotations = read_annotations(
            path, image_dir, data.class_names, neighbors + 1, plane=plane, decode=False
        ).whole()
    if data.on_bad_image == "fail":
        return annotations
    return without_bad_images(annotations, path, image_dir, data.records_dir)


def without_bad_images(
    annotations: Annotations,
    csv_path: str | Path,
    image_dir: str | Path,
    report_dir: str | Path,
    progress: bool = True,
) -> Annotations:
    """Returns the rows whose pictures can be read, renumbered from 0, without neighbors.

    Their former numbers are in the column `source_row`.

    Which rows of the CSV are left out, and why, is written to
    REPORT_DIR/skipped-<CSV>-<hash>.csv and found there the next time, without looking at the
    pictures again. A report is made anew where it is damaged or does not fit the rows, or where a
    picture has changed since.

    Args:
      annotations: all rows.
      csv_path: where they come from; gives the report its name.
      image_dir: where their paths start.
      report_dir: where reports are kept.
      progress: whether to print what was left out, and show a bar.

    Returns:
      `annotations` itself where every picture can be read.

    Raises:
      InputError: most pictures cannot be read.
    """
    name = f"skipped-{Path(csv_path).stem}-{annotations.identity(image_dir)}.csv"
    report = Path(report_dir) / name
    rows = annotations.source_rows
    skipped = _reported(report, annotations.table[PATH].set_axis(rows))
    if skipped is None:
        found = image_problems(annotations.paths, Path(image_dir), progress)
        paths, bad = annotations.paths, []
        for place, problem in found:
            if place is None:  # of all pictures
                raise InputError(f"{csv_path}: {problem}")
            bad.append((rows[place], paths[place], problem))
        skipped = pd.DataFrame(bad, columns=["row", PATH, "problem"])
        if len(bad) > MOST_SKIPPED * len(annotations):
            raise InputError(
                f"{csv_path}: {len(found):,} of {len(annotations):,} pictures cannot be read, too "
                f"many to skip, as: {found[0][1]}. Check the image folder {image_dir}."
            )
        write_whole(report, skipped.to_csv(index=False))
    if skipped.empty:
        return annotations
    if progress:
        shown = ", ".join(skipped[PATH][:_SHOWN]) + (" ..." if len(skipped) > _SHOWN else "")
        print(
            f"{csv_path}: {len(skipped):,} of {len(annotations):,} pictures cannot be read and are "
            f"left out: {shown}\n  Report: {report}; delete it to have them looked at again."
        )
    kept = ~np.isin(rows, skipped["row"])
    table = annotations.table.assign(**{SOURCE_ROW: rows})
    return Annotations(table, annotations.class_names).subset(np.flatnonzero(kept))


def _reported(report: Path, paths: pd.Series) -> pd.DataFrame | None:
    """Reads the report of an earlier run; None where there is none, or one that does not fit.

    Args:
      report: the file.
      paths: of the pictures, by row number in the CSV.
    """
    try:
        skipped = pd.read_csv(report, dtype={"row": np.int64}, keep_default_na=False)
        fits = skipped[PATH].tolist() == paths.loc[skipped["row"]].tolist()
    except (OSError, ValueError, KeyError):
        return None
    return skipped if fits else None
