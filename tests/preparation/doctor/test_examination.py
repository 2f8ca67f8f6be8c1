"""All checks together: a sound set passes; a data set must be known."""

import numpy as np
import pytest
from helpers.made_up_split import made_up_split

from ldl_fer.errors import InputError
from ldl_fer.preparation.doctor.examination import examine
from ldl_fer.preparation.doctor.finding import FINE, NOT_LOOKED_AT
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
