"""The sets of a run are opened as the settings say; bad pictures are named, or left out."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.made_up_set import CLASS_NAMES, make_set, some_neighbors

from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import SOURCE_ROW, read_annotations
from ldl_fer.data.holdout import split_annotations
from ldl_fer.data.neighbors import nearest_neighbors
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.sets import open_records, opener, training_records, without_bad_images
from ldl_fer.errors import InputError
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

ROWS, K, PIXELS = 30, 4, 12
DATA = DataConfig(image_size=PIXELS, num_neighbors=K, class_names=CLASS_NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CSV with its pictures, and shards of them."""
    folder = tmp_path_factory.mktemp("splits")
    annotations = make_set(folder, ROWS)
    annotations.write(folder / "all.csv")
    write_records(
        annotations,
        folder / "images",
        folder / "shards",
        image_size=PIXELS,
        neighbors=some_neighbors(ROWS, K),
        progress=False,
    )
    return folder


def test_shards_are_opened_as_they_are(folder):
    records = open_records(DATA, str(folder / "shards"), "", K)
    assert (len(records), records.num_neighbors) == (ROWS, K)


@pytest.mark.parametrize(
    ("changes", "neighbors", "words"),
    [
        ({"image_size": 24}, K, "has image size 12, the settings say 24"),
        ({"class_names": ("Calm", "Glad")}, K, "has classes .*Sad.*, the settings say"),
        ({}, K + 1, "holds 4 neighbors a sample, --num_neighbors is 5. Write it again"),
        (
            {"auxiliary": "landmarks"},
            K,
            "has the auxiliary space valence_arousal, the settings say",
        ),
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
    assert sorted(np.concatenate(rows)) == list(range(ROWS))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no training data: give --train_data_path"),
        ({"train_data_path": "a.csv", "select_on_test": True}, "needs the test set as --val_data"),
        ({"train_data_path": "."}, "from which no validation set can be split"),  # a folder
    ],
)
def test_sets_that_are_not_given_are_asked_for(settings, words):
    with pytest.raises(InputError, match=words):
        training_records(DataConfig(**settings), seed=0)


# --- Pictures that cannot be read ---------------------------------------------------------------

COUNT, SIDE, NEIGHBORS = 40, 16, 3
BAD = {3: b"", 11: b"not a picture", 12: None, 30: "cut"}  # row -> content; None: missing


@pytest.fixture
def data(tmp_path):
    """A data set of which some pictures are bad."""
    draw_faces(tmp_path / "drawn", train=COUNT, test=1, size=SIDE, progress=False)
    csv, images = tmp_path / "drawn/train.csv", tmp_path / "drawn/images"
    for row, content in BAD.items():
        path = images / read_annotations(csv).paths[row]
        if content is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-30] if content == "cut" else content)
    settings = PRESETS["small"].data
    return dataclasses.replace(
        settings,
        train_data_path=str(csv),
        train_image_dir=str(images),
        records_dir=str(tmp_path / "records"),
        image_size=SIDE,
        num_neighbors=NEIGHBORS,
        validation_fraction=0.25,
        on_bad_image="skip",
    )


def opened(data):
    return open_records(data, data.train_data_path, data.train_image_dir, NEIGHBORS)


def test_row_numbers_of_another_whole_are_forgotten(data):
    """A part that was written is a whole to who reads it."""
    csv = Path(data.train_data_path)
    table = pd.read_csv(csv)
    table.assign(source_row=range(100, 100 + len(table))).to_csv(csv, index=False)
    good = dataclasses.replace(data, on_bad_image="fail")
    for row in BAD:
        shutil.copy(
            csv.parent / "images" / table[PATH][0], csv.parent / "images" / table[PATH][row]
        )
    assert SOURCE_ROW not in opened(good).annotations().table


@pytest.fixture
def flattening():
    """A network whose frozen backbone only flattens."""
    images = tf.keras.Input([SIDE, SIDE, 3])
    pixels = tf.keras.layers.Rescaling(1 / 127.5, name="pixels")(images)
    flat = tf.keras.Sequential([tf.keras.layers.Flatten()], name="backbone")
    return tf.keras.Model(images, flat(pixels))


@pytest.mark.parametrize("frozen", [False, True])
def test_bad_pictures_of_both_parts_are_all_named_with_rows_and_cure(data, flattening, frozen):
    """First those of the part to train on; once they are mended, those of the other."""
    annotations = read_annotations(data.train_data_path)
    good = (Path(data.train_image_dir) / annotations.paths[0]).read_bytes()
    data = dataclasses.replace(data, on_bad_image="fail")
    named = []
    for part in split_annotations(annotations, 0.25, 0):
        rows = sorted(set(BAD) & set(part.source_rows.tolist()))
        with pytest.raises(InputError) as error:
            training_records(data, 0, opener(flattening, frozen))
        text = str(error.value)
        assert "--on_bad_image=skip" in text
        assert [int(row) for row in re.findall(r"row (\d+)", text)] == rows
        for row in rows:
            path = annotations.paths[row]
            assert re.search(rf"row {row}: \S*{path}", text)
            (Path(data.train_image_dir) / path).write_bytes(good)
        named += rows
    assert sorted(named) == sorted(BAD)
    assert sum(map(len, training_records(data, 0, opener(flattening, frozen)))) == COUNT


@pytest.mark.parametrize("frozen", [False, True])
def test_a_start_from_what_is_written_decodes_no_picture(data, flattening, frozen, monkeypatch):
    paths, images = read_annotations(data.train_data_path).paths, Path(data.train_image_dir)
    for row in BAD:
        (images / paths[row]).write_bytes((images / paths[0]).read_bytes())
    arguments = dataclasses.replace(data, on_bad_image="fail"), 0, opener(flattening, frozen)
    first = training_records(*arguments)

    def none(*_, **__):
        raise AssertionError("a picture is read")

    for user in ("annotation_checks", "record_writer", "pooled_records"):
        monkeypatch.setattr(f"ldl_fer.data.{user}.picture_bytes", none)
    again = training_records(*arguments)
    assert list(map(len, again)) == list(map(len, first)) == [30, 10]


@pytest.mark.parametrize("frozen", [False, True])
def test_bad_pictures_of_a_set_of_its_own_are_all_named_with_the_cure(data, flattening, frozen):
    paths = read_annotations(data.train_data_path).paths
    data = dataclasses.replace(data, on_bad_image="fail")
    with pytest.raises(InputError) as error:
        opener(flattening, frozen)(data, data.train_data_path, data.train_image_dir, 0)
    assert all(f"row {row}" in str(error.value) for row in BAD)
    assert all(f"{paths[row]}" in str(error.value) for row in BAD)
    assert "--on_bad_image=skip" in str(error.value)


def test_the_rest_is_numbered_anew_with_neighbors_of_its_own(data, capsys):
    whole = read_annotations(data.train_data_path)
    kept = [row for row in range(COUNT) if row not in BAD]
    records = opened(data)
    rest = records.annotations()
    assert rest.paths == [whole.paths[row] for row in kept]
    assert rest.table["source_row"].tolist() == kept
    expected = nearest_neighbors(whole.valence_arousal[kept], NEIGHBORS)
    np.testing.assert_array_equal(rest.neighbors, expected)
    found = records.examples(np.arange(len(kept)), ["sample_id", "label", "neighbors"])
    np.testing.assert_array_equal(found["sample_id"], np.arange(len(kept)))
    np.testing.assert_array_equal(found["label"], whole.labels[kept])
    np.testing.assert_array_equal(found["neighbors"], expected)
    assert f"4 of {COUNT} pictures cannot be read and are left out" in capsys.readouterr().out


def test_the_report_says_which_and_why_and_is_found_again(data, tmp_path, capsys):
    opened(data)
    [report] = (tmp_path / "records").glob("skipped-train-*.csv")
    table = pd.read_csv(report)
    assert table["row"].tolist() == sorted(BAD)
    reasons = ("empty", "cut short", "No such file", "cut short")
    assert all(word in text for word, text in zip(reasons, table["problem"], strict=True))
    first = read_annotations(data.train_data_path).paths[0]
    report.write_text(report.read_text().splitlines()[0] + f"\n0,{first},by hand\n")
    capsys.readouterr()
    with pytest.raises(InputError, match="cannot be read"):  # the bad ones are not skipped now
        opened(data)
    assert str(report) in capsys.readouterr().out


def test_a_picture_that_was_mended_is_taken_back(data, tmp_path):
    opened(data)
    paths, images = read_annotations(data.train_data_path).paths, tmp_path / "drawn/images"
    (images / paths[12]).write_bytes((images / paths[0]).read_bytes())
    assert opened(data).annotations().table["source_row"].tolist() == [
        row for row in range(COUNT) if row not in BAD or row == 12
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"row\n1\n", b"\xff\xfe", b'"', b"row,subDirectory_filePath,problem\n99,a.png,x\n"],
)
def test_a_damaged_report_is_made_anew(data, tmp_path, content):
    whole = opened(data).annotations().paths
    [report] = (tmp_path / "records").glob("skipped-train-*.csv")
    former = report.read_bytes()
    report.write_bytes(content)
    assert opened(data).annotations().paths == whole
    assert report.read_bytes() == former


def test_too_few_pictures_left_for_the_neighbors(data):
    with pytest.raises(InputError, match="36 neighbors asked of 36 rows"):
        open_records(data, data.train_data_path, data.train_image_dir, COUNT - len(BAD))


def test_each_part_leaves_out_its_own_bad_pictures(data):
    training, validation = training_records(data, seed=0)
    rows = [set(part.annotations().table["source_row"]) for part in (training, validation)]
    assert rows[0] | rows[1] == set(range(COUNT)) - set(BAD) and not rows[0] & rows[1]


def test_reports_of_parts_have_the_rows_of_the_csv(data, tmp_path):
    for _ in range(2):  # the second time by the reports
        parts = training_records(data, seed=0)
        assert sum(len(part) for part in parts) == COUNT - len(BAD)
    reports = map(pd.read_csv, (tmp_path / "records").glob("skipped-train-*.csv"))
    found = pd.concat(reports).sort_values("row")
    paths = read_annotations(data.train_data_path).paths
    assert found["row"].tolist() == sorted(BAD)
    assert found["subDirectory_filePath"].tolist() == [paths[row] for row in sorted(BAD)]


def test_unreadable_pictures_of_a_part_have_the_rows_of_the_csv(data, tmp_path):
    _, part = split_annotations(read_annotations(data.train_data_path), 0.25, 0)
    row, path = part.table["source_row"][2], part.paths[2]
    (tmp_path / "drawn/images" / path).write_bytes(b"")
    neighbors = some_neighbors(len(part), NEIGHBORS)
    with pytest.raises(InputError, match=f"row {row}: {path}"):
        write_records(
            part, data.train_image_dir, tmp_path / "shards", image_size=SIDE,
            neighbors=neighbors, progress=False,
        )  # fmt: skip


def test_a_set_of_bad_pictures_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="train.csv: none of its 40 pictures is in"):
        open_records(data, data.train_data_path, str(tmp_path), NEIGHBORS)
    annotations = read_annotations(data.train_data_path)
    for path in annotations.paths[10:]:
        (tmp_path / "drawn/images" / path).write_bytes(b"x")
    with pytest.raises(InputError, match=f"of {COUNT} pictures cannot be read, too many to skip"):
        opened(data)


def test_a_good_set_is_left_as_it_is(data, tmp_path, capsys):
    annotations = read_annotations(data.train_data_path)
    good = annotations.subset([row for row in range(COUNT) if row not in BAD])
    arguments = good, data.train_data_path, data.train_image_dir, tmp_path
    assert without_bad_images(*arguments) is good
    assert without_bad_images(*arguments) is good  # by the report
    assert capsys.readouterr().out == ""
