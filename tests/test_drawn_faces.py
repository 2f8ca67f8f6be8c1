"""Drawn faces: the world they come from, and the folder they are written to."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from ldl_fer import drawn_faces
from ldl_fer.drawn_faces import PROTOTYPES, SPREAD, draw_faces, face_geometry
from ldl_fer.errors import InputError
from ldl_fer.settings import CLASS_NAMES

VOTES = [f"votes_{name.lower()}" for name in CLASS_NAMES]
NEUTRAL, HAPPY, SAD, SURPRISE, FEAR, DISGUST, ANGER = PROTOTYPES


def generator(seed=0):
    return np.random.default_rng(seed)


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "faces"
    draw_faces(folder, train=400, test=20, size=16, seed=3, progress=False)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "faces"
    draw_faces(folder, train=5, test=3, size=48, seed=0, progress=False)
    return folder


def test_distribution_is_the_softmax_of_squared_distances():
    latents = generator().uniform(-1, 1, (50, 4))
    got = drawn_faces.true_distribution(latents)
    for latent, row in zip(latents, got, strict=True):
        # exp(-||z - p_j||^2 / (2 SPREAD^2)) / its sum over j
        weights = [np.exp(-sum((latent - p) ** 2) / (2 * SPREAD**2)) for p in PROTOTYPES]
        np.testing.assert_allclose(row, np.array(weights) / sum(weights), rtol=1e-9)


def test_distribution_of_a_far_latent_is_finite():
    far = np.array([50.0, -50.0, 50.0, -50.0])
    row = drawn_faces.true_distribution(far)
    assert np.isfinite(row).all()
    assert row.sum() == pytest.approx(1.0, abs=1e-12)


def test_distribution_of_a_point_between_two_prototypes_is_a_tie():
    row = drawn_faces.true_distribution((FEAR + ANGER) / 2)
    assert row[4] == pytest.approx(row[6], abs=1e-12)  # equal distances
    assert set(np.argsort(row)[-2:]) == {4, 6}


def test_each_prototype_is_most_likely_its_own_class():
    np.testing.assert_array_equal(drawn_faces.true_distribution(PROTOTYPES).argmax(1), range(7))


def test_latents_have_the_stated_mean_and_spread():
    random = generator(1)
    latents = np.array([drawn_faces.sample_latent(random) for _ in range(4000)])
    assert np.abs(latents[:, :2]).max() <= 1.0
    # E[z] = sum_j f_j p_j; Var = sum_j f_j p_j^2 - E^2 + SPREAD^2; four standard errors of a mean
    mean = drawn_faces.FREQUENCIES @ PROTOTYPES
    deviation = np.sqrt(drawn_faces.FREQUENCIES @ PROTOTYPES**2 - mean**2 + SPREAD**2)
    for axis in (2, 3):  # the two that are not clipped
        assert abs(latents[:, axis].mean() - mean[axis]) < 4 * deviation[axis] / np.sqrt(4000)
        assert latents[:, axis].std() == pytest.approx(deviation[axis], rel=0.06)


# Along each axis of the latent space, what grows (+1) and what shrinks (-1) all the way.
LINKS = [
    ("mouth_curvature", 0, +1),
    ("mouth_opening", 1, +1),
    ("mouth_width", 0, +1),
    ("mouth_width", 1, -1),
    ("brow_height", 1, +1),
    ("brow_height", 2, -1),
    ("brow_slope", 0, -1),
    ("brow_slope", 2, -1),
    ("brow_slope", 3, -1),
    ("frown", 0, -1),
    ("frown", 2, +1),
    ("frown", 3, +1),
    ("eye_openness", 1, +1),
    ("eye_openness", 2, -1),
    ("eye_openness", 3, -1),
    ("pupil", 1, +1),
    ("lip_raise", 3, +1),
    ("nose_wrinkle", 3, +1),
]


@pytest.mark.parametrize("name, axis, sign", LINKS)
def test_geometry_follows_the_latent_monotonically(name, axis, sign):
    for base in generator(2).uniform(-0.6, 0.6, (5, 4)):
        line = np.tile(base, (41, 1))
        line[:, axis] = np.linspace(-1, 1, 41)
        steps = np.diff([getattr(face_geometry(latent), name) for latent in line]) * sign
        assert (steps > -1e-12).all()
        assert steps.sum() > 0.2
        assert steps.max() < 0.15  # continuous: about 2.2 per unit at most, 0.05 units a step


def test_a_face_at_rest_has_geometry_zero():
    rest = face_geometry(np.zeros(4))
    np.testing.assert_allclose(rest._replace(mouth_opening=0.0), 0.0, atol=1e-12)
    assert -0.2 < rest.mouth_opening < 0.0  # closed


def test_expressions_are_told_apart_by_the_textbook_signs():
    faces = {
        name: face_geometry(latent) for name, latent in zip(CLASS_NAMES, PROTOTYPES, strict=True)
    }

    def highest(part):
        return max(faces, key=lambda name: getattr(faces[name], part))

    def lowest(part):
        return min(faces, key=lambda name: getattr(faces[name], part))

    assert highest("mouth_curvature") == "Happy"
    assert highest("mouth_width") == "Happy"
    assert highest("mouth_opening") == "Surprise"
    assert highest("nose_wrinkle") == "Disgust"
    assert highest("lip_raise") == "Disgust"
    assert highest("brow_slope") == "Fear"
    assert lowest("brow_slope") == "Anger"
    assert highest("frown") == "Anger"
    assert highest("head_drop") == "Sad"


def test_annotations_are_valid(drawn):
    for split, count in (("train", 400), ("test", 20)):
        rows = pd.read_csv(drawn / f"{split}.csv")
        first = ["subDirectory_filePath", "expression", "valence", "arousal"]
        assert list(rows.columns) == first + VOTES
        assert len(rows) == count
        assert rows.subDirectory_filePath.is_unique
        assert not rows.isna().any(axis=None)
        assert rows.expression.dtype.kind == "i"
        assert rows.valence.between(-1, 1).all()
        assert rows.arousal.between(-1, 1).all()
        np.testing.assert_allclose(rows[VOTES].sum(axis=1), 1.0, atol=1e-9)
        assert (rows[VOTES] >= 0).all(axis=None)
        np.testing.assert_array_equal(rows[VOTES].to_numpy().argmax(axis=1), rows.expression)
        for path in rows.subDirectory_filePath:
            assert cv2.imread(str(drawn / "images" / path)).shape == (16, 16, 3)
    assert len(list((drawn / "images").rglob("*.png"))) == 420


def test_shares_are_those_the_set_was_made_for(drawn):
    rows = pd.read_csv(drawn / "train.csv")
    shares = rows.expression.value_counts(normalize=True)
    assert len(shares) == 7
    assert shares.min() >= 0.06
    assert shares.max() > 1.5 * shares.min()
    assert 0.2 < (rows[VOTES].max(axis=1) < 0.7).mean() < 0.4  # ambiguous faces
    plane = rows[["valence", "arousal"]]
    nearest = NearestNeighbors(n_neighbors=9).fit(plane).kneighbors(plane)[1][:, 1:]
    labels = rows.expression.to_numpy()
    same = (labels[nearest] == labels[:, np.newaxis]).mean()
    assert 0.5 < same < 0.8  # useful but imperfect neighbors


def test_published_valence_and_arousal_err_like_an_annotator():
    errors = []
    for index in range(75):
        _, row = drawn_faces._face(0, "train", index, 16)
        latent = drawn_faces.sample_latent(generator([0, 0, index]))
        errors.append([row["valence"] - latent[0], row["arousal"] - latent[1]])
    # standard deviation ANNOTATOR_ERROR within four standard errors, sigma / sqrt(2 n), n = 150
    error = drawn_faces.ANNOTATOR_ERROR
    assert np.std(errors) == pytest.approx(error, abs=4 * error / np.sqrt(300))


def test_the_same_call_gives_the_same_bytes(small, tmp_path):
    draw_faces(tmp_path / "again", train=5, test=3, size=48, seed=0, progress=False)
    assert files(tmp_path / "again") == files(small)


def test_a_face_does_not_depend_on_how_many_are_asked_for(small, tmp_path):
    draw_faces(tmp_path / "fewer", train=2, test=1, size=48, seed=0, progress=False)
    whole = files(small)
    fewer = files(tmp_path / "fewer")
    pictures = [path for path in fewer if path.suffix == ".png"]
    assert len(pictures) == 3
    assert all(fewer[path] == whole[path] for path in pictures)
    for split, count in (("train", 2), ("test", 1)):
        part = pd.read_csv(tmp_path / "fewer" / f"{split}.csv")
        pd.testing.assert_frame_equal(part, pd.read_csv(small / f"{split}.csv").head(count))


def test_seeds_and_splits_differ(small, tmp_path):
    draw_faces(tmp_path / "other", train=5, test=3, size=48, seed=1, progress=False)
    ours = [data for path, data in files(small).items() if path.suffix == ".png"]
    others = [data for path, data in files(tmp_path / "other").items() if path.suffix == ".png"]
    assert len(set(ours)) == len(ours) == 8  # train and test share no picture
    assert not set(ours) & set(others)


def test_annotations_do_not_depend_on_the_size(small, tmp_path):
    draw_faces(tmp_path / "tiny", train=5, test=3, size=16, seed=0, progress=False)
    assert (tmp_path / "tiny" / "train.csv").read_bytes() == (small / "train.csv").read_bytes()


def test_a_whole_set_is_left_alone(tmp_path, monkeypatch):
    folder = tmp_path / "faces"
    draw_faces(folder, train=2, test=1, size=16, progress=False)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(drawn_faces, "_face", lambda *_: pytest.fail("drew again"))
    draw_faces(folder, train=2, test=1, size=16, progress=False)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    whole = drawn_faces._face

    def interrupted(seed, split, index, size):
        if split == "test":
            raise KeyboardInterrupt
        return whole(seed, split, index, size)

    monkeypatch.setattr(drawn_faces, "_face", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_faces(tmp_path / "faces", train=2, test=1, size=16, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_process_that_comes_second_keeps_the_first_ones_set(small, tmp_path, monkeypatch):
    folder = tmp_path / "faces"
    whole = drawn_faces._face

    def overtaken(*arguments):
        if not folder.exists():
            shutil.copytree(small, folder)
        return whole(*arguments)

    monkeypatch.setattr(drawn_faces, "_face", overtaken)
    draw_faces(folder, train=5, test=3, size=48, seed=0, progress=False)
    assert files(folder) == files(small)
    assert list(tmp_path.iterdir()) == [folder]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "faces").mkdir()
    draw_faces(tmp_path / "faces", train=1, test=1, size=16, progress=False)
    assert json.loads((tmp_path / "faces" / "drawn_faces.json").read_text())["train"] == 1


@pytest.mark.parametrize("other", [{"train": 3}, {"seed": 1}, {"size": 17}, {"test": 2}])
def test_another_set_is_not_overwritten(tmp_path, other):
    asked = {"train": 2, "test": 1, "size": 16, "seed": 0}
    draw_faces(tmp_path / "faces", **asked, progress=False)
    before = files(tmp_path / "faces")
    with pytest.raises(InputError, match="not this set.*name another folder"):
        draw_faces(tmp_path / "faces", **(asked | other), progress=False)
    assert files(tmp_path / "faces") == before


def test_what_the_user_keeps_in_a_folder_is_not_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="name another folder"):
            draw_faces(folder, train=1, test=1, size=16, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("wrong", [{"train": 0}, {"test": 0}, {"size": 15}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name} is {value}; give at least {value + 1}"):
        draw_faces(tmp_path / "faces", **wrong, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path):
    def run(*more):
        return subprocess.run(
            [sys.executable, "-m", "ldl_fer.drawn_faces", f"--output_dir={tmp_path / 'faces'}",
             "--test=2", "--size=16", "--seed=5", *more],
            capture_output=True, text=True,
        )  # fmt: skip

    done = run("--train=3")
    assert done.returncode == 0, done.stderr
    assert "3 training and 2 test faces" in done.stdout
    assert len(pd.read_csv(tmp_path / "faces" / "train.csv")) == 3
    refused = run("--train=4")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in refused.stderr
