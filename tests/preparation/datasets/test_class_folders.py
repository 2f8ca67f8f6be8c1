"""Any folder of classes: synonyms, splits, maps, mistakes."""

import pytest
from helpers.data_set_copies import (
    EIGHT,
    class_folders,
    complaint,
    names_of,
)

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.class_folders import map_doubts


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


def test_a_folder_beside_the_splits_is_left_out(tmp_path):
    class_folders(tmp_path, "Train/happy/a.png", "Val/happy/b.png", "my notes/x/c.png")
    assert "'--leave_out=my notes'" in complaint("class_folders", tmp_path)
    read = READERS["class_folders"].read
    data_set = read(tmp_path, leave_out=("My Notes",))
    assert list(data_set.splits) == ["train", "val"]
    assert data_set.left_out == {("all", "--leave_out=my notes"): 1}
    assert list(read(tmp_path, leave_out=("my notes", "val")).splits) == ["train"]
    assert list(read(tmp_path, splits=("val",), leave_out=("my notes",)).splits) == ["val"]
    text = complaint("class_folders", tmp_path, leave_out=("my notes", "nots"))
    assert "no class folder nots" in text


def test_a_root_that_is_one_folder_too_high_is_named(tmp_path):
    for inner in ("a/train/1/x.png", "b/happy/x.png", "c/1/x.png"):
        root = class_folders(tmp_path / inner[0], inner.replace(inner[0], "DATASET", 1))
        text = complaint("class_folders", root)
        assert f"has no class folders, but {root / 'DATASET'} has. Give --root=" in text


RAF_DB = {"1": "Surprise", "2": "Fear", "3": "Disgust", "4": "Happy", "5": "Sad", "6": "Anger"}
RAF_DB |= {"7": "Neutral"}


@pytest.fixture(scope="module")
def raf_db_test(tmp_path_factory):
    """Numbered folders of empty pictures, as many of each class as RAF-DB's test set has."""
    root = tmp_path_factory.mktemp("raf_db")
    reader = READERS["raf_db"]
    published = reader.published("test", list(RAF_DB.values()))
    for folder, count in zip(RAF_DB, published, strict=True):
        (root / "test" / folder).mkdir(parents=True)
        for number in range(count):
            (root / "test" / folder / f"{number}.png").touch()
    return root


def read_by(root, classes):
    entries = [f"{folder}={name}" for folder, name in classes.items()]
    return READERS["class_folders"].read(root, map=entries)


def test_a_wrong_map_is_doubted_by_published_counts(raf_db_test):
    assert map_doubts(read_by(raf_db_test, RAF_DB)) == []
    right = ",".join(f"{folder}={name}" for folder, name in RAF_DB.items())
    fer2013 = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
    for wrong in (fer2013, tuple(RAF_DB.values())[::-1]):
        (doubt,) = map_doubts(read_by(raf_db_test, dict(zip(RAF_DB, wrong, strict=True))))
        assert "RAF-DB" in doubt and f"Give --map={right}." in doubt


def test_one_folder_too_few_is_no_doubt(raf_db_test):
    six = {folder: name for folder, name in RAF_DB.items() if folder != "7"}
    entries = [f"{folder}={name}" for folder, name in six.items()]
    read = READERS["class_folders"].read(raf_db_test, map=entries, leave_out=("7",))
    assert map_doubts(read) == []


def test_a_map_against_the_name_of_a_folder_is_doubted(tmp_path):
    root = class_folders(tmp_path, "happy/a.png", "sadness/b.png", "wow/c.png")
    read = READERS["class_folders"].read
    (doubt,) = map_doubts(read(root, map=("happy=Sad", "sadness=sad", "wow=Surprise")))
    assert "happy as Sad" in doubt and "sadness" not in doubt and "--map" in doubt
    assert map_doubts(read(root, map=("wow=Surprise",))) == []


def test_two_folders_of_a_class_are_doubted_where_a_class_is_absent(tmp_path):
    paths = [f"{folder}/a.png" for folder in ("1", "2", "3", "angry", "anger", "rest")]
    root, names = class_folders(tmp_path, *paths), ("Sad", "Happy", "Anger", "Neutral")
    merged = ("1=Happy", "2=Happy", "3=Sad", "rest=anger")
    read = READERS["class_folders"].read
    (doubt,) = map_doubts(read(root, class_names=names, map=merged))
    assert "1 and 2 as Happy" in doubt and "none as Neutral" in doubt
    assert map_doubts(read(root, class_names=names[:3], map=merged)) == []


def test_a_map_that_says_two_things_is_refused(tmp_path):
    root = class_folders(tmp_path, "1/a.png", "2/b.png")
    text = complaint("class_folders", root, map=("1=Happy", "1=Sad", "2=Fear"))
    assert "name 1 more than once" in text
    text = complaint("class_folders", root, map=("1=Happy", "2=Sad"), leave_out=("2",))
    assert "name 2 more than once" in text
    assert "1 (hapy): no such class" in complaint("class_folders", root, map=("1=Hapy", "2=Sad"))
