"""Neighbors agree with sorting all rows by (distance, row), however many rows coincide."""

import time

import numpy as np
import pandas as pd
import pytest
from helpers.called import call

from ldl_fer.data import neighbors
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.neighbors import add_neighbors, nearest_neighbors, neighbors_of
from ldl_fer.errors import InputError


def sorted_all(points, k):
    """Brute force: all rows sorted by (float64 distance, row), without the row itself."""
    points = np.asarray(points, np.float64)
    result = []
    for row, point in enumerate(points):
        distance = np.sqrt(((points - point) ** 2).sum(axis=1))
        order = np.argsort(distance, kind="stable")  # equal ones as they come: by row
        result.append(order[order != row][:k])
    return np.array(result, np.int32)


def uniform(random, n):
    return random.uniform(-1, 1, [n, 2])


def decimals(random, n):
    return random.uniform(-1, 1, [n, 2]).round(1)


def eighths(random, n):
    return random.integers(-8, 9, [n, 2]) / 8


def coarse(random, n):
    return random.integers(-1, 2, [n, 2]).astype(float)


def equal(random, n):
    return np.tile(random.uniform(-1, 1, [1, 2]), [n, 1])


def two_points(random, n):
    return random.uniform(-1, 1, [2, 2])[random.integers(0, 2, n)]


def one_apart(random, n):
    points = np.zeros([n, 2])
    points[random.integers(n)] = 0.5
    return points


def line(random, n):
    return np.outer(random.integers(-20, 21, n) / 20, [1.0, -0.5])


def vertical(random, n):
    return np.stack([np.full(n, 0.25), random.uniform(-1, 1, n)], axis=1)


def ring(random, n):
    """Many different points exactly as far from the center: 12 integer points of radius 5."""
    five = [
        (a * x, b * y)
        for x, y in ((3, 4), (4, 3), (5, 0), (0, 5))
        for a in (1, -1)
        for b in (1, -1)
    ]
    points = np.array(sorted(set(five)) + [(0, 0)], float) / 8
    return points[random.integers(0, len(points), n)]


def zeros_of_both_signs(random, n):
    return random.choice([0.0, -0.0, 0.5], [n, 2])


def clusters(random, n):
    return (random.integers(-1, 2, [n, 2]) * 0.5 + random.normal(0, 1e-9, [n, 2])).clip(-1, 1)


LAYOUTS = (uniform, decimals, eighths, coarse, equal, two_points, one_apart, line, vertical, ring)
LAYOUTS += (zeros_of_both_signs, clusters)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equals_sorting_all_rows(layout):
    for seed in range(12):
        random = np.random.default_rng(seed)
        rows = int(random.integers(2, 130))
        points = layout(random, rows)
        for k in {1, min(8, rows - 1), min(32, rows - 1), rows - 1}:
            for dtype in (np.float64, np.float32):
                found = nearest_neighbors(points.astype(dtype), k)
                assert found.dtype == np.int32 and found.shape == (rows, k)
                np.testing.assert_array_equal(found, sorted_all(points.astype(dtype), k))


def test_equals_sorting_all_rows_over_many_chunks(monkeypatch):
    monkeypatch.setattr("ldl_fer.data.neighbors._CHUNK", 7)
    for seed, layout in enumerate(LAYOUTS):
        points = layout(np.random.default_rng(seed), 150)
        np.testing.assert_array_equal(nearest_neighbors(points, 5), sorted_all(points, 5))


def test_a_point_with_more_equals_than_any_first_look_up():
    """500 different points exactly 1 from the origin: (c, s) and its mirror images."""
    angle = np.random.default_rng(0).uniform(0, np.pi / 4, 2000)
    c, s = np.cos(angle), np.sin(angle)
    exact = np.sqrt(c**2 + s**2) == 1.0
    points = np.stack([c[exact], s[exact]], axis=1)[:500]
    assert len(points) == 500
    points = np.concatenate([points, [[0.0, 0.0]]])
    np.testing.assert_array_equal(nearest_neighbors(points, 8), sorted_all(points, 8))
    # All are equally far from the origin, so its neighbors are the rows in order.
    assert nearest_neighbors(points, 8)[-1].tolist() == list(range(8))


def test_coinciding_rows_by_hand():
    # All rows on one point: the smallest other row numbers.
    found = nearest_neighbors(np.zeros([20000, 2]), 3)
    expected = np.tile([0, 1, 2], [20000, 1])
    expected[:3] = [[1, 2, 3], [0, 2, 3], [0, 1, 3]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_the_same_picture_are_no_neighbors(layout):
    for seed in range(6):
        random = np.random.default_rng(seed)
        points, pictures = layout(random, 60), random.integers(0, 25, 60)
        found = nearest_neighbors(points, 7, pictures=pictures)
        everyone = sorted_all(points, 59)
        for row, others in enumerate(everyone):
            expected = others[pictures[others] != pictures[row]][:7]
            np.testing.assert_array_equal(found[row], expected)


def normal(random, n, size):
    return random.normal(size=[n, size])


def far_off(random, n, size):
    return normal(random, n, size) + 1e3


def whole(random, n, size):
    """Many rows equally far, some at one point."""
    return random.integers(-1, 2, [n, size]).astype(float)


def few_points(random, n, size):
    return normal(random, 5, size)[random.integers(0, 5, n)]


def along_two_axes(random, n, size):
    return normal(random, n, 2) @ normal(random, 2, size)


def tight_clusters(random, n, size):
    """Nearer to each other than float32 can tell."""
    return np.eye(size)[random.integers(0, size, n)] + 1e-6 * normal(random, n, size)


SPACES = (normal, far_off, whole, few_points, along_two_axes, tight_clusters)


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize("layout", SPACES)
def test_any_number_of_dimensions_equals_sorting_all_rows(monkeypatch, layout, size):
    monkeypatch.setattr(neighbors, "_ROWS", 32)
    monkeypatch.setattr(neighbors, "_COLUMNS", 47)
    for seed in range(3):
        random = np.random.default_rng(seed)
        rows = int(random.integers(2, 130))
        for dtype in (np.float64, np.float32):
            points = layout(random, rows, size).astype(dtype)
            for k in {1, min(8, rows - 1), rows - 1}:
                np.testing.assert_array_equal(nearest_neighbors(points, k), sorted_all(points, k))
        points, pictures = layout(random, 60, size), random.integers(0, 25, 60)
        found = nearest_neighbors(points, 7, pictures=pictures)
        for row, others in enumerate(sorted_all(points, 59)):
            expected = others[pictures[others] != pictures[row]][:7]
            np.testing.assert_array_equal(found[row], expected)


def test_few_distances_are_computed_where_points_vary_along_few_axes(monkeypatch):
    """What makes large sets possible: of 4 million pairs, all but a few are ruled out together."""
    computed, real = [], neighbors.distances
    monkeypatch.setattr(
        neighbors, "distances", lambda *given: computed.append(len(given[1])) or real(*given)
    )
    random = np.random.default_rng(0)
    points = normal(random, 2000, 6) @ normal(random, 6, 100) + 0.01 * normal(random, 2000, 100)
    nearest_neighbors(points, 8)
    assert sum(computed) < 2000 * 60


def test_another_space_leaves_the_column_knn_alone():
    table = pd.DataFrame({PATH: list("abc"), "expression": 0, "valence": [0, 0.1, 0.5]})
    annotations = Annotations(table.assign(arousal=0.0, knn=["2", "2", "1"]))
    assert neighbors_of(annotations, 1).tolist() == [[2], [2], [1]]
    space = np.array([[0.0, 0, 0], [1, 0, 0], [1.5, 0, 0]])
    assert neighbors_of(annotations, 1, space).tolist() == [[1], [2], [1]]
    assert add_neighbors(annotations, 1, space=space).neighbors.tolist() == [[1], [2], [1]]


def test_neighbors_of_a_table_of_two_annotators_are_other_pictures():
    table = pd.DataFrame(
        {
            PATH: ["a.png", "b.png", "c.png", "./a.png", "b.png", "c.png"],
            "expression": [0, 1, 2, 1, 1, 2],
            "valence": [0.0, 0.1, 0.5] * 2,
            "arousal": 0.0,
            "annotator": [0, 0, 0, 1, 1, 1],
        }
    )
    names = ("Neutral", "Happy", "Sad")
    found = add_neighbors(Annotations(table, names), 2).neighbors
    assert found.tolist() == [[1, 4], [0, 3], [1, 4]] * 2
    # What training takes where the CSV has no column knn.
    np.testing.assert_array_equal(neighbors_of(Annotations(table, names), 2), found)
    with pytest.raises(InputError, match="5 neighbors asked of 6 rows, and one picture has 2"):
        add_neighbors(Annotations(table, names), 5)


def test_refuses():
    points = np.zeros([5, 2])
    assert nearest_neighbors(points, 4).shape == (5, 4)
    for k in (5, 6, 0, -1):
        with pytest.raises(InputError, match=f"{k} neighbors asked of 5 rows"):
            nearest_neighbors(points, k)
    with pytest.raises(InputError):
        nearest_neighbors(np.zeros([0, 2]), 1)
    with pytest.raises(ValueError, match="finite"):
        nearest_neighbors(np.array([[0, 0], [np.nan, 0]]), 1)
    for shape in ([5], [5, 0], [5, 2, 1]):
        with pytest.raises(ValueError, match=r"\[N, D\]"):
            nearest_neighbors(np.zeros(shape), 1)


def command(*arguments):
    return call("neighbors", *arguments)


def test_command(tmp_path):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    # On a line, neighbors by hand. The old knn is nonsense.
    text = "subDirectory_filePath,expression,valence,arousal,knn,note\n"
    text += "a.png,1,0.3,0,9,x\nb.png,1,0,0,9,007\nc.png,1,0.1,0,9,y\nd.png,2,0.7,0,9,\n"
    source.write_text(text)
    done = command(f"--annotations={source}", f"--output={output}", "--num_neighbors=2")
    read = read_annotations(output)
    assert read.neighbors.tolist() == [[2, 1], [2, 0], [1, 0], [0, 2]]
    assert read.table["note"].tolist() == ["x", "007", "y", ""]
    # Same label: both neighbors of rows 0-2, none of row 3: 6 of 8.
    # Distances: .2 .3, .1 .3, .1 .2, .4 .6, which is 2.2 / 8 = 0.275.
    assert "4 rows with 2 neighbors each; 75.0% of" in done.stdout
    assert "mean distance 0.2750" in done.stdout

    linked = tmp_path / "link.csv"
    linked.symlink_to(source)
    for same in (source, linked):
        done = command(f"--annotations={source}", f"--output={same}", "--num_neighbors=2")
        assert done.returncode == 2 and "is the input itself" in done.stderr
    assert source.read_text() == text
    linked.unlink()
    command(f"--annotations={source}", f"--output={source}", "--num_neighbors=2", "--overwrite")
    assert source.read_text() == output.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_command_in_another_space(tmp_path):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("subDirectory_filePath,expression\na.png,1\nb.png,1\nc.png,2\n")
    vectors = np.array([[0.0, 0, 0], [3, 4, 0], [0, 0, 1]])
    np.savez(tmp_path / "mine.npz", path=np.array(["a.png", "b.png", "c.png"]), vectors=vectors)
    files = f"--annotations={source}", f"--output={output}", "--num_neighbors=1"
    done = command(*files, f"--auxiliary={tmp_path / 'mine.npz'}")
    assert "33.3% of the neighbors have the same label" in done.stdout
    assert read_annotations(output, plane=False).neighbors.tolist() == [[2], [0], [0]]
    done = command(*files, "--auxiliary=landmarks", "--overwrite")
    assert done.returncode == 2 and "ldl-fer landmarks --annotations=" in done.stderr


def test_command_ends_with_2_and_writes_nothing(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("subDirectory_filePath,expression,valence,arousal\na.png,9,0,0\n")
    run = command(f"--annotations={source}", f"--output={tmp_path / 'out.csv'}")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert f"error: {source}: 2 problems" in run.stderr
    assert "1 rows where at least 9 are needed" in run.stderr
    assert "row 0 (line 2): expression is '9'" in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_help_teaches():
    run = command("--help")
    assert "ldl-fer neighbors --annotations=train.csv --output=" in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("k", [8, 32])
@pytest.mark.parametrize("layout", [uniform, eighths, decimals, line, "quantized", "heap", equal])
def test_affectnet_size(layout, k):
    """283,901 rows in seconds; a sample of rows against brute force."""
    random = np.random.default_rng(0)
    rows = 283_901
    if layout == "quantized":
        points = random.normal(0, 0.4, [rows, 2]).clip(-1, 1).round(3)
    elif layout == "heap":
        points = uniform(random, rows)
        points[random.random(rows) < 0.4] = 0.0
    else:
        points = layout(random, rows)
    start = time.monotonic()
    found = nearest_neighbors(points, k)
    seconds = time.monotonic() - start
    print(f"{layout} K {k}: {seconds:.1f} s")
    for row in random.integers(0, rows, 20):
        distance = np.sqrt(((points - points[row]) ** 2).sum(axis=1))
        distance[row] = np.inf
        np.testing.assert_array_equal(found[row], np.argsort(distance, kind="stable")[:k])


@pytest.mark.slow
def test_thirty_thousand_rows_of_many_dimensions():
    """Points that vary as landmarks do, along few axes; a sample of rows against brute force."""
    random = np.random.default_rng(0)
    rows, scales = 30_000, 0.8 ** np.arange(300)
    points = (random.normal(size=[rows, 300]) * scales).astype(np.float32)
    found = nearest_neighbors(points, 8)
    for row in random.integers(0, rows, 20):
        distance = np.sqrt(((points.astype(np.float64) - points[row]) ** 2).sum(axis=1))
        distance[row] = np.inf
        np.testing.assert_array_equal(found[row], np.argsort(distance, kind="stable")[:8])


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_constant_values_have_no_neighbors(value):
    table = pd.DataFrame({"subDirectory_filePath": list("abc"), "expression": [0, 1, 2]})
    annotations = Annotations(table.assign(valence=value, arousal=value))
    for find in (neighbors_of, add_neighbors):
        with pytest.raises(InputError, match="the same in all rows"):
            find(annotations, 1)
    assert neighbors_of(annotations, 0).shape == (3, 0)
