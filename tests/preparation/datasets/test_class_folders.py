"""Any folder of classes: synonyms, splits, maps, mistakes."""

from helpers.data_set_copies import (
    EIGHT,
    class_folders,
    complaint,
    names_of,
)

from ldl_fer.preparation.datasets import READERS


def test_synonyms_and_splits_are_known(tmp_path):
    class_folders(tmp_path, "Training/Happiness/a.JPG", "Training/angry/deep/b.png")
    class_folders(tmp_path, "validation/SAD/c.bmp", "test/Surprised/d.png")
    (tmp_path / "test/Surprised/notes.txt").write_text("x")
    (tmp_path / "test/Surprised/.DS_Store").write_text("x")
    data_set = READERS["class_folders"].read(tmp_path)
    assert list(data_set.splits) == ["train", "val", "test"]
    assert names_of(data_set, "train") == ["Happy", "Anger"]
    assert names_of(data_set, "val") == ["Sad"] and names_of(data_set, "test") == ["Surprise"]
    assert data_set.splits["train"].paths[1] == "Training/angry/deep/b.png"
    assert data_set.left_out == {("test", "no picture, in test/Surprised"): 1}


def test_other_names_need_a_map(tmp_path):
    class_folders(tmp_path, "1/a.png", "happy/b.png", "contempt/c.png")
    text = complaint("class_folders", tmp_path)
    assert "1, contempt: no such class" in text
    assert "--map=" in text and "--leave_out=" in text and "--class_names" in text
    read = READERS["class_folders"].read
    data_set = read(tmp_path, map=("1=Surprise",), leave_out=("Contempt",))
    assert names_of(data_set, "all") == ["Surprise", "Happy"]
    assert data_set.left_out == {("all", "--leave_out=contempt"): 1}
    assert names_of(read(tmp_path, map=("1=sad",), class_names=EIGHT), "all")[1] == "Contempt"
    own = read(tmp_path, class_names=("1", "Contempt", "Joy"))  # any names; Joy is happy
    assert own.splits["all"].labels.tolist() == [0, 1, 2]
    assert "--map=1 is not FOLDER=Class" in complaint("class_folders", tmp_path, map=("1",))
    assert "no class folder 2" in complaint("class_folders", tmp_path, map=("2=Sad",))


def test_ambiguous_folders_are_refused(tmp_path):
    assert "no class folders" in complaint("class_folders", tmp_path)
    class_folders(tmp_path, "train/happy/a.png", "happy/b.png")
    text = complaint("class_folders", tmp_path)
    assert "beside train there is happy" in text
    assert "no val" in complaint("class_folders", class_folders(tmp_path / "train"), splits=["val"])
    class_folders(tmp_path / "x", "test/happy/a.png", "testing/happy/a.png")
    assert "test and testing, both test" in complaint("class_folders", tmp_path / "x")
