"""Records give back pictures and table to the bit, and are found again by content and settings."""

import json
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.called import call
from helpers.made_up_set import CLASS_NAMES, decoded, make_set, some_neighbors

from ldl_fer import files
from ldl_fer.config.settings import DataConfig
from ldl_fer.data import record_writer, records
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.auxiliary import auxiliary_space
from ldl_fer.data.manifest import ANNOTATIONS, MANIFEST
from ldl_fer.data.neighbors import add_neighbors, nearest_neighbors, neighbors_of
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.records import Records, prepare_records
from ldl_fer.errors import InputError
from ldl_fer.networks.encoded_pictures import decode_picture

COUNT, K = 60, 4


def make_records(folder, annotations, **settings):
    settings = {
        "image_size": 12,
        "neighbors": some_neighbors(COUNT, K),
        "shard_bytes": 6_000,
        "progress": False,
    } | settings
    write_records(annotations, folder / "images", folder / "records", **settings)
    return Records(folder / "records")


def test_decoded_when_read_or_before_makes_no_difference(tmp_path):
    records = make_records(tmp_path, make_set(tmp_path, COUNT))
    ids = tf.constant([7, 0, 59, 7])
    kept = records.examples(ids, ["image", "label"])
    read = Records(records.folder, decoded=False).examples(ids, ["image", "label"])
    assert (records.folder / "pixels.npy").exists()
    for name, values in kept.items():
        np.testing.assert_array_equal(read[name], values, err_msg=name)


@pytest.mark.parametrize("votes", [True, False])
def test_round_trip_is_lossless(tmp_path, votes):
    annotations = make_set(tmp_path, COUNT, votes=votes)
    records = make_records(tmp_path, annotations)
    assert len(records.manifest.shards) > 3
    ids = np.random.default_rng(0).permutation(COUNT)
    found, neighbors = decoded(records, ids), some_neighbors(COUNT, K)[ids]
    labels, points = annotations.labels, annotations.valence_arousal
    expected = {
        "image": [(tmp_path / "images" / annotations.paths[i]).read_bytes() for i in ids],
        "label": labels[ids],
        "valence_arousal": points[ids],
        "sample_id": ids,
        "neighbors": neighbors,
        "neighbor_labels": labels[neighbors],
        "neighbor_valence_arousal": points[neighbors],
        "votes": annotations.votes[ids] if votes else np.zeros([COUNT, 3]),
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert records.manifest.has_votes == votes


def test_re_encoded_pictures_keep_their_pixels(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    names = [f"{row:04d}.bmp" for row in range(COUNT)]
    pictures = np.random.default_rng(1).integers(0, 256, [COUNT, 12, 12, 3], dtype=np.uint8)
    for name, picture in zip(names, pictures, strict=True):
        cv2.imwrite(str(tmp_path / "images" / name), picture)
    annotations.table["subDirectory_filePath"] = names
    records = make_records(tmp_path, annotations)
    assert records.manifest.images_copied == 0
    images = decoded(records, np.arange(COUNT))["image"]
    found = np.stack([tf.io.decode_image(image).numpy() for image in images])
    np.testing.assert_array_equal(found, pictures[..., ::-1])  # OpenCV wrote BGR


def test_every_picture_is_brought_to_the_size(tmp_path):
    records = make_records(tmp_path, make_set(tmp_path, COUNT), image_size=9)
    for image in decoded(records, np.arange(COUNT))["image"]:
        assert tf.io.decode_image(image, channels=3).shape == (9, 9, 3)


def test_annotations_come_back_with_the_neighbors(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    records = make_records(tmp_path, annotations)
    found = records.annotations()
    pd.testing.assert_frame_equal(found.table.drop(columns="knn"), annotations.table)
    np.testing.assert_array_equal(found.neighbors, some_neighbors(COUNT, K))
    assert found.class_names == CLASS_NAMES
    assert records.annotations() is found


def test_attributes(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    records = make_records(tmp_path, annotations)
    assert len(records) == COUNT
    assert records.num_neighbors == K
    assert records.image_size == 12
    assert records.class_names == CLASS_NAMES
    assert records.class_counts == tuple(np.bincount(annotations.labels, minlength=3))
    assert records.folder == tmp_path / "records"


def test_sets_without_neighbors(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    records = make_records(tmp_path, annotations, neighbors=np.zeros([COUNT, 0], np.int32))
    found = decoded(records, [3, 1])
    assert found["neighbor_valence_arousal"].shape == (2, 0, 2)
    assert records.annotations().neighbors is None


def test_concurrent_fetches_inside_tf_data(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    records = make_records(tmp_path, annotations)
    batches = np.random.default_rng(0).integers(0, COUNT, [200, 32])
    dataset = tf.data.Dataset.from_tensor_slices(batches)
    dataset = dataset.map(lambda ids: records.examples(ids, ["sample_id"]), num_parallel_calls=8)
    assert dataset.element_spec == {"sample_id": tf.TensorSpec([32], tf.int32)}
    found = list(dataset.as_numpy_iterator())
    for ids, batch in zip(batches, found, strict=True):
        np.testing.assert_array_equal(batch["sample_id"], ids)


def operations(function):
    """Kinds of all operations of a graph and of its loops and branches."""
    graph = function.get_concrete_function().graph.as_graph_def()
    bodies = [graph.node, *(called.node_def for called in graph.library.function)]
    return {node.op for nodes in bodies for node in nodes}


def test_nothing_of_a_batch_is_read_by_python(tmp_path):
    records = make_records(tmp_path, make_set(tmp_path, COUNT))
    names = ["image", "label", "neighbors", "neighbor_auxiliary"]
    spec = [tf.TensorSpec([None], tf.int32)]
    run = tf.function(lambda ids: records.examples(ids, names), spec)
    assert not [kind for kind in operations(run) if "Py" in kind]


def test_pixels_are_those_of_the_pictures(tmp_path, monkeypatch):
    annotations = make_set(tmp_path, COUNT)
    records = make_records(tmp_path, annotations)
    (tmp_path / "large").mkdir()
    (tmp_path / "large/images").symlink_to(tmp_path / "images")
    monkeypatch.setattr(record_writer, "_MOST_PIXELS", COUNT * 12 * 12 * 3 - 1)
    large = make_records(tmp_path / "large", annotations)
    assert (records.folder / "pixels.npy").exists() > (large.folder / "pixels.npy").exists()
    ids = np.array([7, 3, 7, 59], np.int32)
    files = [(tmp_path / "images" / annotations.paths[i]).read_bytes() for i in ids]
    pictures = [decode_picture(file) for file in files]
    spec = [tf.TensorSpec([None], tf.int32)]
    for opened in (records, large):
        read = tf.function(lambda ids, opened=opened: opened.examples(ids, ["image"]), spec)
        np.testing.assert_array_equal(read(tf.constant(ids))["image"], pictures)
        assert read.get_concrete_function().structured_outputs["image"].shape[1:] == [12, 12, 3]
        assert opened.encoded(ids).numpy().tolist() == files


def test_out_of_range_ids_inside_a_graph(tmp_path):
    records = make_records(tmp_path, make_set(tmp_path, COUNT))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[0, 60\)"):
        tf.function(lambda ids: records.examples(ids, ["label"]))(tf.constant([0, 60]))


def test_the_command_writes_records(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    done = call(
        "records",
        f"--annotations={tmp_path}/all.csv",
        f"--image_dir={tmp_path}/images",
        f"--output_dir={tmp_path}/records",
        "--image_size=12",
        "--num_neighbors=4",
        "--class_names=Calm,Glad,Sad",
    )
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} samples, 4 neighbors each" in done.stdout
    assert f"{COUNT} copied, 0 re-encoded" in done.stdout
    manifest = json.loads((tmp_path / "records" / "manifest.json").read_text())
    assert manifest["count"] == COUNT


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
    monkeypatch.setattr(records, "write_records", None)  # would fail if it was called
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


def spaced(folder, annotations, size=5, seed=0):
    """Vectors of all pictures in folder/mine.npz, and the settings that find them."""
    vectors = np.random.default_rng(seed).normal(size=[len(annotations), size])
    np.savez(folder / "mine.npz", path=np.array(annotations.paths), vectors=vectors)
    return DataConfig(auxiliary=str(folder / "mine.npz"))


def test_records_of_the_plane_have_the_identity_that_they_had(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    made = prepare(tmp_path)
    versions = 2, "neighbors are other pictures"
    identity = annotations.identity(tmp_path / "images", 12, K, *versions)
    assert made.folder.name == f"all-{identity}"
    assert made.manifest.settings.keys() == {"image_dir", "shard_bytes", "jpeg_quality"}
    assert not (made.folder / "auxiliary.npy").exists()


def test_records_of_another_space(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.table.drop(columns=["valence", "arousal"]).to_csv(tmp_path / "all.csv", index=False)
    data = spaced(tmp_path, annotations)
    made = prepare(tmp_path, data=data)
    space = auxiliary_space(annotations, data, "all.csv")
    neighbors = nearest_neighbors(space, K)
    ids = np.array([7, 0, 7, 59], np.int32)
    names = ["neighbor_auxiliary", "label", "auxiliary", "neighbors"]
    for opened in (made, Records(made.folder)):
        spec = [tf.TensorSpec([None], tf.int32)]
        run = tf.function(lambda ids, opened=opened: opened.examples(ids, names), spec)
        found = run(tf.constant(ids))
        assert list(found) == names
        np.testing.assert_array_equal(found["auxiliary"], space[ids])
        np.testing.assert_array_equal(found["neighbors"], neighbors[ids])
        np.testing.assert_array_equal(found["neighbor_auxiliary"], space[neighbors[ids]])
        np.testing.assert_array_equal(found["label"], annotations.labels[ids])
        shapes = run.get_concrete_function().structured_outputs
        assert shapes["auxiliary"].shape.as_list() == [None, 5]
        assert shapes["neighbor_auxiliary"].shape.as_list() == [None, K, 5]
    assert made.manifest.space["auxiliary"] == "file"
    assert opened.annotations().labels.tolist() == annotations.labels.tolist()
    np.save(made.folder / "auxiliary.npy", space + 1)
    with pytest.raises(InputError, match="auxiliary.npy"):
        Records(made.folder)


def test_another_space_is_other_records(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    folders = [prepare(tmp_path).folder]
    for size, seed in ((5, 0), (5, 1), (2, 0)):
        folders.append(prepare(tmp_path, data=spaced(tmp_path, annotations, size, seed)).folder)
    assert len(set(folders)) == 4
    assert prepare(tmp_path, data=spaced(tmp_path, annotations, 5, 1)).folder == folders[2]
    # A set that is only evaluated has no neighbors, and no space.
    alone = [prepare(tmp_path, data=data, num_neighbors=0).folder for data in (None, DataConfig())]
    data = spaced(tmp_path, annotations)
    assert {prepare(tmp_path, data=data, num_neighbors=0).folder} == set(alone)


def test_the_command_writes_records_of_another_space(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    data = spaced(tmp_path, annotations)
    done = call(
        "records",
        *(f"--annotations={tmp_path}/all.csv", f"--image_dir={tmp_path}/images"),
        *(f"--output_dir={tmp_path}/records", "--image_size=12", "--num_neighbors=4"),
        *("--class_names=Calm,Glad,Sad", f"--auxiliary={data.auxiliary}"),
    )
    assert "60 samples, 4 neighbors each by file" in done.stdout
    records = Records(tmp_path / "records")
    neighbors = nearest_neighbors(auxiliary_space(annotations, data, "all.csv"), 4)
    np.testing.assert_array_equal(decoded(records, np.arange(COUNT))["neighbors"], neighbors)


def test_replaced_pictures_are_other_records(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.write(tmp_path / "all.csv")
    first, images = prepare(tmp_path), tmp_path / "images"
    former = (images / annotations.paths[2]).read_bytes()
    (images / annotations.paths[0]).write_bytes(former)  # of another size
    second = prepare(tmp_path)
    assert second.folder != first.folder
    assert decoded(second, [0])["image"].tolist() == [former]
    (images / annotations.paths[0]).write_bytes(former[:-1] + b"x")  # of another time only
    with pytest.raises(InputError, match=f"row 0: {annotations.paths[0]}"):
        prepare(tmp_path)
    (images / annotations.paths[0]).unlink()
    with pytest.raises(InputError, match=f"row 0: {annotations.paths[0]}: No such file"):
        prepare(tmp_path)


def test_a_name_that_no_file_can_have_is_one_of_a_picture_that_is_missing(tmp_path):
    annotations = make_set(tmp_path, COUNT)
    annotations.table.loc[3, "subDirectory_filePath"] = "a" * 300 + ".png"
    with pytest.raises(InputError, match="row 3: aaa.*File name too long"):
        prepare(tmp_path, annotations=annotations)


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
            "valence": [0.0, 0.3000000001, 0.3],  # the last two are one in float32
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


def test_files_are_hashed_once_when_written_and_once_when_opened(tmp_path, monkeypatch):
    hashed, real = [], files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: hashed.append(path.name) or real(path))
    annotations = make_set(tmp_path, COUNT)
    settings = dict(image_size=12, num_neighbors=K, class_names=CLASS_NAMES, progress=False)
    for _ in range(2):
        folders = tmp_path / "images", tmp_path / "records"
        prepare_records("train.csv", *folders, annotations=annotations, **settings)
        assert len(hashed) == len(set(hashed)) and {MANIFEST, ANNOTATIONS} < set(hashed)
        hashed.clear()
