"""Reads the training set of a run as its owner knows it: every row of the file, every picture."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.data.annotations import SOURCE_ROW, Annotations, read_annotations
from ldl_fer.data.paths import is_csv
from ldl_fer.data.pictures import decoded_image, named_when_unreadable, picture_bytes
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError
from ldl_fer.training.run import Run


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training set of a run: M rows of the annotation file, N <= M that it was trained on.

    Attributes:
      annotations: all M rows.
      samples: N rows of the run's samples.csv.
      rows: int [N], the row of `annotations` that each of them is.
      picture: row -> the bytes of its picture file; OSError or ValueError where it cannot be
        read.
      name: of the annotation file, without its ending.
    """

    annotations: Annotations
    samples: pd.DataFrame
    rows: np.ndarray
    picture: Callable[[int], bytes]
    name: str

    def pixels(self, rows: Iterable[int]) -> list[np.ndarray]:
        """Reads the pictures of some rows, RGB uint8 [H, W, 3] each, in their own size.

        Raises:
          InputError: one cannot be read.
        """
        cure = "Name the folder of the training pictures by --train_image_dir"
        found = []
        for row in map(int, rows):
            with named_when_unreadable(self.annotations.paths[row], cure, row):
                found.append(decoded_image(self.picture(row)))
        return found


def training_set(
    run_dir: str | os.PathLike,
    annotations: str | os.PathLike | None = None,
    image_dir: str | os.PathLike | None = None,
) -> TrainingSet:
    """Reads the annotations that a run was trained on, and its samples.csv.

    Args:
      run_dir: the run folder.
      annotations: the CSV (or folder of shards) trained on; None: where the run found it.
      image_dir: folder that the CSV's paths start from; None: where the run found it.

    Raises:
      InputError: there is no finished run, or the training set is gone or has changed since.
    """
    run = Run(run_dir)
    run.check_samples()
    config = run.config()
    path = Path(annotations or config.data.train_data_path)
    if is_csv(path):
        folder = Path(image_dir or config.data.train_image_dir)
        if not path.exists() or not folder.is_dir():
            raise InputError(
                f"the run was trained on {path} with pictures in {folder}, and not both are there. "
                "Name their places by --annotations=FILE.csv --image_dir=FOLDER."
            )
        names = config.data.class_names
        table = read_annotations(path, folder, names, 1, knn=False, plane=False, decode=False)
        paths = table.paths

        def picture(row: int) -> bytes:
            return picture_bytes(folder / paths[row])

    else:
        records = Records(path)
        table = records.annotations().subset(np.arange(len(records)))

        def picture(row: int) -> bytes:
            return records.encoded(np.array([row])).numpy()[0]

    samples = run.samples
    rows = samples.get(SOURCE_ROW, samples["sample_id"]).to_numpy()
    _check_rows(path, run, table, samples, rows)
    return TrainingSet(table, samples, rows, picture, path.stem)


def _check_rows(
    path: Path, run: Run, table: Annotations, samples: pd.DataFrame, rows: np.ndarray
) -> None:
    """Raises InputError unless each sample is the row of the file that it was."""
    if rows.max() < len(table):
        same = np.array(table.paths)[rows] == samples["subDirectory_filePath"].to_numpy()
        same &= table.labels[rows] == samples["expression"].to_numpy()
        if same.all():
            return
        row = rows[~same][0]
        what = f"row {row} ({table.paths[row]}) is not what it was"
    else:
        what = f"it has {len(table)} rows, the run knows of row {rows.max()}"
    raise InputError(
        f"{path} has changed since {run.folder} was trained on it: {what}. Give the file that was "
        "trained on by --annotations."
    )
