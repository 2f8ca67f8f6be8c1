"""A data set as pooled maps: the columns that records have, by sample_id, and its batches."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.full_disk import files_of_at_most
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data import pipeline, pooled_records
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.batches import batch_spec
from ldl_fer.data.neighbors import add_neighbors, nearest_neighbors
from ldl_fer.data.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.data.pooled_records import PooledMaps, PooledRecords, pool_pictures
from ldl_fer.errors import InputError
from ldl_fer.networks.pooled_maps import SIZE

COUNT, NEIGHBORS = 23, 3
SIDE = 8  # of the pictures that a tiny network pools
CONFIG = PRESETS["frozen"].replace(
    num_neighbors=NEIGHBORS, batch_size=5, epochs=2, erase_probability=0.5
)
PLAIN = CONFIG.replace(flip=False, erase_probability=0.0)
FORWARD = dict(neighbors=NEIGHBORS, neighbor_images=True)


def without_knn(count=COUNT):
    table = made_up_annotations(count).table.drop(columns="knn")
    return Annotations(table, CLASS_NAMES)


@pytest.fixture(scope="module")
def maps():
    """Out of two parts, in another order than they are kept."""
    random = np.random.default_rng(0)
    parts = [random.normal(size=[n, 2, SIZE]).astype(np.float16) for n in (10, 13)]
    kept = [(0, row) for row in range(10)] + [(1, row) for row in range(13)]
    places = np.array(kept)[random.permutation(COUNT)]
    return PooledMaps(parts, places)


@pytest.fixture(scope="module")
def records(maps):
    return PooledRecords(without_knn(), maps, 112, 5)


def equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_attributes(records):
    assert len(records) == COUNT and records.image_size == 112 and records.num_neighbors == 5
    assert records.class_names == CLASS_NAMES
    labels = without_knn().labels
    assert records.class_counts == tuple(int((labels == c).sum()) for c in range(7))
    assert sum(records.class_counts) == COUNT
    assert records.annotations().paths == without_knn().paths


def test_examples_are_the_annotations_rows(records, maps):
    annotations = without_knn()
    names = [
        *("sample_id", "label", "image", "auxiliary", "neighbors", "neighbor_labels"),
        "neighbor_auxiliary",
    ]
    ids = np.array([7, 0, 22, 7], np.int32)
    found = records.examples(tf.constant(ids), names)
    assert list(found) == names
    neighbors = add_neighbors(annotations, 5).neighbors
    plane = annotations.valence_arousal
    expected = {
        **{"sample_id": ids, "label": annotations.labels[ids], "image": maps[ids]},
        **{"auxiliary": plane[ids], "neighbors": neighbors[ids]},
        "neighbor_labels": annotations.labels[neighbors[ids]],
        "neighbor_auxiliary": plane[neighbors[ids]],
    }
    equal({name: value.numpy() for name, value in found.items()}, expected)
    # By the definition of neighbors: nearest first, never oneself.
    for row, others in enumerate(neighbors):
        distance = np.square(plane - plane[row]).sum(axis=1)
        distance[row] = np.inf
        np.testing.assert_allclose(distance[others], np.sort(distance)[:5], rtol=1e-5)


def test_examples_in_another_space(maps):
    space = np.random.default_rng(0).normal(size=[COUNT, 4]).astype(np.float32)
    records = PooledRecords(without_knn(), maps, 112, NEIGHBORS, space)
    neighbors = nearest_neighbors(space, NEIGHBORS)
    ids = np.array([7, 0, 22], np.int32)
    found = records.examples(tf.constant(ids), ["auxiliary", "neighbors", "neighbor_auxiliary"])
    expected = {"auxiliary": space[ids], "neighbors": neighbors[ids]}
    expected["neighbor_auxiliary"] = space[neighbors[ids]]
    equal({name: value.numpy() for name, value in found.items()}, expected)
    (batch, *_) = training_dataset(records, PLAIN, neighbors=NEIGHBORS)
    assert batch["auxiliary"].shape == (5, 4)
    assert batch["neighbor_auxiliary"].shape == (5, NEIGHBORS, 4)


def test_examples_in_a_graph_have_known_shapes(records):
    spec = [tf.TensorSpec([None], tf.int32)]
    run = tf.function(lambda ids: records.examples(ids, ["image", "neighbors"]), spec)
    shapes = run.get_concrete_function().structured_outputs
    assert shapes["image"].shape.as_list() == [None, 2, SIZE]
    assert shapes["neighbors"].shape.as_list() == [None, 5]
    assert run(tf.constant([], tf.int32))["image"].shape == (0, 2, SIZE)


def test_one_column_alone(records, maps):
    ids = np.array([4, 1], np.int32)
    found = records.examples(tf.constant(ids), ["image"])
    np.testing.assert_array_equal(found["image"], maps[ids])


def test_neighbors_of_the_csv_are_taken(maps):
    annotations = made_up_annotations(COUNT)  # i + 1, i + 2
    records = PooledRecords(annotations, maps, 112, 2)
    found = records.examples(tf.constant([0, 22]), ["neighbors", "label"])["neighbors"]
    np.testing.assert_array_equal(found, [[1, 2], [0, 1]])


def test_sets_that_are_only_evaluated_need_no_neighbors(maps):
    records = PooledRecords(without_knn(), maps, 112, 0)
    found = records.examples(tf.constant([3]), ["neighbors", "label"])
    assert found["neighbors"].shape == (1, 0)
    batches = list(ordered_dataset(records, CONFIG))
    np.testing.assert_array_equal(np.concatenate([b["image"] for b in batches]), maps[:][:, 0])


def test_too_few_samples_are_refused(maps):
    with pytest.raises(InputError, match="23"):
        PooledRecords(without_knn(), maps, 112, COUNT)


# --- Batches -----------------------------------------------------------------------------------


def test_batches_are_what_the_spec_says(records):
    forward = training_dataset(records, CONFIG, **FORWARD).element_spec
    assert forward == batch_spec(112, NEIGHBORS, SIZE)
    bank = training_dataset(records, CONFIG, neighbors=NEIGHBORS).element_spec
    assert bank == {k: v for k, v in forward.items() if k != "neighbor_image"}
    plain = training_dataset(records, CONFIG).element_spec
    assert plain.keys() == {"sample_id", "label", "image", "mirrored_image"}


def test_what_is_erased_is_the_training_sets_mean(records, maps):
    config = PLAIN.replace(erase_probability=1.0)
    mean = maps.moments[0].astype(np.float32)
    for batch in training_dataset(records, config):
        given = maps[batch["sample_id"].numpy()][:, 0]
        lost = batch["image"].numpy() != given
        assert lost.any(axis=1).all() and not lost.all(axis=1).any()
        np.testing.assert_array_equal(batch["image"], np.where(lost, mean, given))


def test_each_sample_once_an_epoch_in_the_order_of_pictures(records):
    steps = steps_per_epoch(COUNT, 5)
    ids = [batch["sample_id"].numpy() for batch in training_dataset(records, CONFIG)]
    for epoch in (ids[:steps], ids[steps:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(COUNT))
    assert (np.concatenate(ids[:steps]) != np.concatenate(ids[steps:])).any()


def test_content(records, maps):
    plane = without_knn().valence_arousal
    for batch in training_dataset(records, PLAIN, **FORWARD):
        batch = {name: value.numpy() for name, value in batch.items()}
        ids, neighbors = batch["sample_id"], batch["neighbors"]
        np.testing.assert_array_equal(batch["image"], maps[ids][:, 0])
        np.testing.assert_array_equal(batch["mirrored_image"], maps[ids][:, 1])
        for i, k in np.ndindex(neighbors.shape):
            np.testing.assert_array_equal(batch["neighbor_image"][i, k], maps[neighbors[i]][k, 0])
            np.testing.assert_array_equal(batch["auxiliary"][i], plane[ids[i]])
            np.testing.assert_array_equal(batch["neighbor_auxiliary"][i, k], plane[neighbors[i, k]])


def test_a_run_goes_on_from_any_step(records):
    whole = list(training_dataset(records, CONFIG, **FORWARD))
    for start in (1, 5, 7):
        rest = list(training_dataset(records, CONFIG, start_step=start, **FORWARD))
        assert len(rest) == len(whole) - start
        for first, second in zip(whole[start:], rest, strict=True):
            equal(first, second)


def test_the_replicas_parts_joined_are_the_whole_batches(records):
    parts = [
        iter(training_dataset(records, CONFIG, 1, 3, range(r, r + 1), **FORWARD)) for r in range(3)
    ]
    for whole in training_dataset(records, CONFIG, 1, **FORWARD):
        three = [next(part) for part in parts]
        for name, values in whole.items():
            joined = np.concatenate([part[name] for part in three])
            np.testing.assert_array_equal(joined, values, err_msg=name)


def tiny_network(seed=0, size=SIDE):
    """Laid out as `build_network` does; P = 5, and the left side counts for more than the right."""
    images = tf.keras.Input([size, size, 3])
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0, name="pixels")(images)
    kernel = tf.keras.initializers.RandomNormal(seed=seed)
    backbone = tf.keras.Sequential(
        [
            tf.keras.Input([size, size, 3]),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(5, kernel_initializer=kernel),
        ],
        name="backbone",
    )
    return tf.keras.Model(images, backbone(pixels))


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def files(tmp_path):
    return write_pictures(tmp_path / "images", 7)


def write_pictures(folder, count, seed=0):
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{seed}-{i}.png" for i in range(count)]
    for path in paths:
        assert cv2.imwrite(str(path), random.integers(0, 256, [SIDE, SIDE, 3], dtype=np.uint8))
    return paths


def by_hand(network, paths):
    """[N, 2, P]: kernel^T (x / 127.5 - 1) + bias, of RGB pixels and of the mirrored ones."""
    kernel, bias = network.get_layer("backbone").get_weights()
    images = np.stack([cv2.imread(str(path))[..., ::-1] for path in paths]) / 127.5 - 1
    views = np.stack([images, images[:, :, ::-1]], axis=1)
    return views.reshape(len(paths), 2, -1) @ kernel.astype(float) + bias


def pool(files, network, folder):
    return pool_pictures(files, network, folder, progress=False)


@pytest.fixture
def counted(monkeypatch):
    """Names of the pictures that were read."""
    names, real = [], pooled_records._picture
    monkeypatch.setattr(
        pooled_records,
        "_picture",
        lambda path, size: names.append(path.name) or real(path, size),
    )
    return names


def test_both_views_of_each_picture_in_the_order_asked_for(files, network, tmp_path):
    pooled = pool(files, network, tmp_path / "cache")
    assert len(pooled) == 7 and pooled.size == 5
    expected = by_hand(network, files)
    assert np.abs(expected[:, 0] - expected[:, 1]).min() > 1e-5
    found = pooled[np.arange(7)]
    assert found.shape == (7, 2, 5) and found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(pooled[:], found)
    np.testing.assert_array_equal(pooled[2:4], found[2:4])
    np.testing.assert_array_equal(pooled[np.array([5, 0, 5])], found[[5, 0, 5]])
    assert pooled[np.array([], int)].shape == (0, 2, 5)


def test_nothing_is_computed_twice(files, network, tmp_path, counted):
    first = pool(files[:4], network, tmp_path / "cache")[:]
    assert sorted(counted) == [path.name for path in files[:4]]
    counted.clear()
    again = pool([files[2], files[0]], network, tmp_path / "cache")[:]
    np.testing.assert_array_equal(again, first[[2, 0]])
    assert counted == []
    # Some are new: only those are read, and rows come out of both parts.
    mixed = pool([files[5], files[1], files[4], files[3]], network, tmp_path / "cache")[:]
    assert sorted(counted) == [files[4].name, files[5].name]
    np.testing.assert_array_equal(mixed[[1, 3]], first[[1, 3]])
    expected = by_hand(network, [files[5], files[1], files[4], files[3]])
    np.testing.assert_allclose(mixed, expected, rtol=1e-3, atol=1e-5)
    assert len(list((tmp_path / "cache").glob("pooled-*/*.npy"))) == 2


def test_the_backbone_is_compiled_once_for_all_sets(files, tmp_path, monkeypatch):
    network, calls = tiny_network(), []
    backbone = network.get_layer("backbone")
    real = backbone.call
    monkeypatch.setattr(backbone, "call", lambda *_, **__: calls.append(1) or real(*_, **__))
    for chosen in (files[:4], files[4:]):
        pool(chosen, network, tmp_path / "cache")
    other = tmp_path / "other"
    pool(files, tiny_network(seed=1), other)
    np.testing.assert_allclose(
        pool(files, network, other)[:], by_hand(network, files), rtol=1e-3, atol=1e-5
    )
    assert len(calls) == 6  # two graphs, each of a symbolic call and one for each view


def test_a_picture_that_occurs_twice_is_read_once(files, network, tmp_path, counted):
    pooled = pool([files[1], files[0], files[1]], network, tmp_path / "cache")[:]
    assert sorted(counted) == [files[0].name, files[1].name]
    np.testing.assert_array_equal(pooled[0], pooled[2])
    expected = by_hand(network, [files[1], files[0], files[1]])
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-5)


def test_another_path_to_the_same_picture_is_the_same(files, network, tmp_path, counted):
    pool(files[:1], network, tmp_path / "cache")
    counted.clear()
    around = files[0].parent / ".." / files[0].parent.name / files[0].name
    pool([around], network, tmp_path / "cache")
    assert counted == []


def test_a_changed_picture_is_read_again(files, network, tmp_path):
    old = pool(files, network, tmp_path / "cache")[:]
    [other] = write_pictures(tmp_path / "others", 1, seed=1)
    files[3].write_bytes(other.read_bytes())
    os.utime(files[3], ns=(1, 1))
    new = pool(files, network, tmp_path / "cache")[:]
    np.testing.assert_allclose(new, by_hand(network, files), rtol=1e-3, atol=1e-5)
    changed = (old != new).any(axis=(1, 2))
    np.testing.assert_array_equal(changed, np.arange(7) == 3)


def test_another_backbone_has_a_folder_of_its_own(files, network, tmp_path, counted):
    pool(files[:2], network, tmp_path / "cache")
    counted.clear()
    other = tiny_network(seed=1)
    found = pool(files[:2], other, tmp_path / "cache")[:]
    assert len(counted) == 2
    np.testing.assert_allclose(found, by_hand(other, files[:2]), rtol=1e-3, atol=1e-5)
    pool(files[:2], tiny_network(seed=0), tmp_path / "cache")  # equal weights, built anew
    assert len(counted) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_pictures_of_another_size_are_brought_to_the_networks(network, tmp_path):
    path = tmp_path / "large.png"
    even = np.full([20, 20, 3], [10, 200, 90], np.uint8)
    assert cv2.imwrite(str(path), even)
    small = tmp_path / "small.png"
    assert cv2.imwrite(str(small), even[:SIDE, :SIDE])
    found = pool([path], network, tmp_path / "cache")[:]
    np.testing.assert_allclose(found, by_hand(network, [small]), rtol=1e-3, atol=1e-5)


def test_more_pictures_than_a_batch(network, tmp_path):
    files = write_pictures(tmp_path / "images", pooled_records.batch_size() + 3)
    found = pool(files, network, tmp_path / "cache")[:]
    np.testing.assert_allclose(found, by_hand(network, files), rtol=1e-3, atol=1e-5)


def test_a_picture_that_cannot_be_read_is_named_and_nothing_half_made_stays(
    files, network, tmp_path
):
    with pytest.raises(InputError, match="absent.png cannot be read.*Correct the path"):
        pool([*files, files[0].with_name("absent.png")], network, tmp_path / "cache")
    folder = files[0].with_name("folder.png")
    folder.mkdir()
    with pytest.raises(InputError) as caught:
        pool([folder], network, tmp_path / "cache")
    assert str(caught.value).count(str(folder)) == 1
    files[2].write_text("no picture")
    with pytest.raises(InputError, match="0-2.png cannot be read.*Replace it or drop its row"):
        pool(files, network, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    kept = [*files[:2], *files[3:]]
    found = pool(kept, network, tmp_path / "cache")[:]
    np.testing.assert_allclose(found, by_hand(network, kept), rtol=1e-3, atol=1e-5)


def test_a_full_disk_leaves_no_part(files, network, tmp_path):
    text = "cannot write .*npy: File too large"
    with files_of_at_most(64), pytest.raises(InputError, match=text):
        pool_pictures(files, network, tmp_path / "maps", progress=False)
    assert [path for path in (tmp_path / "maps").rglob("*") if path.is_file()] == []


def test_a_part_without_its_index_is_made_again(files, network, tmp_path):
    """As a process leaves it that ends between the two."""
    expected = pool(files, network, tmp_path / "cache")[:]
    [index] = (tmp_path / "cache").glob("*/*.json")
    assert len(json.loads(index.read_text())) == 7
    index.unlink()
    np.testing.assert_array_equal(pool(files, network, tmp_path / "cache")[:], expected)


@pytest.mark.parametrize("rows", [3, 1000])
def test_moments_are_over_samples_and_views(monkeypatch, rows):
    monkeypatch.setattr(pooled_records, "_ROWS", rows)
    random = np.random.default_rng(0)
    parts = [random.normal(50, 3, [n, 2, 5]).astype(np.float16) for n in (4, 6)]
    places = np.array([(0, 3), (1, 2), (1, 5), (0, 0), (1, 2), (0, 1), (1, 0)])
    pooled = PooledMaps(parts, places)
    values = np.concatenate([parts[part][row] for part, row in places]).astype(float)  # [14, 5]
    mean, variance = pooled.moments
    # Sum x / n, and sum (x - mean)^2 / n.
    np.testing.assert_allclose(mean, values.sum(axis=0) / 14, rtol=1e-12)
    expected = ((values - values.mean(axis=0)) ** 2).sum(axis=0) / 14
    np.testing.assert_allclose(variance, expected, rtol=1e-8)


def test_maps_are_kept_in_half_width_and_stay_finite(files, network, tmp_path):
    kernel, bias = network.get_layer("backbone").get_weights()
    network.get_layer("backbone").set_weights([kernel, bias + np.float32([1e6, 0, 0, 0, -1e6])])
    try:
        pooled = pool(files, network, tmp_path / "cache")[:]
    finally:
        network.get_layer("backbone").set_weights([kernel, bias])
    [kept] = (tmp_path / "cache").glob("pooled-*/*.npy")
    assert np.load(kept).dtype == np.float16
    assert (pooled[..., 0] == 65504).all() and (pooled[..., 4] == -65504).all()


def _resident(path):
    """Bytes of a file that this process has mapped and in memory."""
    mapping, found = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            mapping = line.endswith(str(path))
        elif mapping and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads Linux' /proc")
def test_what_is_read_does_not_stay_mapped(tmp_path):
    random = np.random.default_rng(0).normal(size=[100, 2, 4096]).astype(np.float16)
    np.save(tmp_path / "part.npy", random)
    part = np.load(tmp_path / "part.npy", mmap_mode="r")
    pooled = PooledMaps([part], np.stack([np.zeros(100, int), np.arange(100)], axis=1))
    np.testing.assert_array_equal(pooled[np.array([3, 99, 3])], random[[3, 99, 3]])
    np.testing.assert_array_equal(pooled[:], random)
    assert _resident(tmp_path / "part.npy") < random.nbytes // 10
    assert part[:].sum() == random.sum()  # by the map
    assert _resident(tmp_path / "part.npy") > random.nbytes // 2
    (tmp_path / "part.npy").write_bytes((tmp_path / "part.npy").read_bytes()[:-10])
    with pytest.raises(InputError, match="part.npy ends early"):
        pooled[np.array([99])]


def test_what_python_would_wait_for_at_its_end_is_ended(records):
    """A program that ended while batches were being read hung, two times in five."""
    left = iter(training_dataset(records, PLAIN))
    next(left)
    pipeline._end_iterators()
    with pytest.raises(AttributeError):
        next(left)
    assert "_iterator_resource" not in vars(left)
    assert len(list(training_dataset(records, PLAIN)))  # others can be made
