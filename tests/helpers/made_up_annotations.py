"""Annotations without pictures, for the tests of noise and of label lists."""

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import Annotations


def made_up_annotations(rows=50, votes=False):
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "subDirectory_filePath": [f"train/{i}.png" for i in range(rows)],
            "expression": random.integers(0, 7, rows),
            "valence": random.uniform(-1, 1, rows),
            "arousal": random.uniform(-1, 1, rows),
            "knn": [f"{(i + 1) % rows};{(i + 2) % rows}" for i in range(rows)],
            "subject": [f"{i:03}" for i in range(rows)],
        }
    )
    if votes:
        drawn = random.multinomial(10, np.full(7, 1 / 7), rows)
        for number, name in enumerate(CLASS_NAMES):
            table[f"votes_{name.lower()}"] = drawn[:, number]
    return Annotations(table, CLASS_NAMES)
