"""Auxiliary spaces: shapes are aligned, spreads are alike, mistakes in files are named."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from ldl_fer.config import Config
from ldl_fer.config.settings import LANDMARK_PARTS, DataConfig
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.auxiliary import (
    MESH_PARTS,
    MESH_POINTS,
    SPREAD,
    aligned,
    auxiliary_space,
    reads_plane,
    space_identity,
)
from ldl_fer.data.landmarks import write_landmarks
from ldl_fer.errors import InputError

FACES, POINTS = 40, 12
CSV = "train.csv"


def made_up_shapes(dimensions, faces=FACES, points=POINTS):
    """One shape, each time a little other: [faces, points, dimensions]."""
    random = np.random.default_rng(dimensions)
    made = random.normal(size=[points, dimensions])
    return made + 0.2 * random.normal(size=[faces, points, dimensions])


def moved(shapes, seed=0):
    """Each turned, made larger or smaller, and moved, by itself."""
    random, (count, _, dimensions) = np.random.default_rng(seed), shapes.shape
    if dimensions == 3:
        turns = Rotation.random(count, random_state=seed).as_matrix()
    else:
        turns = Rotation.from_rotvec(
            np.c_[np.zeros([count, 2]), random.uniform(-3, 3, count)]
        ).as_matrix()[:, :2, :2]
    sizes = random.uniform(0.2, 5, [count, 1, 1])
    return sizes * (shapes @ turns) + random.uniform(-9, 9, [count, 1, dimensions])


@pytest.fixture
def annotations():
    random = np.random.default_rng(0)
    table = {
        "subDirectory_filePath": [f"faces/{row}.png" for row in range(FACES)],
        "expression": random.integers(0, 7, FACES),
        "valence": random.uniform(-1, 1, FACES),
        "arousal": random.uniform(-0.2, 0.2, FACES),
    }
    return Annotations(pd.DataFrame(table))


@pytest.fixture
def landmarks(tmp_path, annotations):
    """Writes a table beside train.csv, in another order than the rows, and returns its points."""

    def write(points, name="train.landmarks.npz"):
        order = np.random.default_rng(1).permutation(FACES)
        paths = np.array(annotations.paths)[order].tolist()
        write_landmarks(tmp_path / name, paths, points[order])
        return points

    return write


def space(annotations, folder, **settings):
    return auxiliary_space(annotations, DataConfig(**settings), folder / CSV, progress=False)


def spread(places):
    return np.mean(pdist(places.astype(np.float64), "sqeuclidean"))


# --- Alignment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [2, 3])
def test_shapes_are_the_same_wherever_however_large_and_however_turned(dimensions):
    shapes = made_up_shapes(dimensions)
    first = pdist(aligned(shapes).reshape(FACES, -1))
    for seed in range(3):
        second = aligned(moved(shapes, seed))
        np.testing.assert_allclose(pdist(second.reshape(FACES, -1)), first, atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_aligned_shapes_have_one_place_and_size_and_cannot_be_turned_nearer(dimensions):
    made = aligned(moved(made_up_shapes(dimensions)))
    np.testing.assert_allclose(made.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((made**2).sum(axis=(1, 2)), 1, rtol=1e-12)
    mean = made.mean(axis=0)
    best = ((made - mean) ** 2).sum(axis=(1, 2))
    for angle in (-0.01, 0.01):
        for axis in np.eye(3)[3 - dimensions if dimensions == 3 else 2 :]:
            turn = Rotation.from_rotvec(angle * axis).as_matrix()[:dimensions, :dimensions]
            assert np.all(((made @ turn - mean) ** 2).sum(axis=(1, 2)) > best - 1e-7)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_mirror_image_is_another_shape(dimensions):
    shapes = made_up_shapes(dimensions)
    shapes[1] = shapes[0]
    shapes[2] = shapes[0] * ([-1] + [1] * (dimensions - 1))
    made = aligned(moved(shapes))
    np.testing.assert_allclose(made[1], made[0], atol=1e-9)
    assert np.linalg.norm(made[2] - made[0]) > 0.1


def test_points_that_coincide_are_no_shape():
    shapes = made_up_shapes(3)
    shapes[0] = 7.0  # the first, too: no mean shape to begin with
    made = aligned(shapes)
    assert np.isfinite(made).all() and np.all(made[0] == 0)
    np.testing.assert_allclose(made[1:], aligned(shapes[1:]), atol=1e-5)


def test_parts_of_the_mesh_are_points_of_it_each_once():
    points = [point for part in MESH_PARTS.values() for point in part]
    assert tuple(MESH_PARTS) == LANDMARK_PARTS
    assert len(points) == len(set(points)) == 40 + 20 + 32 + 24
    assert min(points) >= 0 and max(points) < MESH_POINTS


# --- Spaces ------------------------------------------------------------------------------------


def test_valence_arousal_is_the_csvs_and_has_no_identity(annotations, tmp_path):
    assert space(annotations, tmp_path) is None
    assert space_identity(DataConfig(), tmp_path / CSV) == {}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_landmarks_are_shapes_of_one_spread_by_path(annotations, landmarks, tmp_path, dimensions):
    points = landmarks(moved(made_up_shapes(dimensions)))
    made = space(annotations, tmp_path, auxiliary="landmarks")
    assert made.dtype == np.float32 and made.shape == (FACES, POINTS * dimensions)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-6)
    assert spread(made) == pytest.approx(SPREAD, rel=1e-5)
    shapes = aligned(points.astype(np.float32)).reshape(FACES, -1)
    scale = np.sqrt(SPREAD / spread(shapes))
    np.testing.assert_allclose(pdist(made), scale * pdist(shapes), rtol=1e-3, atol=1e-5)


def test_parts_and_alignment_are_settings(annotations, landmarks, tmp_path):
    shapes = made_up_shapes(3, points=MESH_POINTS)
    points = landmarks(moved(shapes)).astype(np.float32)
    for parts in (("eyes",), ("nose", "lips")):
        made = space(annotations, tmp_path, auxiliary="landmarks", landmark_parts=parts)
        chosen = points[:, [point for part in parts for point in MESH_PARTS[part]]]
        expected = pdist(aligned(chosen).reshape(FACES, -1))
        assert made.shape[1] == 3 * chosen.shape[1]
        np.testing.assert_allclose(pdist(made) / pdist(made)[0], expected / expected[0], rtol=1e-2)
    plain = points[:, [point for part in LANDMARK_PARTS for point in MESH_PARTS[part]]]
    for alignment, expected in (("scaled", aligned(plain, rotate=False)), ("none", plain)):
        made = space(annotations, tmp_path, auxiliary="landmarks", landmark_alignment=alignment)
        expected = pdist(expected.reshape(FACES, -1))
        np.testing.assert_allclose(pdist(made) / pdist(made)[0], expected / expected[0], rtol=1e-2)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_both_have_their_shares_of_the_spread(annotations, landmarks, tmp_path, share):
    landmarks(made_up_shapes(3))
    alone = space(annotations, tmp_path, auxiliary="landmarks")
    made = space(annotations, tmp_path, auxiliary="both", valence_arousal_share=share)
    shapes, plane = made[:, :-2], made[:, -2:]
    np.testing.assert_allclose(shapes, np.sqrt(1 - share) * alone, atol=1e-6)
    for axis, given in zip(
        plane.T, annotations.table[["valence", "arousal"]].T.values, strict=True
    ):
        assert spread(axis[:, np.newaxis]) == pytest.approx(share * SPREAD / 2, rel=1e-5)
        if share:
            assert np.corrcoef(axis, given)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("name", ["landmarks", "both"])
def test_a_face_without_landmarks_has_the_mean_shape(
    annotations, landmarks, tmp_path, capsys, name
):
    points = made_up_shapes(3)
    points[[3, 8]] = np.nan
    landmarks(points)
    data = DataConfig(auxiliary=name)
    made = auxiliary_space(annotations, data, tmp_path / CSV)
    assert "2 of 40 faces have no landmarks and get the mean shape" in capsys.readouterr().out
    shapes = made[:, : 3 * POINTS]
    assert np.all(shapes[[3, 8]] == 0)
    others = np.delete(np.arange(FACES), [3, 8])
    np.testing.assert_allclose(shapes[others].mean(axis=0), 0, atol=1e-6)
    assert name == "landmarks" or np.all(made[[3, 8], -2:] != 0)


def test_a_file_of_vectors_is_taken_as_it_is(annotations, tmp_path):
    vectors = np.random.default_rng(0).normal(size=[FACES, 5]) * [1, 2, 3, 4, 5] + 7
    order = np.random.default_rng(1).permutation(FACES)
    paths = np.array(annotations.paths)[order]
    np.savez(tmp_path / "mine.npz", path=paths, vectors=vectors[order])
    made = space(annotations, tmp_path, auxiliary=str(tmp_path / "mine.npz"))
    assert spread(made) == pytest.approx(SPREAD, rel=1e-5)
    scale = np.sqrt(SPREAD / spread(vectors))
    np.testing.assert_allclose(made, scale * (vectors - vectors.mean(axis=0)), atol=1e-5)


def test_a_file_of_points_is_aligned(annotations, landmarks, tmp_path):
    landmarks(moved(made_up_shapes(2)))
    landmarks(moved(made_up_shapes(2)), "other.npz")
    first = space(annotations, tmp_path, auxiliary="landmarks")
    for settings in (
        {"auxiliary": str(tmp_path / "other.npz")},
        {"auxiliary": "landmarks", "landmarks": str(tmp_path / "other.npz")},
    ):
        np.testing.assert_array_equal(space(annotations, tmp_path, **settings), first)


def test_a_picture_of_several_rows_has_one_place(annotations, landmarks, tmp_path):
    landmarks(made_up_shapes(2))
    twice = Annotations(pd.concat([annotations.table] * 2, ignore_index=True))
    made = space(twice, tmp_path, auxiliary="landmarks")
    np.testing.assert_array_equal(made[:FACES], made[FACES:])


def test_identity_is_of_all_that_the_space_depends_on(annotations, landmarks, tmp_path):
    landmarks(made_up_shapes(3))
    landmarks(made_up_shapes(3) + np.arange(3), "moved.npz")

    def identity(**settings):
        data = DataConfig(auxiliary="both")
        return space_identity(dataclasses.replace(data, **settings), tmp_path / CSV)

    made = [
        identity(),
        identity(auxiliary="landmarks"),
        identity(landmark_parts=("lips",)),
        identity(landmark_alignment="none"),
        identity(valence_arousal_share=0.5),
        identity(landmarks=str(tmp_path / "moved.npz")),
        identity(auxiliary=str(tmp_path / "moved.npz")),
    ]
    assert all(made.count(one) == 1 for one in made)
    assert identity(landmarks=str(tmp_path / "train.landmarks.npz")) == identity()
    alone = identity(auxiliary="landmarks", valence_arousal_share=0.5)
    assert alone == identity(auxiliary="landmarks")


def test_which_spaces_need_valence_and_arousal():
    needed = {name: reads_plane(DataConfig(auxiliary=name)) for name in ("valence_arousal", "both")}
    assert needed == {"valence_arousal": True, "both": True}
    assert not any(reads_plane(DataConfig(auxiliary=name)) for name in ("landmarks", "my.npz"))


# --- Mistakes ----------------------------------------------------------------------------------


def test_settings_that_name_no_space_are_refused():
    for settings, words in (
        ({"auxiliary": "landmark"}, "valence_arousal, landmarks, both or a file that ends in .npz"),
        ({"landmark_parts": ()}, "one or more of lips, brows, eyes, nose"),
        ({"landmark_parts": ("lips", "lips")}, "each once"),
        ({"landmark_parts": ("chin",)}, "not 'chin'"),
        ({"valence_arousal_share": 1.1}, "must not be above 1"),
    ):
        with pytest.raises(InputError, match=words):
            Config().replace(**settings)


def test_a_table_that_is_not_there_is_named_with_the_command(annotations, tmp_path):
    for name in ("landmarks", "both"):
        with pytest.raises(InputError) as told:
            space(annotations, tmp_path, auxiliary=name)
        assert f"{tmp_path / 'train.landmarks.npz'}: no such table" in str(told.value)
        assert "ldl-fer landmarks --annotations=" in str(told.value)
    with pytest.raises(InputError, match="gone.npz: no such file"):
        space(annotations, tmp_path, auxiliary=str(tmp_path / "gone.npz"))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"vectors": np.ones([FACES, 2, 2])}, r"vectors float64 \[40, 2, 2\]; write texts \[N\]"),
        ({"vectors": np.ones([FACES - 1, 2])}, "40 paths and vectors of shape"),
        ({"vectors": np.full([FACES, 2], np.nan)}, "no face has landmarks"),
        ({"vectors": np.ones([FACES, 2])}, "all faces are the same"),
        ({"path": np.arange(FACES), "vectors": np.ones([FACES, 2])}, "path is int64"),
        ({"other": np.ones([FACES, 2])}, "no array points"),
    ],
)
def test_files_that_are_no_space_are_refused(annotations, tmp_path, arrays, words):
    file = tmp_path / "mine.npz"
    np.savez(file, **({"path": np.array(annotations.paths)} | arrays))
    with pytest.raises(InputError, match=words) as told:
        space(annotations, tmp_path, auxiliary=str(file))
    assert str(file) in str(told.value)


def test_a_picture_that_the_file_lacks_is_named(annotations, tmp_path):
    file = tmp_path / "mine.npz"
    paths = np.array(annotations.paths[1:])
    np.savez(file, path=paths, vectors=np.random.default_rng(0).normal(size=[FACES - 1, 3]))
    with pytest.raises(InputError, match="lacks 1 of 40 pictures, such as faces/0.png"):
        space(annotations, tmp_path, auxiliary=str(file))


def test_damaged_files_are_refused(annotations, tmp_path):
    file = tmp_path / "mine.npz"
    file.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="mine.npz"):
        space(annotations, tmp_path, auxiliary=str(file))
