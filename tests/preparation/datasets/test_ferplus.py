"""FER+ on made-up copies: files joined by row or by image name, pictures written."""

import cv2
import numpy as np
from helpers.data_set_copies import complaint, fer2013, ferplus, picture

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import read_annotations
from ldl_fer.preparation.datasets import READERS

# Order of the votes: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
# unknown, NF.
FERPLUS_ORDER = ("Neutral", "Happy", "Surprise", "Sad", "Anger", "Disgust", "Fear", "Contempt")


def all_for(column):
    return [10 if n == column else 0 for n in range(10)]


def one_each(root):
    """A picture that all ten call the same, for each column; gray level 10 n; the last nameless."""
    usages = ["Training"] * 8 + ["PublicTest", "PrivateTest"]
    names = [f"fer{n + 70:07d}.png" for n in range(9)] + [""]  # a name is not a row number
    ferplus(root, zip(usages, names, map(all_for, range(10)), strict=True))
    return fer2013(root, [(n % 7, 10 * n, usage) for n, usage in enumerate(usages)])


def test_order_and_pictures_joined_by_row(tmp_path):
    data_set = READERS["ferplus"].read(one_each(tmp_path))
    train = data_set.splits["train"]
    # The eighth is contempt; rows 8 and 9 are unknown and nameless, so val and test are empty.
    assert [CLASS_NAMES[label] for label in train.labels] == list(FERPLUS_ORDER[:7])
    assert list(data_set.splits) == ["train"]
    assert data_set.left_out == {
        ("train", "Contempt, not among the classes"): 1,
        ("val", "unknown, not among the classes"): 1,
        ("test", "removed by FER+ as no face"): 1,
    }
    np.testing.assert_array_equal(train.votes, 10 * np.eye(7)[train.labels])
    assert {"votes_contempt", "votes_unknown", "votes_nf"} < set(train.table)
    assert train.table["original_label"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    files, images = data_set.write(tmp_path / "out", progress=False)
    assert images == tmp_path / "out/images"
    for row, path in enumerate(train.paths):
        assert path == f"FER2013Train/fer{row + 70:07d}.png"
        written = cv2.imread(str(images / path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(written, np.full([48, 48], 10 * row, np.uint8))
    filled = train.table.assign(valence=0.0, arousal=0.0)
    filled.to_csv(files["train"], index=False)
    again = read_annotations(files["train"], images, progress=False)
    np.testing.assert_array_equal(again.votes, train.votes)


def test_contempt_can_be_a_class(tmp_path):
    names = (*CLASS_NAMES, "Contempt")
    train = READERS["ferplus"].read(one_each(tmp_path), class_names=names).splits["train"]
    assert [names[label] for label in train.labels] == list(FERPLUS_ORDER)
    assert train.votes.shape == (8, 8) and train.votes[7, 7] == 10


def test_folders_are_joined_by_image_name(tmp_path):
    rows = [("Training", "fer0000005.png", all_for(1)), ("PrivateTest", "b.png", all_for(4))]
    ferplus(tmp_path, rows)
    picture(tmp_path / "images/FER2013Train/fer0000005.png")
    picture(tmp_path / "images/FER2013Test/b.png")
    data_set = READERS["ferplus"].read(tmp_path)
    assert data_set.splits["train"].paths == ["images/FER2013Train/fer0000005.png"]
    assert data_set.splits["test"].labels.tolist() == [CLASS_NAMES.index("Anger")]
    assert data_set.image_dir == tmp_path and data_set.picture is None
    assert data_set.splits["train"].table["original_label"].isna().all()
    fer2013(tmp_path, [(3, 0, "Training"), (0, 0, "PrivateTest")])
    table = READERS["ferplus"].read(tmp_path).splits["train"].table
    assert table["original_label"].tolist() == [3]
    (tmp_path / "images/FER2013Test/b.png").unlink()
    assert "1 of 2 pictures" in complaint("ferplus", tmp_path)


def test_files_that_do_not_belong_together(tmp_path):
    rows = [("Training", "a.png", all_for(0)), ("PublicTest", "b.png", all_for(0))]
    fer2013(ferplus(tmp_path, rows), [(0, 0, "Training")])
    assert "has 2 rows" in complaint("ferplus", tmp_path)
    fer2013(tmp_path, [(0, 0, "PublicTest"), (0, 0, "Training")])
    assert "row 0 (from 0) is train in one and val in the other" in complaint("ferplus", tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    assert "neither fer2013.csv nor FER2013Train" in complaint("ferplus", tmp_path)


def test_wrong_cells_are_named_by_line(tmp_path):
    rows = [("Training", "a.png", all_for(0)), ("Train", "b.png", [*all_for(0)[:9], -1])]
    text = complaint("ferplus", ferplus(tmp_path, rows))
    assert "line 3: Usage is 'Train'" in text and "line 3: NF is '-1', not a number of" in text
    fer2013(tmp_path, [(0, 0, "Training"), (7, 256, "Test"), (1, 255, "PublicTest")])
    text = complaint("fer2013", tmp_path)
    assert "fer2013.csv: 3 problems" in text
    assert "line 3: emotion is '7', none of 0 to 6" in text
    assert "line 3: Usage is 'Test'" in text
    assert "line 3: pixels are not 2304 numbers from 0 to 255" in text
