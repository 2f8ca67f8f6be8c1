"""One set in the forms in which people have it is the same to every reader, or refused by all."""

import os
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.annotation_files import problems_of

from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.label_confusion import label_confusion, read_confusion
from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations
from ldl_fer.preparation.doctor.class_counts import check_cells
from ldl_fer.preparation.doctor.finding import FINE
from ldl_fer.preparation.doctor.split import read_split
from ldl_fer.preparation.faces.data_set import read_table

FILES = ("train/0001.jpg", "train/0012.jpg", "b/Zoë 3.PNG", "b/x.png")
VALUES = ((0, 0.25, -1.0), (6, 0.125, 0.5), (3, -0.5, 0.0), (1, 1e-3, 0.75))
COLUMNS = "subDirectory_filePath,expression,valence,arousal"


def form(paths=FILES, separator=",", decimal=".", header=COLUMNS, minus="-", quoted=False):
    def cell(value):
        text = str(value).replace(".", decimal).replace("-", minus)
        return f'"{text}"' if quoted or separator in text else text

    rows = [
        separator.join([path, *map(cell, values)])
        for path, values in zip(paths, VALUES, strict=True)
    ]
    return "\n".join([header.replace(",", separator), *rows]) + "\n"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def turned(paths, change):
    return [change(path) for path in paths]


FORMS = {
    "as it is": form(),
    "semicolons": form(separator=";"),
    "tabs": form(separator="\t"),
    "bars": form(separator="|"),
    "semicolons and decimal commas": form(separator=";", decimal=","),
    "tabs and decimal commas": form(separator="\t", decimal=","),
    "decimal commas in quotes": form(decimal=",", quoted=True),
    "a line that says the separator": "sep=;\n" + form(separator=";", decimal=","),
    "true minus": form(minus="\u2212"),
    "blanks behind commas": form(separator=", "),
    "blanks behind commas, names in quotes": form(
        separator=", ", header='"subDirectory_filePath","expression","valence","arousal"'
    ),
    "blanks around names of columns": form(
        header=" subDirectory_filePath , expression,valence , arousal "
    ),
    "columns in capitals": form(header=COLUMNS.upper()),
    "columns without a name": form(header=COLUMNS + ",,"),
    "empty cells and rows at the end": "\n".join(f"{r},," for r in [*form().splitlines(), ",,,"]),
    "blank line at the end": form() + "   \n\t\n",
    "blanks around files": form(turned(FILES, lambda p: f" {p} ")),
    "backslashes": form(turned(FILES, lambda p: p.replace("/", "\\"))),
    "backslash at the start": form(turned(FILES, lambda p: ".\\" + p.replace("/", "\\"))),
    "no file's form of Unicode": form(turned(FILES, lambda p: unicodedata.normalize("NFD", p))),
    "other case": form(turned(FILES, str.upper)),
    "no endings": form(turned(FILES, lambda p: p.rpartition(".")[0])),
    "whole numbers": form(("train/1", "train/12", *FILES[2:])),
    "decimal numbers": form(("train/1.0", "train/12.0", *FILES[2:])),
}


def read_by_all(path, images):
    """Returns paths, labels and values of each reader that has them."""
    table, split = read_annotations(path, images, decode=False), read_split("train", path, images)
    partial, faces = read_partial_annotations(path, image_dir=images), read_table(path, images)
    assert not split.problems and check_cells([split])[0].level == FINE
    assert faces["subDirectory_filePath"].tolist() == table.paths == split.paths == partial.paths
    for read in (table, split, partial):
        np.testing.assert_array_equal(read.labels, [label for label, *_ in VALUES])
        np.testing.assert_allclose(read.valence_arousal, [v for _, *v in VALUES], rtol=1e-6)
    return table


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_the_same_set_to_every_reader(tmp_path, images, name):
    path = tmp_path / "a.csv"
    path.write_text(FORMS[name], encoding="utf-8", newline="")
    assert tuple(map(os.path.normpath, read_by_all(path, images).paths)) == FILES


@pytest.mark.parametrize("linked", [False, True])
def test_absolute_paths_inside_the_folder_are_read(tmp_path, images, linked):
    place = images
    if linked:
        place = tmp_path / "link"
        place.symlink_to(images)
    path = tmp_path / "a.csv"
    path.write_text(form([f"{place}/{name}" for name in FILES]), encoding="utf-8")
    assert tuple(read_by_all(path, images).paths) == FILES
    path.write_text(form([f"../images/{name}" for name in FILES]), encoding="utf-8")
    assert tuple(read_by_all(path, images).paths) == FILES
    # Where the folder is not known, as by `ldl-fer noise`, they are kept.
    assert read_annotations(path).paths[0] == f"../images/{FILES[0]}"


def test_no_folder_is_the_current_one(tmp_path, images, monkeypatch):
    monkeypatch.chdir(images)
    path = tmp_path / "a.csv"
    path.write_text(FORMS["backslashes"], encoding="utf-8")
    assert tuple(read_annotations(path, "", decode=False).paths) == FILES
    path.write_text(form([f"{images}/{name}" for name in FILES]), encoding="utf-8")
    assert tuple(read_annotations(path, "", decode=False).paths) == FILES


def same_problem_everywhere(path, images):
    found = problems_of(path, image_dir=images, decode=False)
    assert read_split("train", path, images).problems == found
    for read in (
        lambda: read_partial_annotations(path, image_dir=images),
        lambda: read_table(path, images),
    ):
        with pytest.raises(AnnotationError) as caught:
            read()
        assert caught.value.problems == found
    return found


def test_what_may_be_two_files_is_refused_by_all(tmp_path, images):
    (images / "train/012.jpg").write_bytes(b"")
    path = tmp_path / "a.csv"
    path.write_text(form(("train/1", "train/12", *FILES[2:])), encoding="utf-8")
    text = "train/12 may be train/0012.jpg or train/012.jpg: write one of them"
    assert same_problem_everywhere(path, images) == [(1, text)]


@pytest.mark.parametrize(
    "outside", ["/elsewhere/a.jpg", "../a.jpg", "C:/faces/a.jpg", "train/../../x.jpg"]
)
def test_what_leads_out_is_refused_by_all(tmp_path, images, outside):
    path = tmp_path / "a.csv"
    path.write_text(form((*FILES[:3], outside)), encoding="utf-8")
    ((row, text),) = same_problem_everywhere(path, images)
    assert row == 3 and text.startswith(f"{outside} leads out of the image folder {images};")


def test_one_file_in_two_spellings_comes_twice(tmp_path, images):
    path = tmp_path / "a.csv"
    path.write_text(form((*FILES[:3], "train\\0001.jpg")), encoding="utf-8")
    assert same_problem_everywhere(path, images) == [(3, "train/0001.jpg is already in row 0")]


def test_a_file_that_is_there_keeps_its_odd_name(tmp_path, images):
    odd = [" a.png", "b\\c.png", "12", "B.png"]
    for name in (*odd, "a.png", "c.png", "012.png", "b.png"):
        (images / name).write_bytes(b"")
    path = tmp_path / "a.csv"
    path.write_text(form(odd), encoding="utf-8")
    assert read_annotations(path, images, decode=False).paths == odd


def test_commas_without_quotes_name_the_cure(tmp_path, images):
    path = tmp_path / "a.csv"
    path.write_text(form().replace("0.25", "0,25"))
    with pytest.raises(AnnotationError, match="row 0 .*has 5 fields(.|\n)*needs quotes"):
        read_annotations(path)


def test_a_folder_too_deep_and_names_made_numbers_are_told(tmp_path, images):
    path = tmp_path / "a.csv"
    path.write_text(form(turned(FILES, lambda p: f"images/{p}")), encoding="utf-8")
    ((row, text),) = problems_of(path, image_dir=images)
    assert row is None and text.endswith(f"they start from {tmp_path}: name that folder")
    path.write_text(form(("7", "8", "9", "10")))
    assert "dtype=str" in problems_of(path, image_dir=images)[0][1]


def test_other_tables_are_read_by_the_same_reader(tmp_path):
    names = ("Calm", "Tense")
    path = tmp_path / "a.csv"
    path.write_text("\ufeff;Calm ;TENSE\nCalm;0,75;0,25\nTense;0,5;0,5\n", encoding="utf-8")
    np.testing.assert_allclose(read_confusion(path, names), [[0.75, 0.25], [0.5, 0.5]])
    path.write_text("subDirectory_filePath;expression;Votes_Calm;votes_tense\na;0;1,5;0,5\nb;1;0;1")
    found = label_confusion(SimpleNamespace(class_names=names), path)
    np.testing.assert_allclose(found, [[0.75, 0.25], [0, 1]])


def test_blanks_around_numbers_of_other_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "subDirectory_filePath, expression, clean_expression, age, note\na, 0, 1, , x\n"
        "b, 1, 1, 30.5, y\n"
    )
    table = read_annotations(path, plane=False).table
    assert table["clean_expression"].tolist() == [1, 1] and table["note"].tolist() == [" x", " y"]
    np.testing.assert_array_equal(table["age"], [np.nan, 30.5])


def test_thousands_are_not_taken_for_decimals(tmp_path):
    path = tmp_path / "a.csv"
    votes = "votes_calm,votes_tense"
    path.write_text(f'{COLUMNS},{votes}\na,0,0,0,"1,000",2\nb,1,0,0,1,2\n')
    found = problems_of(path, class_names=("Calm", "Tense"))
    assert found == [(0, "votes_calm is '1,000', not a number of votes >= 0")]
