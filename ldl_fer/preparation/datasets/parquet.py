"""Parquet files with the pictures in them, as Hugging Face passes data sets around.

    ROOT/data/train-00000-of-00002.parquet, test-00000-of-00001.parquet
    or in ROOT, or ROOT/train/0000.parquet; the split is in the name of the file or its folder

A row has a picture (`image`: a struct with `bytes`, or the bytes themselves) and a label: the
column `label`, `emotion` or `expression`, or --label_column. Names of numbered labels are read from
the file; --map=0=Angry,1=Disgust says them where it has none. Pictures are written as files, see
--image_dir, called by row: train/0000000.jpg. Needs the package pyarrow.
"""

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import AROUSAL, PATH, VALENCE, AnnotationError
from ldl_fer.errors import InputError, extra_package
from ldl_fer.preparation.datasets.class_folders import SPLIT_OF, SPLITS
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.table_labels import OPTIONS, ORDER, with_classes
from ldl_fer.preparation.datasets.table_labels import label_column as column_of_labels

_PLACE = "place"  # of a picture: file, column, row group, place in it
_ENDINGS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp"}
_ENDINGS |= {b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}


def parquet_rows(
    root: Path, splits: tuple[str, ...], map: Sequence[str], label_column: str
) -> Rows:
    """Reads the rows of all files; see `Reader.rows`.

    Args:
      map: entries VALUE=Class.
      label_column: its name; empty: a usual one.

    Raises:
      InputError: pyarrow or the files are missing, a file is damaged or lacks a column, or a row
        has no picture.
    """
    arrow = extra_package("pyarrow.parquet", "ldl-fer datasets parquet")
    damage = extra_package("pyarrow", "ldl-fer datasets parquet").ArrowException
    files: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*.parquet")):
        files.setdefault(_split(file.relative_to(root)), []).append(file)
    there = {split: files.get(split) for split in (*SPLITS, ALL)}
    chosen = wanted_splits(there, splits, root, "*.parquet")
    rows, names = list[pd.DataFrame](), list[str]()
    for split in [split for split in there if split in chosen]:
        start = 0
        for file in tqdm(there[split], f"reading {split}", unit="file", delay=2):
            try:
                opened = arrow.ParquetFile(file)
                part, known = _rows(opened, file, split, start, label_column)
            except (OSError, damage) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{file} cannot be read: {reason}. Download it again.") from error
            rows.append(part)
            names = names or known
            start += len(part)
    table = pd.concat(rows, ignore_index=True)
    place_of = dict(zip(table[PATH], table.pop(_PLACE), strict=True))
    table = with_classes(table, map, names, root)

    @functools.lru_cache(maxsize=1)
    def group(file: Path, column: str, number: int) -> list:
        return arrow.ParquetFile(file).read_row_group(number, [column])[column].to_pylist()

    def picture(path: str) -> bytes:
        file, column, number, place = place_of[path]
        return _bytes(group(file, column, number)[place])

    return Rows(table, picture=picture)


def _rows(
    opened: Any, file: Path, split: str, start: int, wanted: str
) -> tuple[pd.DataFrame, list[str]]:
    """Reads one file: a row per picture, with its `_PLACE`, and the names of numbered labels."""
    schema = opened.schema_arrow
    image = _image_column(schema, file)
    label = column_of_labels([name for name in schema.names if name != image], wanted, file)
    carried = [VALENCE, AROUSAL] if {VALENCE, AROUSAL} <= set(schema.names) else []
    values = opened.read([label, *carried]).to_pandas()
    paths, places, problems = list[str](), list[tuple[Path, str, int, int]](), []
    for number, place, cell in _cells(opened, image):
        ending = next((e for mark, e in _ENDINGS.items() if _bytes(cell).startswith(mark)), None)
        if ending is None:
            problems.append((None, f"row {len(paths)}: {image} holds no picture"))
        paths.append(f"{split}/{start + len(paths):07d}{ending}")
        places.append((file, image, number, place))
    original = values[label].map(lambda value: "" if value is None else str(value).strip())
    numbers = values[carried].apply(pd.to_numeric, errors="coerce")
    for name in carried:
        for row in numbers.index[numbers[name].abs() > 1]:
            problems.append((None, f"row {row}: {name} is {numbers[name][row]:g}, not in [-1, 1]"))
    if problems:
        raise AnnotationError(file, problems)
    columns = {PATH: paths, SPLIT: split, ORIGINAL: original, _PLACE: places}
    return pd.DataFrame(columns).join(numbers), _names(schema, label)


def _cells(opened: Any, column: str) -> Iterator[tuple[int, int, Any]]:
    for number in range(opened.num_row_groups):
        for place, cell in enumerate(opened.read_row_group(number, [column])[column].to_pylist()):
            yield number, place, cell


def _bytes(cell: Any) -> bytes:
    """Returns the picture file of a cell; empty where there is none."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    return content if isinstance(content, bytes) else b""


def _image_column(schema: Any, file: Path) -> str:
    """Returns the column of the pictures: the first that holds bytes."""
    for field in schema:
        inner = [part.name for part in field.type] if "struct" in str(field.type) else []
        if "bytes" in inner or str(field.type) in ("binary", "large_binary"):
            return str(field.name)
    raise InputError(
        f"{file} has no column of pictures, a struct with `bytes`; it has "
        f"{', '.join(schema.names)}. Give a data set whose Parquet holds the picture files."
    )


def _names(schema: Any, label: str) -> list[str]:
    """Returns the names of the numbers 0, 1, ... that Hugging Face keeps in the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _split(path: Path) -> str:
    """Returns the split that the name of a file, or of its folder, begins with."""
    words = [re.split(r"[^a-z]", part.lower())[0] for part in reversed(path.parts)]
    return next((SPLIT_OF[word] for word in words if word in SPLIT_OF), ALL)


READER = Reader(
    name="parquet",
    title="Parquet files with pictures",
    rows=parquet_rows,
    label_order=ORDER,
    published_counts={},
    options=OPTIONS,
)
