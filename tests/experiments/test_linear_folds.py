"""Linear classifiers that did not see the sample."""

import numpy as np
import pytest
from helpers.frozen_faces import make_frozen_faces
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from ldl_fer.config.presets import PRESETS
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.errors import InputError
from ldl_fer.experiments import linear_folds
from ldl_fer.experiments.linear_folds import (
    FOLDS,
    INVERSE_PENALTIES,
    check_cross_validation,
    cross_validated,
)


def made_up_features(count=90, size=12, seed=0):
    """Three classes, apart by their first features; columns of very different scales."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 3)
    features = random.normal(size=[count, size])
    features[np.arange(count), labels] += 4
    return (features * np.geomspace(0.01, 1000, size) + 5).astype(np.float32), labels


def test_each_fold_is_predicted_by_the_others():
    features, labels = made_up_features()
    another = features + np.random.default_rng(1).normal(0, 0.5, features.shape) * features.std(
        axis=0
    )
    pooled = np.stack([features, another.astype(np.float32)], axis=1)  # two views
    found = linear_folds._predictions(pooled, labels, 3, progress=False)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert FOLDS == 5 and np.mean(found.argmax(axis=1) == labels) > 0.8
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(features, labels))

    def by_hand(inside, outside, penalty):
        """With mean and deviation of the other folds alone."""
        views = np.concatenate([pooled[inside, 0], pooled[inside, 1]])
        mean, deviation = views.mean(axis=0), views.std(axis=0)
        one = LogisticRegression(C=penalty, max_iter=300)
        one.fit((views - mean) / deviation, np.tile(labels[inside], 2))
        return np.mean(
            [one.predict_proba((pooled[outside, v] - mean) / deviation) for v in (0, 1)], axis=0
        )

    own = labels[folds[0][1]]
    losses = [
        -np.log(by_hand(*folds[0], penalty)[np.arange(len(own)), own]).mean()
        for penalty in INVERSE_PENALTIES
    ]
    assert len(set(losses)) == len(losses)
    for inside, outside in folds:
        expected = by_hand(inside, outside, INVERSE_PENALTIES[int(np.argmin(losses))])
        np.testing.assert_allclose(found[outside], expected, atol=1e-4)


def test_a_class_without_samples_has_no_probability():
    features, labels = made_up_features()
    pooled = np.stack([features, features], axis=1)
    found = linear_folds._predictions(pooled, labels, 3, progress=False)
    among_four = linear_folds._predictions(pooled, np.array([0, 2, 3])[labels], 4, progress=False)
    np.testing.assert_array_equal(among_four[:, [0, 2, 3]], found)
    assert (among_four[:, 1] == 0).all()


def test_another_backbone_is_refused(tmp_path):
    words = "uncertainty.*--preset=frozen --pretrained=FILE.onnx"
    with pytest.raises(InputError, match=words):
        cross_validated(PRESETS["small"], tmp_path)
    with pytest.raises(InputError, match=words):
        check_cross_validation(PRESETS["small"])


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return make_frozen_faces(tmp_path_factory.mktemp("frozen"))


@pytest.fixture
def counted(monkeypatch):
    calls, real = [], linear_folds._predictions
    monkeypatch.setattr(
        linear_folds,
        "_predictions",
        lambda *arguments: calls.append(arguments) or real(*arguments),
    )
    return calls


def with_labels(faces, name, labels, train="train.csv"):
    annotations = read_annotations(faces.folder / "drawn" / train)
    table = annotations.table.assign(expression=labels)
    path = faces.folder / f"{name}.csv"
    Annotations(table, annotations.class_names).write(path)
    return str(path)


@pytest.mark.slow
def test_predictions_are_kept_by_labels(faces, tmp_path, counted):
    even = np.arange(40) % 7
    config = faces.config("unused", train_data_path=with_labels(faces, "even", even))
    found = cross_validated(config, tmp_path / "kept", progress=False)
    assert found.shape == (40, 7) and len(counted) == 1
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_array_equal(counted[0][1], even)
    assert counted[0][0].shape == (40, 2, 2304)
    again = cross_validated(config.replace(seed=3, method="eac"), tmp_path / "kept", progress=False)
    np.testing.assert_array_equal(found, again)
    assert len(counted) == 1
    other = config.replace(train_data_path=with_labels(faces, "other", (even + 1) % 7))
    assert (cross_validated(other, tmp_path / "kept", progress=False) != found).any()
    assert len(counted) == 2


@pytest.mark.slow
def test_other_features_of_the_same_pictures_have_their_own(faces, tmp_path, counted):
    labels = with_labels(faces, "sizes", np.arange(40) % 7)
    found = [
        cross_validated(
            faces.config("unused", train_data_path=labels, image_size=size),
            tmp_path,
            progress=False,
        )
        for size in (32, 48)
    ]
    assert len(counted) == 2 and (found[0] != found[1]).any()


@pytest.mark.slow
def test_a_class_with_fewer_samples_than_folds_is_named(faces, tmp_path):
    few = np.arange(40) % 7
    few[few == 5] = 0
    few[:4] = 5
    few[few == 2] = 1  # none of them: no obstacle
    config = faces.config("unused", train_data_path=with_labels(faces, "few", few))
    words = "few.csv has 4 samples of Disgust; 5 folds need 5"
    with pytest.raises(InputError, match=words):
        cross_validated(config, tmp_path, progress=False)
    with pytest.raises(InputError, match=words):
        check_cross_validation(config)


def test_the_check_counts_what_is_trained_on_and_looks_at_no_picture(faces, tmp_path):
    """35 rows, 5 of each class: enough, unless a part is held out to choose the epoch."""
    table = read_annotations(faces.folder / "drawn/train.csv").table.head(35)
    table = table.assign(expression=np.arange(35) % 7)
    Annotations(table).write(tmp_path / "even.csv")
    settings = {"train_data_path": str(tmp_path / "even.csv"), "train_image_dir": str(tmp_path)}
    config = faces.config("unused", **settings)
    assert config.data.val_data_path
    check_cross_validation(config)
    part = config.replace(val_data_path="", validation_fraction=0.2)
    with pytest.raises(InputError, match="even.csv has 4 samples"):
        check_cross_validation(part)
