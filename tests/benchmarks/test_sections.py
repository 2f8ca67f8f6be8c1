"""Every section as a smoke run. No test looks at a time."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import made_up_set, size, steps
from benchmarks.inference import FromSecond, inference
from benchmarks.input_rate import pipeline
from benchmarks.start_up import pooled, start_up
from benchmarks.steps import steps_head, steps_methods, steps_resnet50, steps_small
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.methods import METHODS

PIXELS = 16
TINY = {"turns": 2, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def config(folder):
    """The small preset with the least network there is in place of small_cnn and ResNet-50."""
    images = tf.keras.Input([PIXELS, PIXELS, 3])
    x = tf.keras.layers.Conv2D(4, 3, strides=4)(images)
    x = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.ReLU()(x))
    path = str(folder / "backbone.h5")
    tf.keras.Model(images, x).save(path)
    return PRESETS["small"].replace(backbone=path, image_size=PIXELS, pad=1, batch_size=8)


def pairs(rows):
    return [(r.variant, r.unit, r.target) for r in rows]


def sound(rows, section, per):
    """Asserts what holds for every row, whatever the machine."""
    assert {(r.section, r.per) for r in rows} == {(section, per)}
    for r in rows:
        assert 0 < r.seconds < np.inf and 0 < r.ratio < np.inf
        assert r.met == (None if r.target is None else r.ratio <= r.target)
        assert r.ratio == 1.0 or r.variant != r.unit
    return True


def test_time_counts_from_the_second_batch():
    dataset = tf.data.Dataset.range(3)
    watched = FromSecond(dataset)
    assert int(watched.cardinality()) == 3
    batches = iter(watched)
    assert int(next(batches)) == 0 and watched.asked is None
    assert int(next(batches)) == 1 and watched.asked is not None
    assert [int(b) for b in batches] == [2]


@pytest.mark.slow
def test_steps_small_on_a_users_own_data(folder, config):
    csv, images = made_up_set.make_up_set(folder / "own", 24, PIXELS, progress=False)
    few = {"config": config, "neighbors": (8, 16), "forward": (), "data": str(csv)}
    rows = steps_small(folder, steps=1, image_dir=str(images), **few, **TINY)
    assert sound(rows, "steps_small", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 1.06),
        ("bank K 16", "plain", None),
        ("bank K 16", "bank K 8", 1.05),
    ]
    with pytest.raises(InputError, match="nowhere"):
        steps_small(folder, steps=1, image_dir=str(folder / "nowhere"), **few, **TINY)


@pytest.mark.slow
def test_steps_of_a_larger_network(folder, config):
    few = {"neighbors": (8,), "forward": (8,), "rows": 40}
    rows = steps_resnet50(folder, steps=1, config=config, **few, **TINY)
    assert sound(rows, "steps_resnet50", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 1.03),
        ("forward K 8", "plain", 3.0),
    ]


@pytest.mark.slow
def test_steps_head(folder, config):
    small = {"rows": 40, "inputs": 12, "units": 6, "neighbors": (8,)}
    rows = steps_head(folder, steps=1, config=config, **small, **TINY)
    assert sound(rows, "steps_head", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("bank K 8", "plain", 1.8),
    ]


@pytest.mark.slow
def test_steps_methods(folder, config, monkeypatch):
    few = ("cross_entropy", "gce", "ldt", "ldlva")  # ldt has a teacher
    monkeypatch.setattr(steps, "METHODS", {name: METHODS[name] for name in few})
    rows = steps_methods(folder, steps=1, config=config, rows=40, **TINY)
    assert sound(rows, "steps_methods", "step")
    assert pairs(rows) == [
        ("plain", "plain", None),
        ("gce", "plain", None),
        ("ldt", "plain", None),
        ("ldlva", "plain", None),
    ]


def test_pipeline(folder, config):
    rows = pipeline(folder, steps=2, cases={"16 px": config}, rows=40, **TINY)
    assert sound(rows, "pipeline", "image")
    assert pairs(rows) == [
        ("decoding, 16 px", "decoding, 16 px", None),
        ("plain, 16 px", "decoding, 16 px", 1.25),
        ("bank, 16 px", "decoding, 16 px", 1.25),
        ("plain, encoded, 16 px", "decoding, 16 px", 1.25),
        ("bank, encoded, 16 px", "decoding, 16 px", 1.25),
    ]


@pytest.mark.slow
def test_inference(folder, config):
    rows = inference(folder, cases={"tiny": (config, 2)}, **TINY)
    assert sound(rows, "inference", "image")
    assert pairs(rows) == [
        ("bare forward pass, tiny", "bare forward pass, tiny", None),
        ("evaluation, tiny", "bare forward pass, tiny", 1.1),
        ("exported model, tiny", "bare forward pass, tiny", 1.1),
    ]


@pytest.mark.slow
def test_start_up(folder, config):
    few = {"commands": ("neighbors",), "formats": ("saved_model",)}
    rows = start_up(folder, config=config, **few, **TINY)
    assert sound(rows, "start_up", "stage")
    assert pairs(rows) == [
        ("neighbors --help, the slowest", "s", 1.0),
        ("predict, saved_model", "s", 4.0),
    ]


@pytest.mark.slow
def test_pooled(folder):
    rows = pooled(folder, rows=2, **TINY)
    assert sound(rows, "pooled", "image")
    assert pairs(rows) == [
        ("bare backbone", "bare backbone", None),
        ("pooled maps", "bare backbone", 1.3),
    ]


@pytest.mark.slow
def test_size(folder, config):
    rows = size.size(folder, steps=1, rows=300, small_rows=60, config=config, **TINY)
    memory, steps = rows[:-2], rows[-2:]
    assert sound(steps, "size", "step")
    assert pairs(steps) == [
        ("step on 300 rows", "step on 60 rows, the few", 1.05),
        ("step on 60 rows, the few", "step on 60 rows, the few", None),
    ]
    assert [(r.variant, r.unit, r.target) for r in memory] == [
        ("300 rows read and checked", "GB", 4.0),
        ("neighbors, K 8", "GB", 4.0),
        ("shards written", "GB", 4.0),
        ("60 rows prepared beside", "GB", 4.0),
        ("3 steps trained on each", "GB", 4.0),  # (turns + 1) * steps
    ]
    peaks = [r.ratio for r in memory]
    assert peaks == sorted(peaks) and peaks[0] > 0.05  # TensorFlow alone has more than 50 MB
    left = {path.name for path in folder.iterdir() if path.name.startswith("tmp")}
    assert not left  # the records are gone, the pictures stay


@pytest.mark.slow
def test_size_frozen(folder):
    rows = size.size_frozen(folder, steps=3, rows=200, maps=6, progress=False)
    assert [(r.variant, r.unit, r.target) for r in rows] == [
        ("neighbors of 200 rows, K 8", "GB", 4.0),
        ("moments of the maps", "GB", 4.0),
        ("3 steps of batch 64", "GB", 4.0),
    ]
    assert all(r.seconds > 0 and 0.05 < r.ratio < 4.0 and r.met for r in rows)
    assert not [path for path in folder.iterdir() if path.name.startswith("tmp")]
