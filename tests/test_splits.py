"""Which sets a run opens, and shards that do not fit the settings."""

import numpy as np
import pytest
from made_up_set import CLASS_NAMES, make_set, some_neighbors

from ldl_fer.errors import InputError
from ldl_fer.record_writer import write_records
from ldl_fer.settings import DataConfig
from ldl_fer.splits import open_records, training_records

COUNT, K, SIDE = 30, 4, 12
DATA = DataConfig(image_size=SIDE, num_neighbors=K, class_names=CLASS_NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CSV with its pictures, and shards of them."""
    folder = tmp_path_factory.mktemp("splits")
    annotations = make_set(folder, COUNT)
    annotations.write(folder / "all.csv")
    write_records(
        annotations,
        folder / "images",
        folder / "shards",
        image_size=SIDE,
        neighbors=some_neighbors(COUNT, K),
        progress=False,
    )
    return folder


def test_shards_are_opened_as_they_are(folder):
    records = open_records(DATA, str(folder / "shards"), "", K)
    assert (len(records), records.num_neighbors) == (COUNT, K)


@pytest.mark.parametrize(
    ("changes", "neighbors", "words"),
    [
        ({"image_size": 24}, K, "has image size 12, the settings say 24"),
        ({"class_names": ("Calm", "Glad")}, K, "has classes .*Sad.*, the settings say"),
        ({}, K + 1, "holds 4 neighbors a sample, --num_neighbors is 5. Write it again"),
    ],
)
def test_shards_that_do_not_fit_are_refused(folder, changes, neighbors, words):
    data = DataConfig(**{**vars(DATA), **changes})
    with pytest.raises(InputError, match=words):
        open_records(data, str(folder / "shards"), "", neighbors)


def test_a_part_of_the_csv_chooses_the_epoch(folder):
    data = DataConfig(
        **{
            **vars(DATA),
            "train_data_path": str(folder / "all.csv"),
            "train_image_dir": str(folder / "images"),
            "validation_fraction": 0.2,
            "records_dir": str(folder / "kept"),
        }
    )
    training, validation = training_records(data, seed=0)
    assert (len(training), len(validation)) == (24, 6)  # 30 rows, a fifth held out
    assert (training.num_neighbors, validation.num_neighbors) == (K, 0)
    rows = [records.annotations().table["source_row"] for records in (training, validation)]
    assert sorted(np.concatenate(rows)) == list(range(COUNT))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no training data: give --train_data_path"),
        ({"train_data_path": "a.csv", "select_on_test": True}, "needs the test set as --val_data"),
        ({"train_data_path": "shards"}, "from which no validation set can be split"),
    ],
)
def test_sets_that_are_not_given_are_asked_for(settings, words):
    with pytest.raises(InputError, match=words):
        training_records(DataConfig(**settings), seed=0)
