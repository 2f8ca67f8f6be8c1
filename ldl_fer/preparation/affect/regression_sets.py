"""The sets that a regressor learns from and is measured on: rows with valence and arousal.

TensorFlow is not loaded here: mistakes in the arguments are named first.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.holdout import split_annotations
from ldl_fer.data.paths import is_csv
from ldl_fer.errors import InputError
from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations

if TYPE_CHECKING:
    from ldl_fer.data.sets import AnyRecords, Opener


def check_sources(data: DataConfig) -> None:
    """Raises InputError where there is no training set, or shards of which no part can be taken."""
    if not data.train_data_path:
        raise InputError(
            "no training data: give --train_data_path=annotations.csv --train_image_dir=images."
        )
    if not data.val_data_path and Path(data.train_data_path).is_dir():
        raise InputError(
            f"{data.train_data_path} is a folder of shards, from which no validation set can be "
            "split. Give --val_data_path, or the CSV itself."
        )


def training_and_validation(
    data: DataConfig, seed: int, opened: "Opener", progress: bool
) -> "tuple[AnyRecords, AnyRecords]":
    """Opens the training set and the set to choose the epoch on: rows with valence and arousal.

    Args:
      data: where they are.
      seed: of the split, where the second is a part of the first.
      opened: of `data.sets.opener`.
      progress: print how many rows are left out.

    Raises:
      InputError: as `check_sources` and `opened_set`.
    """
    check_sources(data)
    training = data.train_data_path, data.train_image_dir
    if data.val_data_path:
        validation = data.val_data_path, data.val_image_dir
        return (
            opened_set(opened, data, *training, progress),
            opened_set(opened, data, *validation, progress),
        )
    whole = _with_values(*training, data.class_names, progress)
    first, second = split_annotations(whole, data.validation_fraction, seed)
    return opened(data, *training, 0, first), opened(data, *training, 0, second)


def opened_set(
    opened: "Opener", data: DataConfig, path: str, image_dir: str, progress: bool = True
) -> "AnyRecords":
    """Opens a set; of a CSV the rows that have values.

    Raises:
      InputError: as `read_partial_annotations` and `open_records`; fewer than two rows have values.
    """
    if not is_csv(path):
        return opened(data, path, image_dir, 0)
    return opened(
        data, path, image_dir, 0, _with_values(path, image_dir, data.class_names, progress)
    )


def _with_values(
    path: str, image_dir: str, class_names: tuple[str, ...], progress: bool
) -> Annotations:
    partial = read_partial_annotations(path, class_names, image_dir)
    complete = partial.complete()
    if len(complete) < 2:
        raise InputError(
            f"{path}: {len(complete)} rows have valence and arousal; a regressor learns from rows "
            "that have them."
        )
    if progress and len(complete) < len(partial):
        print(f"{path}: {len(partial) - len(complete):,} rows without values are left out.")
    return complete
