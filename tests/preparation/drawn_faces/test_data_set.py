"""Drawn faces: their annotations, and the folder they are written to."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.preparation.drawn_faces import data_set
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.preparation.drawn_faces.latents import sample_latent

VOTES = [f"votes_{name.lower()}" for name in CLASS_NAMES]


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
        _, row = data_set._face(0, "train", index, 16)
        latent = sample_latent(generator([0, 0, index]))
        errors.append([row["valence"] - latent[0], row["arousal"] - latent[1]])
    # standard deviation ANNOTATOR_ERROR within four standard errors, sigma / sqrt(2 n), n = 150
    error = data_set.ANNOTATOR_ERROR
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
    monkeypatch.setattr(data_set, "_face", lambda *_: pytest.fail("drew again"))
    draw_faces(folder, train=2, test=1, size=16, progress=False)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    whole = data_set._face

    def interrupted(seed, split, index, size):
        if split == "test":
            raise KeyboardInterrupt
        return whole(seed, split, index, size)

    monkeypatch.setattr(data_set, "_face", interrupted)
    with pytest.raises(KeyboardInterrupt):
        draw_faces(tmp_path / "faces", train=2, test=1, size=16, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_the_process_that_comes_second_keeps_the_first_ones_set(small, tmp_path, monkeypatch):
    folder = tmp_path / "faces"
    whole = data_set._face

    def overtaken(*arguments):
        if not folder.exists():
            shutil.copytree(small, folder)
        return whole(*arguments)

    monkeypatch.setattr(data_set, "_face", overtaken)
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
