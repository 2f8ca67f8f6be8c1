"""Batches: each sample once an epoch, neighbors as stored, a pure function of (seed, step)."""

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.batches import batch_spec
from ldl_fer.data.pipeline import (
    batch_of_samples,
    ordered_dataset,
    steps_per_epoch,
    training_dataset,
)
from ldl_fer.data.records import prepare_records
from ldl_fer.methods import neighbors_read
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

COUNT, SIDE, NEIGHBORS, STORED = 23, 16, 3, 5
CONFIG = PRESETS["released_raf_resnet18"].replace(
    image_size=SIDE, num_neighbors=NEIGHBORS, batch_size=5, epochs=2, pad=2
)
PLAIN = CONFIG.replace(pad=0, flip=False, erase_probability=0.0)
FORWARD = dict(neighbors=NEIGHBORS, neighbor_images=True)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    draw_faces(folder / "drawn", train=COUNT, test=1, size=SIDE, progress=False)
    return prepare_records(
        folder / "drawn/train.csv",
        folder / "drawn/images",
        folder / "records",
        image_size=SIDE,
        num_neighbors=STORED,
        class_names=CONFIG.data.class_names,
        progress=False,
    )


@pytest.fixture(scope="module")
def pictures(records):
    """All images by sample_id, decoded one by one from the records' own annotation paths."""
    folder = records.folder.parent.parent / "drawn/images"
    paths = read_annotations(records.folder / "annotations.csv").paths
    return np.stack([tf.io.decode_png((folder / p).read_bytes(), 3).numpy() for p in paths])


def equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_element_spec_is_the_one_written(records):
    assert training_dataset(records, CONFIG, **FORWARD).element_spec == batch_spec(SIDE, NEIGHBORS)


def test_views_that_are_erased_apart_are_both_there(records):
    config = PLAIN.replace(erase_probability=0.5, erase_apart=True)
    dataset = training_dataset(records, config)
    spec = batch_spec(SIDE, 0, both_views=True)
    assert dataset.element_spec == {n: spec[n] for n in dataset.element_spec}
    mirrored = np.concatenate([batch["mirrored_image"][:, :, ::-1] for batch in dataset])
    images = np.concatenate([batch["image"] for batch in dataset])
    same = (images == mirrored).all(axis=-1)
    assert not same.all() and same.any(axis=(1, 2)).all()


def test_each_sample_once_per_epoch_and_epochs_differ(records):
    ids = [batch["sample_id"].numpy() for batch in training_dataset(records, CONFIG)]
    steps = steps_per_epoch(COUNT, 5)
    assert steps == 5 and [len(i) for i in ids] == [5, 5, 5, 5, 3] * 2
    first, second = np.concatenate(ids[:steps]), np.concatenate(ids[steps:])
    np.testing.assert_array_equal(np.sort(first), np.arange(COUNT))
    np.testing.assert_array_equal(np.sort(second), np.arange(COUNT))
    assert (first != second).any() and (first != np.arange(COUNT)).any()


def test_content_is_that_of_the_records(records, pictures):
    annotations = records.annotations()
    plane = annotations.valence_arousal
    for batch in training_dataset(records, PLAIN, **FORWARD):
        batch = {name: value.numpy() for name, value in batch.items()}
        ids, neighbors = batch["sample_id"], batch["neighbors"]
        np.testing.assert_array_equal(batch["label"], annotations.labels[ids])
        np.testing.assert_array_equal(neighbors, annotations.neighbors[ids][:, :NEIGHBORS])
        np.testing.assert_array_equal(batch["neighbor_labels"], annotations.labels[neighbors])
        np.testing.assert_array_equal(batch["image"], pictures[ids])
        np.testing.assert_array_equal(batch["neighbor_image"], pictures[neighbors])
        for i, k in np.ndindex(neighbors.shape):
            np.testing.assert_array_equal(batch["auxiliary"][i], plane[ids[i]])
            np.testing.assert_array_equal(batch["neighbor_auxiliary"][i, k], plane[neighbors[i, k]])


@pytest.mark.parametrize(
    ("sampling", "wanted", "starts"),
    [("natural", FORWARD, (1, 4, 5, 7)), ("balanced", {}, (4,)), ("progressive", {}, (7,))],
    ids=["natural", "balanced", "progressive"],
)
def test_a_run_goes_on_from_any_step(records, sampling, wanted, starts):
    config = CONFIG.replace(sampling=sampling)
    whole = list(training_dataset(records, config, **wanted))
    for start in starts:
        rest = list(training_dataset(records, config, start_step=start, **wanted))
        assert len(rest) == len(whole) - start
        for first, second in zip(whole[start:], rest, strict=True):
            equal(first, second)


def test_seed_decides_order_and_augmentation(records):
    first = next(iter(training_dataset(records, CONFIG, **FORWARD)))
    again = next(iter(training_dataset(records, CONFIG, **FORWARD)))
    other = next(iter(training_dataset(records, CONFIG.replace(seed=1), **FORWARD)))
    equal(first, again)
    assert (first["sample_id"].numpy() != other["sample_id"].numpy()).any()


def test_the_same_picture_is_augmented_anew_wherever_it_occurs(records, pictures):
    config = CONFIG.replace(erase_probability=0.0)
    batch = next(iter(training_dataset(records, config, **FORWARD)))
    changed = [
        (batch["neighbor_image"][i, k].numpy() != pictures[n]).any()
        for (i, k), n in np.ndenumerate(batch["neighbors"].numpy())
    ]
    # 1 of 25 places, mirrored or not: a picture stays as it is with probability 1/50
    assert np.mean(changed) > 0.7


def test_where_none_is_asked_for_no_neighbor_is_read(records):
    batch = next(iter(training_dataset(records, CONFIG)))
    assert batch.keys() == {"sample_id", "label", "image"}
    assert neighbors_read(CONFIG) == NEIGHBORS
    assert neighbors_read(CONFIG.replace(label_distribution=False)) == 0


@pytest.mark.parametrize("batch_size", [1, 5, 7, 23, 100])
def test_no_sample_is_twice_in_a_step_whatever_the_replicas(records, batch_size):
    """Rows by sample_id are written without a look at which came last."""
    config = CONFIG.replace(batch_size=batch_size, epochs=4)
    for replicas in {1, min(3, batch_size)}:
        steps = steps_per_epoch(COUNT, batch_size, replicas)
        parts = iter(training_dataset(records, config, 0, replicas, range(replicas)))
        for _ in range(4 * steps):
            ids = np.concatenate([next(parts)["sample_id"] for _ in range(replicas)])
            assert len(np.unique(ids)) == len(ids)
        assert next(parts, None) is None


@pytest.mark.parametrize(
    ("cores", "ready", "expected"),
    [
        (4, 2**40, 4),
        # 2 batches of 5 samples, 1 + 3 pictures each, of 16 x 16 x 3 bytes: 30,720
        (64, 30_720 * 7 + 1, 7),
        (64, 1, 1),
    ],
)
def test_batches_at_work_and_ready_are_bounded_in_bytes(
    records, monkeypatch, cores, ready, expected
):
    monkeypatch.setattr("ldl_fer.data.pipeline.processors", lambda: cores)
    monkeypatch.setattr("ldl_fer.data.pipeline._READY_BYTES", ready)
    asked = []
    for name in ("map", "prefetch"):
        original = getattr(tf.data.Dataset, name)

        def noted(self, *args, original=original, **kwargs):
            asked.append(args[-1])
            return original(self, *args, **kwargs)

        monkeypatch.setattr(tf.data.Dataset, name, noted)
    training_dataset(records, CONFIG, neighbors=3, neighbor_images=True)
    assert asked == [expected, expected]


def test_ordered_dataset_gives_everything_once_in_order(records, pictures):
    batches = list(ordered_dataset(records, CONFIG))
    assert batches[0].keys() == {"sample_id", "label", "image"}
    ids = np.concatenate([b["sample_id"] for b in batches])
    images = np.concatenate([b["image"] for b in batches])
    np.testing.assert_array_equal(ids, np.arange(COUNT))
    np.testing.assert_array_equal(images, pictures)
    first = next(iter(ordered_dataset(records, CONFIG, NEIGHBORS, images=False)))
    assert first.keys() == batch_spec(SIDE, NEIGHBORS).keys() - {"image", "neighbor_image"}


def test_a_mirrored_set_has_every_picture_turned(records):
    pairs = zip(
        ordered_dataset(records, CONFIG),
        ordered_dataset(records, CONFIG, mirrored=True),
        strict=True,
    )
    for plain, turned in pairs:
        np.testing.assert_array_equal(turned["image"], plain["image"].numpy()[:, :, ::-1])
        np.testing.assert_array_equal(turned["sample_id"], plain["sample_id"])


def test_batch_of_samples(records, pictures):
    batch = batch_of_samples(records, [7, 2], CONFIG)
    np.testing.assert_array_equal(batch["sample_id"], [7, 2])
    np.testing.assert_array_equal(batch["image"], pictures[[7, 2]])
    expected = pictures[batch["neighbors"].numpy()]
    np.testing.assert_array_equal(batch["neighbor_image"], expected)


@pytest.mark.parametrize(
    ("neighbors", "sampling"),
    [("forward", "natural"), ("bank", "natural"), ("bank", "balanced"), ("bank", "progressive")],
)
def test_the_replicas_parts_joined_are_the_whole_batches(records, neighbors, sampling):
    config = CONFIG.replace(sampling=sampling)
    wanted = FORWARD if neighbors == "forward" else dict(neighbors=NEIGHBORS)
    # two machines, of one and of two replicas; a batch of 3 gives each one sample
    parts = [
        training_dataset(records, config, 1, replicas=3, own_replicas=own, **wanted)
        for own in (range(1), range(1, 3))
    ]
    assert parts[0].element_spec == training_dataset(records, config, **wanted).element_spec
    machines = [iter(part) for part in parts]
    steps = 0
    for whole in training_dataset(records, config, 1, **wanted):
        three = [next(machines[0]), next(machines[1]), next(machines[1])]
        sizes = [len(part["label"]) for part in three]
        assert max(sizes) - min(sizes) <= 1
        for name, values in whole.items():
            joined = np.concatenate([part[name] for part in three])
            np.testing.assert_array_equal(joined, values, err_msg=name)
        steps += 1
    assert steps == 9
    assert all(next(machine, None) is None for machine in machines)


def test_a_last_batch_smaller_than_the_replicas_is_left_out_in_training_only(records):
    # 23 = 4 * 5 + 3
    assert [steps_per_epoch(COUNT, 5, replicas) for replicas in (1, 3, 4, 5)] == [5, 5, 4, 4]
    assert steps_per_epoch(20, 5, 4) == 4
    own = [training_dataset(records, CONFIG, 0, 4, range(r, r + 1)) for r in range(4)]
    assert [len(list(part)) for part in own] == [2 * 4] * 4
    ids = [
        batch["sample_id"].numpy()
        for r in range(4)
        for batch in ordered_dataset(records, CONFIG, replicas=4, own_replicas=range(r, r + 1))
    ]
    assert len(ids) == 4 * 5 and any(len(i) == 0 for i in ids)
    np.testing.assert_array_equal(np.sort(np.concatenate(ids)), np.arange(COUNT))
