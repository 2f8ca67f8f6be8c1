"""Pooled maps: those of each picture and its mirror image, computed once, found by the picture."""

import json
import os

import cv2
import numpy as np
import pytest
import tensorflow as tf

from ldl_fer import pooled_maps_cache
from ldl_fer.errors import InputError
from ldl_fer.pooled_maps_cache import PooledMaps, pool_pictures

SIDE = 8


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
    names, real = [], pooled_maps_cache._picture
    monkeypatch.setattr(
        pooled_maps_cache,
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
    assert found.shape == (7, 2, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
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
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "cache").glob("pooled-*/*.npy"))) == 2


def test_a_picture_that_occurs_twice_is_read_once(files, network, tmp_path, counted):
    pooled = pool([files[1], files[0], files[1]], network, tmp_path / "cache")[:]
    assert sorted(counted) == [files[0].name, files[1].name]
    np.testing.assert_array_equal(pooled[0], pooled[2])
    expected = by_hand(network, [files[1], files[0], files[1]])
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-5)


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
    np.testing.assert_allclose(new, by_hand(network, files), rtol=1e-4, atol=1e-5)
    changed = (old != new).any(axis=(1, 2))
    np.testing.assert_array_equal(changed, np.arange(7) == 3)


def test_another_backbone_has_a_folder_of_its_own(files, network, tmp_path, counted):
    pool(files[:2], network, tmp_path / "cache")
    counted.clear()
    other = tiny_network(seed=1)
    found = pool(files[:2], other, tmp_path / "cache")[:]
    assert len(counted) == 2
    np.testing.assert_allclose(found, by_hand(other, files[:2]), rtol=1e-4, atol=1e-5)
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
    np.testing.assert_allclose(found, by_hand(network, [small]), rtol=1e-4, atol=1e-5)


def test_more_pictures_than_a_batch(network, tmp_path):
    files = write_pictures(tmp_path / "images", pooled_maps_cache._BATCH + 3)
    found = pool(files, network, tmp_path / "cache")[:]
    np.testing.assert_allclose(found, by_hand(network, files), rtol=1e-4, atol=1e-5)


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
    np.testing.assert_allclose(found, by_hand(network, kept), rtol=1e-4, atol=1e-5)


def test_a_part_without_its_index_is_made_again(files, network, tmp_path):
    """As a process leaves it that ends between the two."""
    expected = pool(files, network, tmp_path / "cache")[:]
    [index] = (tmp_path / "cache").glob("*/*.json")
    assert len(json.loads(index.read_text())) == 7
    index.unlink()
    np.testing.assert_array_equal(pool(files, network, tmp_path / "cache")[:], expected)


@pytest.mark.parametrize("rows", [3, 1000])
def test_moments_are_over_samples_and_views(monkeypatch, rows):
    monkeypatch.setattr(pooled_maps_cache, "_ROWS", rows)
    random = np.random.default_rng(0)
    parts = [random.normal(50, 3, [n, 2, 5]).astype(np.float32) for n in (4, 6)]
    places = np.array([(0, 3), (1, 2), (1, 5), (0, 0), (1, 2), (0, 1), (1, 0)])
    pooled = PooledMaps(parts, places)
    values = np.concatenate([parts[part][row] for part, row in places]).astype(float)  # [14, 5]
    mean, variance = pooled.moments()
    # Sum x / n, and sum (x - mean)^2 / n.
    np.testing.assert_allclose(mean, values.sum(axis=0) / 14, rtol=1e-12)
    expected = ((values - values.mean(axis=0)) ** 2).sum(axis=0) / 14
    np.testing.assert_allclose(variance, expected, rtol=1e-8)
