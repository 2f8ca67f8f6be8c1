"""A file is an annotation CSV whatever its name, and no folder of a user's is in danger."""

import re

import pytest
from helpers.annotation_files import GOOD, csv_file
from helpers.source import PACKAGE

from ldl_fer.config.settings import DataConfig, NetworkConfig
from ldl_fer.data.manifest import check_free, read_manifest
from ldl_fer.data.paths import check_data, check_pretrained, check_sources, is_csv
from ldl_fer.errors import InputError


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.txt", "t", "labels.Csv", "t.csv.bak"])
def test_a_file_is_a_csv(tmp_path, name):
    path = csv_file(tmp_path, *GOOD).rename(tmp_path / name)
    assert is_csv(path)
    check_data(str(path))
    check_sources(DataConfig(train_data_path=str(path)))


def test_a_folder_is_none_even_if_called_so(tmp_path):
    (tmp_path / "shards.csv").mkdir()
    assert not is_csv(tmp_path / "shards.csv") and not is_csv(tmp_path / "absent")
    assert is_csv(tmp_path / "absent.CSV")


@pytest.mark.parametrize("names", [(), ("a.jpg",), ("a.jpg", "b/c.png")])
def test_swapped_flags_are_told(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="swapped"):
        check_data(str(tmp_path))


@pytest.mark.parametrize("names", [("manifest.json",), ("manifest.json", "icons/icon.png")])
def test_deleting_is_advised_of_nothing_but_records(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="damaged") as caught:
        read_manifest(tmp_path)
    assert ("Delete" in str(caught.value)) == (names == ("manifest.json",))


@pytest.mark.parametrize("names", [("manifest.json",), ("manifest.json", "icons/icon.png")])
def test_only_folders_of_nothing_but_records_are_overwritten(tmp_path, names):
    for name in (*names, "holiday.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"not a folder of records.*holiday.jpg|icons"):
            check_free(tmp_path, overwrite)


def test_no_sentence_advises_deleting_what_the_product_did_not_make():
    advice = re.compile(r"\b[Rr]emove (it|them|this|these|one|the|their)\b")
    said = [
        f"{file.name}: {line.strip()}"
        for file in PACKAGE.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if '"' in line and advice.search(line)
    ]
    assert [line for line in said if "Decide for one label" not in line] == []


def test_each_file_of_several_backbones_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.onnx", "b.onnx", "c,d.onnx"):
        (tmp_path / name).touch()

    def check(backbone, pretrained):
        check_pretrained(NetworkConfig(backbone=backbone, pretrained=pretrained))

    check("mobilefacenet", "")
    check("mobilefacenet", str(tmp_path / "c,d.onnx"))  # one backbone, one file
    check("mobilefacenet,faceres", f"{tmp_path}/a.onnx,~/b.onnx")
    with pytest.raises(InputError, match="gone.onnx does not exist"):
        check("mobilefacenet,faceres", f"~/b.onnx,{tmp_path}/gone.onnx")
    with pytest.raises(InputError, match="a.onnx,.*does not exist. If these are several files"):
        check("mobilefacenet", f"{tmp_path}/a.onnx,{tmp_path}/b.onnx")
    with pytest.raises(InputError, match="needs as many files.* is 1"):
        check("mobilefacenet,faceres", f"{tmp_path}/a.onnx")
