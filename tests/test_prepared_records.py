"""Records of a CSV are made once and found again, with the file's neighbors or computed ones."""

import threading

import numpy as np
import pandas as pd
import pytest
from made_up_set import CLASS_NAMES, decoded, make_set, some_neighbors

from ldl_fer import prepared_records
from ldl_fer.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.neighbors import add_neighbors
from ldl_fer.prepared_records import neighbors_of, prepare_records

COUNT, K = 60, 4


def prepare(folder, csv="all.csv", **settings):
    settings = {
        "image_size": 12,
        "num_neighbors": K,
        "class_names": CLASS_NAMES,
        "progress": False,
    } | settings
    return prepare_records(folder / csv, folder / "images", folder / "kept", **settings)


def test_prepared_records_are_found_again(tmp_path, monkeypatch):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    first = prepare(tmp_path)
    assert first.folder.parent == tmp_path / "kept"
    assert first.folder.name.startswith("all-")
    assert len(first.folder.name) == len("all-") + 12
    monkeypatch.setattr(prepared_records, "write_records", None)  # would fail if it was called
    again = prepare(tmp_path)
    assert again.folder == first.folder
    assert again.manifest == first.manifest


def test_other_content_or_settings_are_other_records(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    for path in (tmp_path / "images").iterdir():
        (tmp_path / "other" / path.name).write_bytes(path.read_bytes())
    folders = [
        prepare(tmp_path).folder,
        prepare(tmp_path, image_size=9).folder,
        prepare(tmp_path, num_neighbors=2).folder,
        prepare(tmp_path, class_names=("Calm", "Glad", "Low")).folder,
        prepare(tmp_path, annotations=annotations.subset(range(30))).folder,
        prepare_records(
            tmp_path / "all.csv",
            tmp_path / "other",
            tmp_path / "kept",
            image_size=12,
            num_neighbors=K,
            class_names=CLASS_NAMES,
            progress=False,
        ).folder,
    ]
    assert len(set(folders)) == len(folders)
    # Another way to the same images is the same data set.
    assert prepare(tmp_path / "elsewhere").folder.resolve() == folders[0].resolve()
    changed = annotations.table.assign(valence=-annotations.table["valence"])
    changed.to_csv(tmp_path / "all.csv", index=False)
    assert prepare(tmp_path).folder not in folders


def test_given_neighbors_are_used_where_they_suffice(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    given = some_neighbors(COUNT, K, seed=3)
    table = annotations.table.assign(knn=[";".join(map(str, row)) for row in given])
    table.to_csv(tmp_path / "all.csv", index=False)
    fewer = prepare(tmp_path, num_neighbors=2)
    np.testing.assert_array_equal(decoded(fewer, np.arange(COUNT))["neighbors"], given[:, :2])
    more = decoded(prepare(tmp_path, num_neighbors=K + 1), np.arange(COUNT))
    points = annotations.table[["valence", "arousal"]].to_numpy()
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(more["neighbors"], np.argsort(distance, axis=1)[:, : K + 1])


def test_computed_neighbors_are_those_of_the_neighbors_command_to_the_digit():
    table = pd.DataFrame(
        {
            "subDirectory_filePath": ["a.png", "b.png", "c.png"],
            "expression": [0, 1, 2],
            "valence": [0.0, 0.3000000001, 0.3],  # float32 cannot tell the last two apart
            "arousal": [0.0, 0.0, 0.0],
        }
    )
    annotations = Annotations(table, CLASS_NAMES)
    found = neighbors_of(annotations, 1)
    # |0 - 0.3| < |0 - 0.3000000001|: row 2 is nearer to row 0 than row 1 is.
    assert found.dtype == np.int32 and found.tolist() == [[2], [2], [1]]
    np.testing.assert_array_equal(found, add_neighbors(annotations, 1).neighbors)
    assert neighbors_of(annotations, 0).shape == (3, 0)


def test_damaged_prepared_records_are_refused_not_trained_on(tmp_path):
    make_set(tmp_path, COUNT).write(tmp_path / "all.csv")
    records = prepare(tmp_path)
    (records.folder / records.manifest.shards[0].name).write_bytes(b"")
    with pytest.raises(InputError, match="0 bytes"):
        prepare(tmp_path)


def test_two_runs_may_prepare_the_same_records_at_once(tmp_path):
    make_set(tmp_path, COUNT).write(tmp_path / "all.csv")
    made, start = [], threading.Barrier(3)

    def run():
        start.wait()
        made.append(prepare(tmp_path))

    threads = [threading.Thread(target=run) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(made) == 3
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [made[0].folder.name]


@pytest.mark.slow
def test_real_faces(tmp_path, ferplus):
    records = prepare_records(
        ferplus / "train.csv",
        ferplus / "images",
        tmp_path,
        image_size=48,
        num_neighbors=8,
        class_names=("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger"),
        progress=False,
    )
    assert len(records) == records.manifest.images_copied == 12_271
    paths = records.annotations().paths
    for start in range(0, len(records), 1000):
        ids = np.arange(start, min(start + 1000, len(records)))
        found = decoded(records, ids)
        np.testing.assert_array_equal(found["sample_id"], ids)
        for i, image in zip(ids, found["image"], strict=True):
            assert image == (ferplus / "images" / paths[i]).read_bytes()
