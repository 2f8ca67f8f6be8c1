"""The doctor reads what an annotation CSV has, whatever is wrong with some of its cells."""

import numpy as np
import pytest
from helpers.annotation_files import GOOD, csv_file, problems_of

from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.errors import InputError
from ldl_fer.preparation.doctor.split import read_split


def test_broken_cells_are_listed_and_the_rest_is_read(tmp_path):
    rows = (*GOOD, "d.png,7,0.5,0.5", "e.png,1,2.5,0", "f.png,1,0", "../g.png,2,0,0")
    path = csv_file(tmp_path, *rows)
    split = read_split("train", path, tmp_path)
    assert split.labels.tolist() == [0, 6, 3, -1, 1, 1, 2]
    assert np.isnan(split.valence_arousal[:, 0]).tolist() == [False] * 4 + [True, True, False]
    # The same complaints, by the same checks, as those that stop a training.
    assert split.problems == problems_of(path, image_dir=tmp_path, decode=False)
    assert split.counts.tolist() == [1, 2, 1, 1, 0, 0, 1]


def test_absent_valence_arousal_is_no_broken_cell(tmp_path):
    path = csv_file(tmp_path, "a.png,0,,", "b.png,1,-2,-2", "c.png,2,nan,0.5", "d.png,3,0.5,0.5")
    split = read_split("val", path, tmp_path)
    assert split.problems == []
    assert np.isnan(split.valence_arousal).all(axis=1).tolist() == [True, True, True, False]


def test_valence_and_arousal_may_be_missing_as_columns(tmp_path):
    path = csv_file(tmp_path, "a.png,0", "b.png,1", header="subDirectory_filePath,expression")
    split = read_split("train", path, tmp_path)
    assert np.isnan(split.valence_arousal).all() and split.problems == []


@pytest.mark.parametrize(
    ("header", "rows", "text"),
    [
        ("subDirectory_filePath,valence,arousal", ("a.png,0,0",), "expression is missing"),
        ("subDirectory_filePath,expression,valence,arousal", (), "has no rows"),
    ],
)
def test_other_files_than_annotation_csvs_are_refused(tmp_path, header, rows, text):
    with pytest.raises(AnnotationError, match=text):
        read_split("train", csv_file(tmp_path, *rows, header=header), tmp_path)


def test_a_missing_image_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="--image_dir"):
        read_split("train", csv_file(tmp_path, *GOOD), tmp_path / "none")
