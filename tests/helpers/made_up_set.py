"""A small made-up data set on disk, for the tests of the records."""

import cv2
import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.data.annotations import Annotations
from ldl_fer.data.shards import decode_examples

CLASS_NAMES = ("Calm", "Glad", "Sad")


def make_set(folder, count, seed=0, votes=True, size=12):
    """`count` random size x size pictures in folder/images, JPEG and PNG, RGB and gray in turn."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    names = [f"{row:04d}.{('png', 'jpg')[row % 2]}" for row in range(count)]
    for row, name in enumerate(names):
        shape = (size, size, 3) if row % 4 < 2 else (size, size)
        picture = random.integers(0, 256, shape, dtype=np.uint8)
        assert cv2.imwrite(str(folder / "images" / name), picture)
    columns = {
        "subDirectory_filePath": names,
        "expression": random.integers(0, len(CLASS_NAMES), count),
        "valence": random.uniform(-1, 1, count).round(4),
        "arousal": random.uniform(-1, 1, count).round(4),
        "remark": [f"row {row}" for row in range(count)],
    }
    if votes:
        columns |= {f"votes_{name.lower()}": random.integers(0, 9, count) for name in CLASS_NAMES}
    return Annotations(pd.DataFrame(columns), CLASS_NAMES)


def some_neighbors(count, k, seed=0):
    """[count, k] sample_ids, all different in a row and never the row's own."""
    random = np.random.default_rng(seed)
    steps = np.stack([1 + random.permutation(count - 1)[:k] for _ in range(count)])
    return ((np.arange(count)[:, None] + steps) % count).astype(np.int32)


def decoded(records, ids):
    """The records of some sample_ids as a dict of numpy arrays, one row each."""
    sizes = records.num_neighbors, len(records.class_names)
    parsed = decode_examples(tf.constant(records.fetch(ids)), *sizes)
    return {name: value.numpy() for name, value in parsed.items()}
