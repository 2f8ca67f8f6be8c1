"""All checks together: a sound set passes; a data set must be known."""

import numpy as np
import pytest
from helpers.made_up_split import made_up_split

from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.doctor.examination import examine
from ldl_fer.preparation.doctor.finding import FINE, MISTAKE, NOT_LOOKED_AT
from ldl_fer.preparation.doctor.split import read_split


def test_a_sound_set_has_no_mistake_and_no_doubt(data_set):
    names = ("train", "test")
    splits = [read_split(name, data_set / f"{name}.csv", data_set) for name in names]
    levels = {finding.check: finding.level for finding in examine(splits, progress=False)}
    assert levels.pop("faces") == NOT_LOOKED_AT
    assert set(levels.values()) == {FINE}


LABELS = np.tile(np.arange(7), 12)


def test_unknown_data_set_and_no_split():
    split = made_up_split(LABELS)
    with pytest.raises(InputError, match="raf_db"):
        examine([split], "nonsense", progress=False)
    with pytest.raises(InputError, match="--train"):
        examine([], progress=False)


def test_a_wrong_order_is_not_called_another_data_set(tmp_path):
    published = np.array(READERS["raf_db"].published_counts["test"])
    labels = np.repeat(np.arange(7), published[[3, 4, 5, 1, 2, 6, 0]])
    split = made_up_split(labels, np.full([len(labels), 2], np.nan), "test", folder=tmp_path)
    findings = examine([split], progress=False)
    (order,) = [finding for finding in findings if finding.check == "label order"]
    assert order.level == MISTAKE
    assert not any("another data set" in finding.text for finding in findings)
