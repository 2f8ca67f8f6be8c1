"""CK+48 on a made-up copy of its folders."""

from helpers.data_set_copies import class_folders, complaint, names_of, picture

from ldl_fer.preparation.datasets import READERS


def test_persons_are_kept_and_there_is_no_neutral(tmp_path):
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
