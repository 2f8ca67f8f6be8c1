"""KDEF on a made-up copy: what the names of the pictures say."""

import pytest
from helpers.data_set_copies import complaint, names_of, picture

from ldl_fer.preparation.datasets import READERS

FILES = ["AF01AFS.JPG", "BF01ANS.JPG", "AM35DIS.JPG", "am02has.jpg", "AF02NES.JPG", "AF02SAS.JPG"]
FILES += ["AF02SUS.JPG", "AF01HAFL.JPG", "AF01HAHR.JPG", "AF31V.JPG"]


@pytest.mark.parametrize("home", ["", "KDEF", "KDEF_and_AKDEF/KDEF"])
def test_names_say_expression_view_and_person(tmp_path, home):
    for name in FILES:
        picture(tmp_path / home / name[:4] / name)
    data_set = READERS["kdef"].read(tmp_path)
    table = data_set.splits["all"].table
    found = dict(zip(table["original_label"], names_of(data_set, "all"), strict=True))
    assert found == {
        **{"AF": "Fear", "AN": "Anger", "DI": "Disgust", "HA": "Happy"},
        **{"NE": "Neutral", "SA": "Sad", "SU": "Surprise"},
    }
    # both sessions of a person are that person, and no other of the same number
    assert sorted(table["subject"]) == ["F01", "F01", "F02", "F02", "F02", "M02", "M35"]
    assert data_set.left_out == {
        ("all", "another view than --views=straight"): 2,
        ("all", "not called as pictures of KDEF"): 1,
    }
    assert len(READERS["kdef"].read(tmp_path, views="half").splits["all"]) == 8
    assert len(READERS["kdef"].read(tmp_path, views="all").splits["all"]) == 9
    assert all((data_set.image_dir / path).exists() for path in data_set.splits["all"].paths)


def test_nobody_is_in_both_parts(tmp_path):
    for name in FILES:
        picture(tmp_path / name)
    parts = READERS["kdef"].read(tmp_path).with_test_part(0.4, 0).splits
    persons = [set(parts[split].table["subject"]) for split in ("train", "test")]
    assert all(persons) and not persons[0] & persons[1]


def test_other_pictures_are_refused(tmp_path):
    picture(tmp_path / "1.png")
    assert "no picture is called such as AF01ANS.JPG" in complaint("kdef", tmp_path)
