"""Shared by the tests of the doctor: a sound data set."""

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_split import blurred, made_up_split, picture_file

LABELS = np.tile(np.arange(7), 12)


@pytest.fixture
def data_set(tmp_path):
    """train.csv and test.csv of 84 different pictures each."""
    for seed, name in ((0, "train"), (1000, "test")):
        split = made_up_split(LABELS, name=name)
        paths = [picture_file(tmp_path, f"{name}/{i}.png", blurred(seed + i)) for i in range(84)]
        valence, arousal = split.valence_arousal.T
        columns = {"expression": LABELS, "valence": valence, "arousal": arousal}
        table = pd.DataFrame({"subDirectory_filePath": paths} | columns)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path
