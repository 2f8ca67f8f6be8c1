"""A run folder with made-up findings, for the tests of the audit."""

import cv2
import numpy as np
import pandas as pd

from ldl_fer.config import Config
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.config.settings import DataConfig as Data
from ldl_fer.training.run import Run

NAMES = [name.lower() for name in CLASS_NAMES]


def make_run(folder, count=30, held_out=6, neighbors=3, seed=0, ldlva=True):
    """`count` rows of train.csv, the last `held_out` of which were not trained on."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    paths = [f"a/face {row}, <b>.png" if row % 5 == 0 else f"face{row}.png" for row in range(count)]
    for path in paths:
        (folder / "images" / path).parent.mkdir(exist_ok=True)
        picture = random.integers(0, 256, [24, 24, 3], np.uint8)
        assert cv2.imwrite(str(folder / "images" / path), picture)
    table = pd.DataFrame(
        {
            "remark": [f'"{row}", of\n<two> lines' for row in range(count)],
            "subDirectory_filePath": paths,
            "expression": random.integers(0, 7, count),
            "valence": random.uniform(-1, 1, count).round(4),
            "arousal": random.uniform(-1, 1, count).round(4),
            "clean_expression": random.integers(0, 7, count),
        }
    )
    table.to_csv(folder / "train.csv", index=False)
    size = count - held_out
    samples = table.head(size).assign(source_row=range(size), sample_id=range(size))
    parts = {"probability": random.dirichlet(np.full(7, 0.5), size)}
    if ldlva:
        samples["uncertainty"] = random.uniform(0, 1, size)
        parts |= {name: random.dirichlet(np.ones(7), size) for name in ("aggregated", "target")}
    columns = {
        f"{part}_{name}": values[:, j]
        for part, values in parts.items()
        for j, name in enumerate(NAMES)
    }
    samples = samples.assign(**columns)
    if ldlva:
        for name, values in {
            "neighbors": (np.arange(size)[:, None] + 1 + np.arange(neighbors)) % size,
            "calibration": random.uniform(0.2, 1, [size, neighbors]).round(3),
            "contribution": random.uniform(0, 0.2, [size, neighbors]).round(3),
        }.items():
            samples[name] = [";".join(map(str, row)) for row in values]
    data = Data(train_data_path=str(folder / "train.csv"), train_image_dir=str(folder / "images"))
    run = Run(folder / "run")
    run.begin(Config(data=data))
    samples.to_csv(run.samples_file, index=False)
    return run
