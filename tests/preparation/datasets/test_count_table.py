"""Counts stand beside the published ones."""

from helpers.data_set_copies import raf_db

from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.count_table import count_table


def test_counts_that_differ_are_starred(tmp_path):
    reader = READERS["raf_db"]
    text = count_table(reader, reader.read(raf_db(tmp_path)))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["train", "published", "test", "published"]
    assert lines[2] == ["Happy", "1", "4,772*", "1", "1,185*"]
    assert lines[8] == ["all", "7", "12,271*", "1", "3,068*"]
    names = ("Surprise", "Contempt")
    odd = count_table(reader, reader.read(tmp_path, splits=["train"], class_names=names))
    assert odd.splitlines()[2].split() == ["Contempt", "0", "-"]
    assert "left out of train: 1 (Fear, not among the classes)" in odd
