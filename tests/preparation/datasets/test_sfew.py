"""SFEW on a made-up copy of its folders."""

import pytest
from helpers.data_set_copies import class_folders, complaint, names_of

from ldl_fer.preparation.datasets import READERS

SFEW = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


@pytest.mark.parametrize(
    "train", ["Train_Aligned_Faces", "Train/Train_Aligned_Faces", "Train_Aligned_Faces_new"]
)
def test_aligned_faces_and_whole_frames(tmp_path, train):
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
