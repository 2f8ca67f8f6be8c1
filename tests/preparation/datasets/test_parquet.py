"""Parquet with pictures in it, as Hugging Face writes it: names, splits, bytes, damage."""

import json

import cv2
import numpy as np
import pytest
from helpers.called import call
from helpers.data_set_copies import complaint, names_of

from ldl_fer.preparation.datasets import READERS

pa = pytest.importorskip("pyarrow", reason="pip install pyarrow")
pq = pytest.importorskip("pyarrow.parquet", reason="pip install pyarrow")

NAMES = ["angry", "happy", "sad"]
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}}


def encoded(value, ending=".png"):
    return cv2.imencode(ending, np.full([4, 4, 3], value, np.uint8))[1].tobytes()


def write(path, images, labels, named=True, column="label", **more):
    """As `datasets.Dataset.to_parquet`: a struct of bytes and path, the features in the schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": image, "path": None} for image in images]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(cells, kind), column: labels, **more})
    if named:
        features = json.dumps({"info": {"features": FEATURES}})
        table = table.replace_schema_metadata({"huggingface": features})
    pq.write_table(table, path, row_group_size=2)


def test_pictures_and_names_of_all_files(tmp_path):
    images = [encoded(10 * n, ".jpg" if n == 1 else ".png") for n in range(5)]
    write(tmp_path / "data/train-00000-of-00002.parquet", images[:3], [0, 1, 2])
    write(tmp_path / "data/train-00001-of-00002.parquet", images[3:4], [1])
    write(tmp_path / "data/test-00000-of-00001.parquet", images[4:], [2])
    data_set = READERS["parquet"].read(tmp_path)
    assert names_of(data_set, "train") == ["Anger", "Happy", "Sad", "Happy"]
    assert names_of(data_set, "test") == ["Sad"]
    train = data_set.splits["train"].paths
    assert train == [f"train/{n:07d}.{'jpg' if n == 1 else 'png'}" for n in range(4)]
    assert [data_set.picture(path) for path in (*train, "test/0000000.png")] == images
    files, folder = data_set.write(tmp_path / "out", progress=False)
    assert [(folder / path).read_bytes() for path in train] == images[:4]
    assert set(files) == {"train", "test"}


def test_labels_as_text_and_bare_bytes(tmp_path):
    table = {"emotion": ["joy", "Contempt"], "jpg": [encoded(1, ".jpg"), encoded(2, ".jpg")]}
    table |= {"valence": [0.5, 0.25], "arousal": [None, -1.0]}
    pq.write_table(pa.table(table), tmp_path / "mine.parquet")
    data_set = READERS["parquet"].read(tmp_path)
    assert names_of(data_set, "all") == ["Happy"]
    np.testing.assert_equal(data_set.splits["all"].valence_arousal, [[0.5, np.nan]])
    assert data_set.left_out == {("all", "Contempt, not among the classes"): 1}


def test_numbers_without_names_need_a_map(tmp_path):
    file = tmp_path / "train/0000.parquet"
    write(file, [encoded(1), encoded(2)], [0, 5], named=False, column="labels")
    assert "labels without a name: 0, 5" in complaint("parquet", tmp_path)
    data_set = READERS["parquet"].read(tmp_path, map=("0=Fear", "5=Surprise"))
    assert names_of(data_set, "train") == ["Fear", "Surprise"]
    assert data_set.splits["train"].table["original_label"].tolist() == ["0", "5"]


def test_the_command_writes_the_pictures(tmp_path):
    write(tmp_path / "hub/data/validation-00000-of-00001.parquet", [encoded(7)], [1])
    done = call("datasets", "parquet", f"--root={tmp_path}/hub", f"--output={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/images/val/0000000.png").read_bytes() == encoded(7)


def test_what_is_wrong_is_named(tmp_path):
    file = tmp_path / "a/test.parquet"
    write(file, [encoded(1), b"", b"text"], [0, 1, 2])
    told = complaint("parquet", file.parent)
    assert "2 problems" in told and "row 2: image holds no picture" in told
    pq.write_table(pa.table({"label": [1], "pixels": ["1 2"]}), file)
    assert "no column of pictures" in complaint("parquet", file.parent)
    write(file, [encoded(1)], [0], valence=[1.5], arousal=[0.0])
    assert "row 0: valence is 1.5, not in [-1, 1]" in complaint("parquet", file.parent)
    file.write_bytes(file.read_bytes()[:-5])
    assert "test.parquet cannot be read" in complaint("parquet", file.parent)
    assert "looked for *.parquet" in complaint("parquet", tmp_path / "a", splits=("train",))
