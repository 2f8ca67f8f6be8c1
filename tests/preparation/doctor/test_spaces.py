"""Label agreement in every space that a training set has."""

import dataclasses

import numpy as np
import pytest
from helpers.made_up_split import made_up_split

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.landmarks import write_landmarks
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE
from ldl_fer.preparation.doctor.spaces import check_spaces

LABELS = np.repeat([0, 1, 2], 10)


@pytest.fixture
def split(tmp_path):
    """Its shapes are those of the classes, its valence-arousal says nothing."""
    plane = np.random.default_rng(0).uniform(-1, 1, [len(LABELS), 2])
    made = made_up_split(LABELS, plane)
    return dataclasses.replace(made, csv_path=tmp_path / "train.csv")


def write(split, points):
    write_landmarks(split.csv_path.with_suffix(".landmarks.npz"), split.paths, points)


def shapes(kinds=LABELS):
    """Shapes of three kinds."""
    random = np.random.default_rng(1)
    return random.normal(size=[3, 6, 2])[kinds] + 0.01 * random.normal(size=[len(kinds), 6, 2])


def test_only_spaces_that_are_there_are_looked_at(split):
    assert check_spaces([split], DataConfig(), 3) == []
    write(split, shapes())
    found = check_spaces([split], DataConfig(), 3)
    assert [finding.values["auxiliary"] for finding in found] == ["landmarks", "both"]
    assert check_spaces([split], DataConfig(), 0) == []
    assert check_spaces([dataclasses.replace(split, name="val")], DataConfig(), 3) == []


def test_agreement_by_landmarks_and_both(split):
    points = shapes()
    points[4] = np.nan
    write(split, points)
    alone, both = check_spaces([split], DataConfig(valence_arousal_share=0.9), 3)
    assert alone.level == FINE and "train, by landmarks: " in alone.text
    assert "1 faces have no landmarks" in alone.text and alone.values["without_landmarks"] == 1
    assert alone.values["same_label"] > 0.95
    assert alone.values["chance"] == pytest.approx(9 / 29)
    assert both.values["same_label"] < alone.values["same_label"]


def test_landmarks_of_other_faces_are_doubted(split):
    write(split, shapes(np.arange(len(LABELS)) % 3))  # of each kind 4, 3 and 3 of each label
    alone, _ = check_spaces([split], DataConfig(), 9)
    assert alone.values["same_label"] == pytest.approx((4 * 3 + 3 * 2 + 3 * 2) / 90)
    assert alone.level == DOUBTFUL and "train.landmarks.npz says next to nothing" in alone.cure


def test_rows_without_a_class_or_valence_arousal_are_left_out(split):
    write(split, shapes())
    labels, plane = split.labels.copy(), split.valence_arousal.copy()
    labels[0], plane[1] = -1, np.nan
    split = dataclasses.replace(split, labels=labels, valence_arousal=plane)
    alone, both = check_spaces([split], DataConfig(), 3)
    assert alone.values["chance_per_class"][0] == pytest.approx(8 / 28)
    assert both.values["chance_per_class"][0] == pytest.approx(7 / 27)


def test_a_table_that_is_asked_for_or_damaged_is_a_finding(split, tmp_path):
    (alone,) = check_spaces([split], DataConfig(auxiliary=str(tmp_path / "mine.npz")), 3)
    assert alone.level == MISTAKE and "mine.npz" in alone.text
    found = check_spaces([split], DataConfig(landmarks=str(tmp_path / "gone.npz")), 3)
    assert [finding.level for finding in found] == [MISTAKE] * 2
    write_landmarks(tmp_path / "train.landmarks.npz", split.paths[1:], shapes()[1:])
    found = check_spaces([split], DataConfig(), 3)
    assert all("lacks 1 of 30 pictures" in finding.text for finding in found)
