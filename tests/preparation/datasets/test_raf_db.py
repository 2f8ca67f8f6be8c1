"""RAF-DB on a made-up copy: label order, pictures, wrong lines."""

import pytest
from helpers.data_set_copies import class_folders, complaint, names_of, picture, raf_db

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
    assert not data_set.has_valence_arousal("train") and table["valence"].isna().all()
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


@pytest.mark.parametrize("home", ["", "DATASET/"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbered_class_folders_are_read(tmp_path, home, first):
    names = [f"{home}train/{n + first}/train_{n:05d}_aligned.jpg" for n in range(7)]
    class_folders(tmp_path, *names, f"{home}test/{3 + first}/test_0001_aligned.jpg")
    data_set = READERS["raf_db"].read(tmp_path)
    expected = ["Surprise", "Fear", "Disgust", "Happy", "Sad", "Anger", "Neutral"]
    assert names_of(data_set, "train") == expected and names_of(data_set, "test") == ["Happy"]
    assert data_set.splits["train"].paths == names
    assert data_set.splits["test"].table["original_label"].tolist() == [3 + first]


@pytest.mark.parametrize(
    "form",
    ["{n}.jpg\t{x}", "{n}.jpg,{x}", "{n}.jpg;  {x}", "{n}_aligned.jpg {x}", '"{n}.jpg",{x}'],
)
@pytest.mark.parametrize("name", ["patition", "partition"])
def test_lists_of_other_forms_are_read(tmp_path, form, name):
    file = raf_db(tmp_path) / "EmoLabel/list_patition_label.txt"
    pairs = [line.replace(".jpg", "").split() for line in file.read_text().splitlines()]
    file.unlink()
    file = file.with_name(f"list_{name}_label.txt")
    lines = [form.format(n=n, x=x) for n, x in pairs]
    file.write_text("\n".join(["image,label", *lines] if "," in form else lines))
    data_set = READERS["raf_db"].read(tmp_path)
    assert names_of(data_set, "train")[0] == "Surprise"
    assert data_set.splits["train"].paths[0] == "Image/aligned/train_00001_aligned.jpg"
    file.write_text("\n".join(form.format(n=n, x=int(x) - 1) for n, x in pairs))
    counted_from_0 = READERS["raf_db"].read(tmp_path)
    assert names_of(counted_from_0, "train") == names_of(data_set, "train")


def test_other_lists_are_named(tmp_path):
    text = complaint("raf_db", raf_db(tmp_path, labels=(1, 8, 11)))
    assert "it is that of RAF-DB's compound expressions (1 to 11)" in text
    class_folders(tmp_path / "c", "train/1/a.jpg", "train/11/b.jpg")
    assert "compound expressions" in complaint("raf_db", tmp_path / "c")
    class_folders(tmp_path / "n", "train/0/a.jpg", "train/7/b.jpg")
    assert "0 is no class folder of RAF-DB" in complaint("raf_db", tmp_path / "n")
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("a,b\n" * 30)
    assert "none of 30 lines is such as" in complaint("raf_db", tmp_path)
