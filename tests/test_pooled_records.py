"""A data set as pooled maps: the columns that records have, by sample_id, and its batches."""

import numpy as np
import pytest
import tensorflow as tf
from made_up_annotations import made_up_annotations

from ldl_fer.annotations import Annotations
from ldl_fer.batches import batch_spec
from ldl_fer.errors import InputError
from ldl_fer.neighbors import add_neighbors
from ldl_fer.networks.pooled_maps import SIZE
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch, training_dataset
from ldl_fer.pooled_maps_cache import PooledMaps
from ldl_fer.pooled_records import PooledRecords
from ldl_fer.presets import PRESETS
from ldl_fer.settings import CLASS_NAMES

COUNT, NEIGHBORS = 23, 3
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
    parts = [random.normal(size=[n, 2, SIZE]).astype(np.float32) for n in (10, 13)]
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


def test_what_it_tells_of_itself(records):
    assert len(records) == COUNT and records.image_size == 112 and records.num_neighbors == 5
    assert records.class_names == CLASS_NAMES
    labels = without_knn().labels
    assert records.class_counts == tuple(int((labels == c).sum()) for c in range(7))
    assert sum(records.class_counts) == COUNT
    assert records.annotations().paths == without_knn().paths


def test_examples_are_the_annotations_rows(records, maps):
    annotations = without_knn()
    names = [
        *("sample_id", "label", "image", "valence_arousal", "neighbors", "neighbor_labels"),
        "neighbor_valence_arousal",
    ]
    ids = np.array([7, 0, 22, 7], np.int32)
    found = records.examples(tf.constant(ids), names)
    assert list(found) == names
    neighbors = add_neighbors(annotations, 5).neighbors
    plane = annotations.valence_arousal
    expected = {
        **{"sample_id": ids, "label": annotations.labels[ids], "image": maps[ids]},
        **{"valence_arousal": plane[ids], "neighbors": neighbors[ids]},
        "neighbor_labels": annotations.labels[neighbors[ids]],
        "neighbor_valence_arousal": plane[neighbors[ids]],
    }
    equal({name: value.numpy() for name, value in found.items()}, expected)
    # By the definition of neighbors: nearest first, never oneself.
    for row, others in enumerate(neighbors):
        distance = np.square(plane - plane[row]).sum(axis=1)
        distance[row] = np.inf
        np.testing.assert_allclose(distance[others], np.sort(distance)[:5], rtol=1e-5)


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
            np.testing.assert_array_equal(batch["valence_arousal"][i], plane[ids[i]])
            np.testing.assert_array_equal(
                batch["neighbor_valence_arousal"][i, k], plane[neighbors[i, k]]
            )


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
