"""Annotations of no pictures."""

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotations import Annotations


def random_annotations(rows, seed=0, classes=7):
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "subDirectory_filePath": [f"x/{i}.png" for i in range(rows)],
            "expression": random.integers(0, classes, rows),
            "valence": random.uniform(-1, 1, rows),
            "arousal": random.uniform(-1, 1, rows),
        }
    )
    return Annotations(table, CLASS_NAMES[:classes])
