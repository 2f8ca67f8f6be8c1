"""RAF-DB on a made-up copy: label order, pictures, wrong lines."""

import pytest
from helpers.data_set_copies import complaint, names_of, picture, raf_db

from ldl_fer.preparation.datasets import READERS


@pytest.mark.parametrize("home", ["", "basic"])
def test_counts_from_surprise(tmp_path, home):
    data_set = READERS["raf_db"].read(raf_db(tmp_path, home=home))
    expected = ["Surprise", "Fear", "Disgust", "Happy", "Sad", "Anger", "Neutral"]
    assert names_of(data_set, "train") == expected
    assert names_of(data_set, "test") == ["Happy"]
    table = data_set.splits["train"].table
    assert table["original_label"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    folder = f"{home}/Image/aligned".lstrip("/")
    assert table["subDirectory_filePath"][4] == f"{folder}/train_00005_aligned.jpg"
    assert not data_set.has_valence_arousal and table["valence"].isna().all()
    assert data_set.counts("train") == (1,) * 7


def test_reads_the_original_pictures_and_one_split(tmp_path):
    raf_db(tmp_path)
    picture(tmp_path / "Image/original/test_0001.jpg")
    data_set = READERS["raf_db"].read(tmp_path, splits=["test"], pictures="original")
    assert data_set.splits["test"].paths == ["Image/original/test_0001.jpg"]
    assert list(data_set.splits) == ["test"]


def test_wrong_lines_are_named(tmp_path):
    text = complaint("raf_db", raf_db(tmp_path, labels=(1, 0, 8, "x")))
    assert "list_patition_label.txt: 3 problems" in text
    assert "line 2: label 0 of train_00002.jpg is none of 1 to 7" in text
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("a.jpg 3\n")
    assert "line 1: 'a.jpg 3' is not such as" in complaint("raf_db", tmp_path)
