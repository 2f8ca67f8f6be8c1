"""Writes one HTML file with the whole audit: labels by suspicion, data and pictures.

The page's columns are made here, one value for each sample: `_sample_columns`, `_neighbor_columns`
and, for the CSV that the page lets its reader download, `_csv_columns`. The numbers in them are
those of the run's samples.csv, which `ldl_fer.training.samples` computes; page/samples.js reads
them, page/list.js and page/detail.js show them.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import LABEL
from ldl_fer.data.pictures import decoded_image
from ldl_fer.data.samples import neighbor_numbers, shares
from ldl_fer.evaluation.audit.suspicion import suspicion_of
from ldl_fer.evaluation.audit.training_set import TrainingSet
from ldl_fer.files import write_whole

_FOLDER = Path(__file__).parent / "page"
_SCRIPTS = ("samples", "review", "filters", "list", "detail", "plane", "main")
_QUALITY = 85  # of JPEG thumbnails
_HOLE = "\2"  # in a line of the CSV, in place of its class number
_END = "\1\n"  # of a line; a cell may hold "\n" itself
REVIEW = ("given_expression", "review")  # columns of a corrected CSV beside those of the given one


def write_page(
    path: str | Path,
    training: TrainingSet,
    title: str,
    count: int,
    side: int,
    progress: bool = True,
) -> list[str]:
    """Writes the audit of a training set.

    Args:
      path: the HTML file.
      training: of `training_set.training_set`.
      title: of the page.
      count: of samples listed, the most suspicious ones; 0: all.
      side: height and width of the pictures, pixels, at most.
      progress: whether to show a bar.

    Returns:
      Pictures that could not be read, as sentences.

    Raises:
      InputError: the file cannot be written.
    """
    names = training.annotations.class_names
    order = np.argsort(-suspicion_of(training.samples, names), kind="stable")
    listed = order[: count or None]
    shown = np.concatenate([listed, _other_neighbors(training.samples, listed)])
    rows = training.rows[shown]
    pictures, problems = thumbnails(training.picture, rows.tolist(), side, progress)
    data = {
        "title": title,
        "class_names": names,
        "fingerprint": training.annotations.fingerprint(),
        "listed": len(listed),
        "row": rows.tolist(),
        "pictures": pictures,
        **_sample_columns(training.samples.iloc[shown], names),
        **_neighbor_columns(training.samples, shown),
        **_csv_columns(training),
    }
    write_whole(path, _html(data))
    return problems


def thumbnails(
    picture: Callable[[int], bytes], rows: Sequence[int], side: int, progress: bool = True
) -> tuple[list[str], list[str]]:
    """Encodes pictures at most `side` x `side` pixels large, aspect ratio kept, none enlarged.

    Args:
      picture: row -> the bytes of a picture file.
      rows: of the pictures.
      side: pixels.
      progress: whether to show a bar.

    Returns:
      A base64 JPEG for each row, and a sentence for each picture that could not be read, which
      becomes a gray square.
    """

    def one(row: int) -> tuple[str, str | None]:
        try:
            image, problem = decoded_image(picture(row)), None
        except (OSError, ValueError) as error:
            image, problem = np.full([side, side, 3], 160, np.uint8), f"row {row}: {error}"
        return _encoded(image, side), problem

    with ThreadPoolExecutor() as pool:
        made = list(
            tqdm(pool.map(one, rows), "pictures", len(rows), unit="picture", disable=not progress)
        )
    return [text for text, _ in made], [problem for _, problem in made if problem]


def _other_neighbors(samples: pd.DataFrame, listed: np.ndarray) -> np.ndarray:
    """Returns samples that are not listed, but neighbors of some that are."""
    if "neighbors" not in samples:
        return np.zeros(0, int)
    return np.setdiff1d(neighbor_numbers(samples.iloc[listed], "neighbors", int), listed)


def _sample_columns(samples: pd.DataFrame, names: tuple[str, ...]) -> dict:
    """Returns labels, places and distributions of the page's samples; shares per mille."""
    columns = {
        "path": samples["subDirectory_filePath"].tolist(),
        "given": samples[LABEL].tolist(),
        "valence_arousal": _or_null(samples[["valence", "arousal"]].round(3).to_numpy()),
        "probability": _per_mille(shares(samples, "probability", names)),
        "suspicion": _per_mille(suspicion_of(samples, names)),
    }
    if "uncertainty" in samples:
        columns["uncertainty"] = _per_mille(samples["uncertainty"].to_numpy())
        for part in ("aggregated", "target"):
            columns[part] = _per_mille(shares(samples, part, names))
    return columns


def _neighbor_columns(samples: pd.DataFrame, shown: np.ndarray) -> dict:
    """Returns neighbors by their places on the page, none where one is missing there; per mille."""
    if "neighbors" not in samples:
        return {}
    place = np.full(len(samples), -1)
    place[shown] = np.arange(len(shown))
    part = samples.iloc[shown]
    places = place[neighbor_numbers(part, "neighbors", int)]
    columns = {"neighbors": [row if min(row) >= 0 else [] for row in places.tolist()]}
    for name in ("calibration", "contribution"):
        columns[name] = _per_mille(neighbor_numbers(part, name))
    return columns


def _csv_columns(training: TrainingSet) -> dict:
    """Returns the annotation file as text, with a hole for the class number in every line."""
    table = training.annotations.table.drop(columns=[*REVIEW], errors="ignore")
    holes = table.astype({LABEL: object}).assign(**{LABEL: _HOLE})
    text = holes.to_csv(index=False, header=False, lineterminator=_END)
    return {
        "csv_name": f"{training.name}_corrected.csv",
        "csv_header": ",".join([table.head(0).to_csv(index=False).rstrip("\r\n"), *REVIEW]),
        "csv_lines": text.split(_END)[:-1],
        "csv_labels": training.annotations.labels.tolist(),
    }


def _html(data: dict) -> str:
    scripts = "\n".join((_FOLDER / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    parts = {
        "STYLE": (_FOLDER / "page.css").read_text("utf-8"),
        "SCRIPT": scripts,
        # Inside a script element, only "<" could end the data early.
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    template = (_FOLDER / "page.html").read_text("utf-8")
    return re.sub(r"/\*(STYLE|SCRIPT|DATA)\*/", lambda match: parts[match[1]], template)


def _or_null(places: np.ndarray) -> list:
    """Turns [N, 2] into lists, None in the place of a row that has NaN."""
    known = ~np.isnan(places).any(axis=1)
    return [place if here else None for place, here in zip(places.tolist(), known, strict=True)]


def _per_mille(values: np.ndarray) -> list:
    return np.rint(1000.0 * values).astype(int).tolist()


def _encoded(image: np.ndarray, side: int) -> str:
    scale = side / max(image.shape[:2])
    if scale < 1.0:
        size = [max(1, round(length * scale)) for length in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return base64.b64encode(content).decode()
