"""The readers, each on a made-up copy of its layout: label order, what is left out, mistakes."""

import numpy as np
import pytest
from helpers.data_set_copies import affectnet, affectnet_arrays, class_folders, picture, raf_db

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS

EIGHT = (*CLASS_NAMES, "Contempt")


def names_of(data_set, split):
    annotations = data_set.splits[split]
    return [annotations.class_names[label] for label in annotations.labels]


def complaint(name, root, **arguments):
    with pytest.raises(InputError) as caught:
        READERS[name].read(root, **arguments)
    return str(caught.value)


def test_published_counts_add_up_to_the_published_totals():
    totals = {
        name: {split: sum(counts) for split, counts in reader.published_counts.items()}
        for name, reader in READERS.items()
    }
    assert totals == {
        "raf_db": {"train": 12271, "test": 3068},
        "affectnet": {"train": 283901, "val": 3500},
        "sfew": {"train": 958, "val": 436},
        "ferplus": {},
        "fer2013": {"train": 28709, "val": 3589, "test": 3589},
        "ck_plus": {"all": 981 - 54},  # 54 of contempt
        "class_folders": {},
    }
    for reader in READERS.values():
        assert set(CLASS_NAMES) - set(reader.label_order) <= {"Neutral"}
        assert all(len(counts) == 7 for counts in reader.published_counts.values())


# RAF-DB


@pytest.mark.parametrize("home", ["", "basic"])
def test_raf_db_counts_from_surprise(tmp_path, home):
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


def test_raf_db_reads_the_original_pictures_and_one_split(tmp_path):
    raf_db(tmp_path)
    picture(tmp_path / "Image/original/test_0001.jpg")
    data_set = READERS["raf_db"].read(tmp_path, splits=["test"], pictures="original")
    assert data_set.splits["test"].paths == ["Image/original/test_0001.jpg"]
    assert list(data_set.splits) == ["test"]


def test_raf_db_tells_of_wrong_lines(tmp_path):
    text = complaint("raf_db", raf_db(tmp_path, labels=(1, 0, 8, "x")))
    assert "list_patition_label.txt: 3 problems" in text
    assert "line 2: label 0 of train_00002.jpg is none of 1 to 7" in text
    (tmp_path / "EmoLabel/list_patition_label.txt").write_text("a.jpg 3\n")
    assert "line 1: 'a.jpg 3' is not such as" in complaint("raf_db", tmp_path)


def test_missing_files_are_named_with_where_they_were_sought(tmp_path):
    text = complaint("raf_db", tmp_path)
    assert "EmoLabel/list_patition_label.txt, list_patition_label.txt, basic/" in text
    assert "Unpack original.zip there" in complaint(
        "raf_db", raf_db(tmp_path / "raf"), pictures="original"
    )
    assert "does not exist" in complaint("raf_db", tmp_path / "none")
    assert "no train, val; looked for training.csv" in complaint("affectnet", tmp_path)
    assert "no train, val, test; looked for Train_Aligned_Faces" in complaint("sfew", tmp_path)
    assert "fer2013new.csv" in complaint("ferplus", tmp_path)
    assert "fer2013.csv" in complaint("fer2013", tmp_path)


def test_missing_pictures_are_counted_and_left_out_when_told(tmp_path):
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


# AffectNet

ROWS = [(f"{x}/{x}.jpg", x, 0.5, -0.25) for x in range(11)]


def test_affectnet_counts_from_neutral_and_leaves_out_contempt(tmp_path):
    data_set = READERS["affectnet"].read(affectnet(tmp_path, ROWS, ROWS[:2]))
    assert names_of(data_set, "train") == list(CLASS_NAMES)
    assert names_of(data_set, "val") == ["Neutral", "Happy"]  # its list has no header
    table = data_set.splits["train"].table
    assert table["subDirectory_filePath"][3] == "Manually_Annotated_Images/3/3.jpg"
    assert table.loc[0, ["valence", "arousal", "face_height"]].tolist() == [0.5, -0.25, 40]
    assert data_set.has_valence_arousal
    assert data_set.left_out == {
        ("train", f"{name}, not among the classes"): 1
        for name in ("Contempt", "none", "uncertain", "no-face")
    }
    eight = READERS["affectnet"].read(tmp_path, class_names=EIGHT)
    assert names_of(eight, "train") == list(EIGHT)


def test_affectnet_without_valence_arousal_is_left_out_and_counted(tmp_path):
    rows = [("a.jpg", 1, -2, -2), ("b.jpg", 1, 0.1, -2), ("c.jpg", 1, -1, 1), ("d.jpg", 9, -2, -2)]
    rows.append(("c.jpg", 2, 0, 0))  # a second label for one picture: the first stays
    data_set = READERS["affectnet"].read(affectnet(tmp_path, rows, rows[2:3]))
    assert data_set.splits["train"].paths == ["Manually_Annotated_Images/c.jpg"]
    assert data_set.splits["train"].labels.tolist() == [1]
    assert data_set.left_out["train", "listed a second time"] == 1
    assert data_set.left_out["train", "valence or arousal absent"] == 2
    assert data_set.left_out["train", "uncertain, not among the classes"] == 1


def test_affectnet_tells_file_and_line(tmp_path):
    rows = [("a.jpg", 11, 0, 0), ("b.jpg", 1, 1.5, 0), ("c.jpg", 1, 0, "x"), ("d.jpg", 1.5, 0, 0)]
    text = complaint("affectnet", affectnet(tmp_path, rows, [("e.jpg", 1, 0, -3)]))
    assert "training.csv: 4 problems" in text
    assert "line 2: expression is 11, none of 0 to 10" in text
    assert "line 3: valence is 1.5, neither in [-1, 1] nor -2" in text
    assert "line 4: arousal is nan" in text and "line 5: expression is 1.5" in text
    text = complaint("affectnet", tmp_path, splits=["val"])
    assert "validation.csv: 1 problem" in text and "line 1: arousal is -3" in text
    (tmp_path / "Manually_Annotated_file_lists/training.csv").write_text("expression,a\n1,2\n")
    assert "training.csv has no column subDirectory_filePath" in complaint("affectnet", tmp_path)


def test_affectnet_arrays(tmp_path):
    rows = [(x, 0.5, -0.25) for x in range(8)] + [(1, -2, -2)] * 3
    root = affectnet_arrays(tmp_path, "train", rows)
    data_set = READERS["affectnet"].read(affectnet_arrays(root, "val", [(6, -1, 1)]))
    assert names_of(data_set, "train") == list(CLASS_NAMES)
    assert data_set.left_out == {
        ("train", "valence or arousal absent"): 3,
        ("train", "Contempt, not among the classes"): 1,
    }
    assert names_of(data_set, "val") == ["Anger"]
    assert data_set.splits["val"].paths == ["val_set/images/0.jpg"]
    np.testing.assert_array_equal(data_set.splits["val"].valence_arousal, [[-1, 1]])
    np.save(root / "val_set/annotations/0_exp.npy", np.array("7.5"))
    assert "val_set/annotations: 1 problem\n  0: expression is 7.5" in complaint("affectnet", root)
    (root / "train_set/annotations/3_aro.npy").write_bytes(b"x")
    assert "3_aro.npy cannot be read" in complaint("affectnet", root)


# SFEW

SFEW = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


@pytest.mark.parametrize(
    "train", ["Train_Aligned_Faces", "Train/Train_Aligned_Faces", "Train_Aligned_Faces_new"]
)
def test_sfew_folders(tmp_path, train):
    class_folders(tmp_path, *(f"{train}/{name}/f_1.png" for name in SFEW))
    class_folders(tmp_path, "Val_Aligned_Faces_new/Angry/f.png", "Test_Aligned_Faces/f.png")
    data_set = READERS["sfew"].read(tmp_path)
    expected = ["Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
    assert names_of(data_set, "train") == expected
    assert data_set.splits["train"].table["original_label"].tolist() == list(SFEW)
    assert list(data_set.splits) == ["train", "val"]  # no labels, no test split
    assert "looked for Train/Angry" in complaint("sfew", tmp_path, pictures="original")
    class_folders(tmp_path, "Val/Happy/frame.png", "Val/Angry/frame.png")
    frames = READERS["sfew"].read(tmp_path, pictures="original")
    assert frames.splits["val"].paths == ["Val/Angry/frame.png", "Val/Happy/frame.png"]


# CK+48


def test_ck_plus_has_persons_and_no_neutral(tmp_path):
    words = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    class_folders(tmp_path, *(f"CK+48/{w}/S0{n}_004_00000017.png" for n, w in enumerate(words, 10)))
    data_set = READERS["ck_plus"].read(tmp_path)
    expected = ["Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise"]
    assert names_of(data_set, "all") == expected
    assert data_set.left_out == {("all", "Contempt, not among the classes"): 1}
    persons = ["S010", "S012", "S013", "S014", "S015", "S016"]
    assert data_set.splits["all"].table["subject"].tolist() == persons
    picture(tmp_path / "CK+48/happy/me.png")
    assert "me.png does not start with a person" in complaint("ck_plus", tmp_path)
    picture(tmp_path / "CK+48/bored/S010_1.png")
    assert "bored is no class of CK+48" in complaint("ck_plus", tmp_path)


# Any folder of classes


def test_class_folders_know_synonyms_and_splits(tmp_path):
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


def test_class_folders_of_other_names_need_a_map(tmp_path):
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


def test_class_folders_that_cannot_be_told_apart(tmp_path):
    assert "no class folders" in complaint("class_folders", tmp_path)
    class_folders(tmp_path, "train/happy/a.png", "happy/b.png")
    text = complaint("class_folders", tmp_path)
    assert "beside train there is happy" in text
    assert "no val" in complaint("class_folders", class_folders(tmp_path / "train"), splits=["val"])
    class_folders(tmp_path / "x", "test/happy/a.png", "testing/happy/a.png")
    assert "test and testing, both test" in complaint("class_folders", tmp_path / "x")
