"""The sets of a run as shards: what is trained on, what chooses the epoch, what is tested on."""

from ldl_fer.annotations import read_annotations, split_annotations
from ldl_fer.config import DataConfig
from ldl_fer.errors import InputError
from ldl_fer.prepared_records import prepare_records
from ldl_fer.records import Records


def training_records(data: DataConfig, seed: int) -> tuple[Records, Records]:
    """The training set and the set to choose the epoch on, as shards; makes them from CSV files.

    Args:
      data: paths, image size, K.
      seed: of the split, where the validation set is a part of the training CSV.

    Raises:
      InputError: a path is missing, or data cannot be used.
    """
    if not data.train_data_path:
        raise InputError(
            "no training data: give --train_data_path=annotations.csv --train_image_dir=images, "
            "or --train_data_path=FOLDER of shards. `make demo` needs no data."
        )
    if data.val_data_path:
        paths = data.train_data_path, data.train_image_dir
        training = open_records(data, *paths, data.num_neighbors)
        validation = open_records(data, data.val_data_path, data.val_image_dir, 0)
        return training, validation
    if data.select_on_test:
        raise InputError("--select_on_test needs the test set as --val_data_path.")
    if not data.train_data_path.endswith(".csv"):
        raise InputError(
            f"{data.train_data_path} is a folder of shards, from which no validation set can be "
            "split (neighbors are stored in it). Give --val_data_path, or the CSV itself."
        )
    annotations = read_annotations(
        data.train_data_path, data.train_image_dir, data.class_names, data.num_neighbors + 1
    )
    parts = split_annotations(annotations, data.validation_fraction, seed)
    return tuple(
        prepare_records(
            data.train_data_path,
            data.train_image_dir,
            data.records_dir,
            image_size=data.image_size,
            num_neighbors=neighbors,
            class_names=data.class_names,
            annotations=part,
        )
        for part, neighbors in zip(parts, (data.num_neighbors, 0), strict=True)
    )


def open_records(data: DataConfig, path: str, image_dir: str, neighbors: int) -> Records:
    """Shards, or a CSV made into shards under `records_dir`, checked against the settings.

    Args:
      data: image size, class names, where shards are kept.
      path: CSV file or folder of shards.
      image_dir: folder that the CSV's paths start from.
      neighbors: how many each sample must have at least; 0 for sets that are only evaluated.

    Raises:
      InputError: unreadable data, or shards of another image size, K or classes.
    """
    if path.endswith(".csv"):
        return prepare_records(
            path,
            image_dir,
            data.records_dir,
            image_size=data.image_size,
            num_neighbors=neighbors,
            class_names=data.class_names,
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
            f"{neighbors}. Write it again by python -m ldl_fer.records with the latter."
        )
    return records
