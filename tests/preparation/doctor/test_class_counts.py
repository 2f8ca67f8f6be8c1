"""Classes that are absent, rare or unequal, and the published counts."""

import numpy as np
import pytest
from helpers.made_up_split import made_up_split

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.doctor.class_counts import check_classes, check_published
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE

RAF_DB = READERS["raf_db"].published_counts


def of_counts(counts, name="train"):
    return made_up_split(np.repeat(np.arange(7), counts), name=name)


def levels(findings):
    return [finding.level for finding in findings]


@pytest.mark.parametrize(
    ("counts", "name", "level", "text"),
    [
        ([30] * 7, "train", FINE, "210 rows"),
        ([30] * 6 + [0], "train", MISTAKE, "no row of Anger"),
        ([30] * 6 + [0], "test", DOUBTFUL, "no row of Anger"),
        ([30] * 6 + [9], "val", DOUBTFUL, "fewer than 10 rows of Anger"),
        ([630] + [30] * 6, "train", DOUBTFUL, "21 times as many rows of Neutral as of Happy"),
        ([630] + [30] * 6, "test", FINE, "810 rows"),
    ],
)
def test_absent_rare_and_unequal_classes(counts, name, level, text):
    (finding,) = check_classes([of_counts(counts, name)])
    assert finding.level == level and text in finding.text
    assert finding.values["counts"] == counts


def test_published_counts_are_recognized():
    splits = [of_counts(RAF_DB[name], name) for name in ("train", "test")]
    findings = check_published(splits)
    assert levels(findings) == [FINE, FINE] and "RAF-DB" in findings[0].text


def test_a_missing_row_is_reported_where_the_data_set_is_named():
    counts = np.array(RAF_DB["train"]) - [0, 1, 0, 0, 0, 0, 0]
    split = of_counts(counts)
    (finding,) = check_published([split], "raf_db")
    assert finding.level == DOUBTFUL
    assert f"Happy {counts[1]} instead of {counts[1] + 1}" in finding.text


def test_a_data_set_of_the_same_size_is_no_mistake():
    counts = np.roll(RAF_DB["test"], 1) + [3, -3, 0, 0, 0, 0, 0]
    (finding,) = check_published([of_counts(counts, "test")])
    assert finding.level == FINE and "--dataset=raf_db" in finding.text


def test_no_counts_for_other_classes():
    split = made_up_split([0, 1], np.zeros([2, 2]), class_names=("Calm", "Glad"))
    (finding,) = check_published([split], "raf_db")
    assert "no counts" in finding.text


def test_counts_are_compared_in_the_order_that_was_found():
    published = np.array(RAF_DB["test"])
    order = [3, 4, 5, 1, 2, 6, 0]  # of RAF-DB's own numbers
    read_as = [CLASS_NAMES[number] for number in order]
    split = of_counts(published[order], "test")
    for name in (None, "raf_db"):
        (finding,) = check_published([split], name, {"test": read_as})
        assert finding.level == FINE and "as published" in finding.text
        assert "in the order found" in finding.text
    lacking = published - [0, 3, 0, 0, 0, 0, 0]
    (finding,) = check_published([of_counts(lacking[order], "test")], "raf_db", {"test": read_as})
    assert finding.text.count("instead of") == 1 and "Happy 1182" in finding.text
    # Nothing is said of another data set, where the numbers are wrong.
    assert check_published([of_counts(lacking[order], "test")], None, {"test": read_as}) == []
