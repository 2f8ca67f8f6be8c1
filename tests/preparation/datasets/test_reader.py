"""What all readers share: missing pictures, options, splits and class names."""

from helpers.data_set_copies import complaint, raf_db

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.source_files import csv_chunks


def test_missing_pictures_are_counted_and_left_out_by_skip_missing(tmp_path):
    root = raf_db(tmp_path)
    for number in (2, 3):
        (root / f"Image/aligned/train_0000{number}_aligned.jpg").unlink()
    text = complaint("raf_db", root)
    assert "2 of 8 pictures that are listed are not there" in text
    assert "\n  Image/aligned/train_00002_aligned.jpg\n" in text and "--skip_missing" in text
    data_set = READERS["raf_db"].read(root, skip_missing=True)
    assert data_set.counts("train") == (1, 1, 1, 1, 0, 0, 1)  # Fear and Disgust are not there
    ((where, rows),) = data_set.left_out.items()
    assert rows == 2 and where[0] == "train" and "train_00002_aligned.jpg" in where[1]


def test_options_of_other_readers_and_unknown_splits_are_refused(tmp_path):
    root = raf_db(tmp_path)
    assert "raf_db does not use --rule" in complaint("raf_db", root, rule="majority")
    assert "the splits are train, test" in complaint("raf_db", root, splits=["val"])
    assert "names a class twice" in complaint("raf_db", root, class_names=("Sad", "sadness"))


def test_a_list_that_a_spreadsheet_saved_with_semicolons_is_read(tmp_path):
    (tmp_path / "list.csv").write_text("name;label;x\na, b.jpg;3;\nc.jpg;4;\n")
    (part,) = csv_chunks(tmp_path / "list.csv", ["label", "name"])
    assert part.to_numpy().tolist() == [["3", "a, b.jpg"], ["4", "c.jpg"]]
