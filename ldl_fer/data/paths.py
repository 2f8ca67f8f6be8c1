"""Data sets and files that a command names, looked for before TensorFlow is loaded."""

import posixpath
from collections.abc import Iterable
from pathlib import Path

from ldl_fer.config.checks import check_frozen
from ldl_fer.config.settings import DataConfig, NetworkConfig
from ldl_fer.data.annotations import read_text
from ldl_fer.data.manifest import manifest_file
from ldl_fer.errors import InputError


def is_csv(path: str | Path) -> bool:
    """Returns whether a data set's path is that of an annotation CSV: any file is one.

    So is a path where nothing is but whose name says so; a folder never is.
    """
    path = Path(path)
    return path.is_file() or (path.suffix.lower() == ".csv" and not path.is_dir())


def places(image_dir: str | Path, paths: Iterable[str]) -> set[str]:
    """Returns where pictures lie, the same for every way to one folder; looks at no picture."""
    folder = Path(image_dir).resolve().as_posix()
    return {posixpath.normpath(f"{folder}/{path}") for path in paths}


def check_images(path: str, image_dir: str) -> None:
    """Looks for the folder of the pictures of an annotation CSV; shards need none.

    Raises:
      InputError: there is no such folder.
    """
    if path and is_csv(path) and not Path(image_dir).is_dir():
        raise InputError(
            f"the image folder {image_dir} of {path} does not exist. Correct the flag that names "
            "it."
        )


def check_data(*paths: str) -> None:
    """Looks for annotation CSVs and folders of shards; empty paths are left out.

    Raises:
      InputError: a CSV that cannot be read, or no folder of shards.
    """
    for path in filter(None, paths):
        if is_csv(path):
            read_text(path)
        else:
            manifest_file(path)


def check_files(*paths: str | None) -> None:
    """Looks for files of any kind; empty paths are left out.

    Raises:
      InputError: there is no such file.
    """
    for path in filter(None, paths):
        if not Path(path).exists():
            raise InputError(f"{path} does not exist.")


def check_pictures_of(annotations: str, image_dir: str) -> None:
    """Looks for the CSV of --annotations and the folder of its pictures.

    Raises:
      InputError: there is no such CSV or folder.
    """
    if not Path(annotations).is_file():
        raise InputError(f"{annotations} does not exist. Correct --annotations.")
    if not Path(image_dir).is_dir():
        raise InputError(f"{image_dir} is no folder. Correct --image_dir.")


def check_pretrained(network: NetworkConfig) -> None:
    """Looks for the files of --pretrained.

    Raises:
      InputError: there is no such file, or not one for each backbone, or none for --frozen.
    """
    check_frozen(network)
    for path in network.pretrained_files:
        if "," in path and not Path(path).exists():
            raise InputError(
                f"{path} does not exist. If these are several files, name the backbone of each, as "
                "--backbone=mobilefacenet,faceres."
            )
        check_files(path)


def check_sources(data: DataConfig) -> None:
    """Looks for the training set and the set to choose the epoch on.

    Raises:
      InputError: as `check_data` and `check_images`; there is no training set, or no part of it can
        be held out.
    """
    if not data.train_data_path:
        raise InputError(
            "no training data: give --train_data_path=annotations.csv --train_image_dir=images, "
            "or --train_data_path=FOLDER of shards. `make demo` needs no data."
        )
    if not data.val_data_path:
        if data.select_on_test:
            raise InputError("--select_on_test needs the test set as --val_data_path.")
        if Path(data.train_data_path).is_dir():
            raise InputError(
                f"{data.train_data_path} is a folder of shards, from which no validation set can "
                "be split (neighbors are stored in it). Give --val_data_path, or the CSV itself."
            )
    check_data(data.train_data_path, data.val_data_path)
    check_images(data.train_data_path, data.train_image_dir)
    check_images(data.val_data_path, data.val_image_dir)
