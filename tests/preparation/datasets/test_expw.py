"""ExpW on a made-up copy: boxes, several faces of one photo, wrong lines."""

import pandas as pd
import pytest
from helpers.data_set_copies import complaint, names_of, picture, text

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.command import next_steps
from ldl_fer.preparation.faces.data_set import read_table

LINES = [f"a b.jpg {n} 28 113 226 {141 + n} 22.9 {n}" for n in range(7)] + ["c.jpg 0 1 2 3 4 5.5 6"]


@pytest.mark.parametrize("home", ["", "data"])
def test_boxes_are_carried(tmp_path, home):
    text(tmp_path / home / "label/label.lst", *LINES, LINES[-1])
    for name in ("a b.jpg", "c.jpg"):
        picture(tmp_path / home / "image/origin" / name)
    data_set = READERS["expw"].read(tmp_path)
    expected = ["Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral", "Neutral"]
    assert names_of(data_set, "all") == expected
    table = data_set.splits["all"].table
    assert table.loc[1, "face_x":"face_height"].tolist() == [113, 28, 113, 114]
    assert data_set.left_out == {("all", "listed a second time"): 1}
    files, images = data_set.write(tmp_path / "out")
    assert len(read_table(files["all"], images)) == 8  # `ldl-fer faces` takes it
    advice = next_steps(data_set, files, images, True)
    assert f"ldl-fer faces --annotations={tmp_path}/out/all.csv --image_dir={tmp_path}" in advice
    assert f"predict --annotations={tmp_path}/out/aligned/all.csv" in advice
    assert pd.read_csv(files["all"])["face_score"][0] == 22.9


def test_wrong_lines_are_named(tmp_path):
    (tmp_path / "origin").mkdir()
    wrong = [
        "a.jpg 0 28 113 113 141 22.9 5",
        "a.jpg 5",
        "a.jpg 0 1 2 3 4 5.5 7",
        "a.jpg 0 1 2 x 4 5 6",
    ]
    text(tmp_path / "label.lst", *LINES, *wrong)
    told = complaint("expw", tmp_path)
    assert "label.lst: 4 problems" in told and "label 7 of a.jpg is none of 0 to 6" in told
    assert "line 10: 'a.jpg 5' is not such as" in told
