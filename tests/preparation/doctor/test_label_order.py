"""Labels numbered in another data set's order are found, by counts and by valence-arousal."""

import dataclasses

import numpy as np
import pytest
from helpers.made_up_split import made_up_split

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.datasets.label_orders import known_orders
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE
from ldl_fer.preparation.doctor.label_order import (
    best_order,
    check_label_order,
    plane_fits,
)

RAF_DB = READERS["raf_db"]
ORDERS = known_orders(CLASS_NAMES)
TRUE = np.repeat(np.arange(7), 40)


def numbered_in(order, labels):
    """Class numbers -> the numbers that a file in `order` has for the same classes."""
    return np.argsort(order)[labels]


def test_orders_are_those_of_the_readers_and_the_alphabet():
    # RAF-DB: 0 Surprise, 1 Fear, 2 Disgust, 3 Happy, 4 Sad, 5 Anger, 6 Neutral.
    assert ORDERS[RAF_DB.title] == (3, 4, 5, 1, 2, 6, 0)
    # Anger, Disgust, Fear, Happy, Neutral, Sad, Surprise; some reader has that order, too.
    assert (6, 5, 4, 1, 0, 2, 3) in ORDERS.values()
    assert tuple(range(7)) not in ORDERS.values()
    assert known_orders(("Calm", "Glad")) == {}


@pytest.mark.parametrize("title", ORDERS)
def test_another_order_is_seen_in_the_plane(title):
    right = made_up_split(TRUE)
    wrong = made_up_split(numbered_in(ORDERS[title], TRUE), right.valence_arousal)
    assert [f.level for f in check_label_order([right])] == [FINE]
    (finding,) = check_label_order([wrong])
    assert finding.level == MISTAKE
    assert finding.values["order"] == [CLASS_NAMES[k] for k in ORDERS[title]]
    assert finding.values["correlations"][title] > 0.95


def test_half_of_the_labels_wrong_is_no_other_order():
    random = np.random.default_rng(0)
    noisy = np.where(random.random(len(TRUE)) < 0.5, random.integers(0, 7, len(TRUE)), TRUE)
    (finding,) = check_label_order([made_up_split(noisy, made_up_split(TRUE).valence_arousal)])
    assert finding.level == FINE


def test_shrunk_and_shifted_values_fit_as_well():
    split = made_up_split(TRUE)
    small = made_up_split(TRUE, 0.2 * split.valence_arousal + [-0.3, 0.4])
    own = {"as given": range(7)}
    assert plane_fits(small, own)["as given"] == pytest.approx(plane_fits(split, own)["as given"])


def test_values_that_fit_no_order_are_doubted():
    plane = np.random.default_rng(1).uniform(-1, 1, [len(TRUE), 2])
    (finding,) = check_label_order([made_up_split(TRUE, plane)])
    assert finding.level == DOUBTFUL


def counted(counts):
    labels = np.repeat(np.arange(7), counts)
    return made_up_split(labels, np.full([len(labels), 2], np.nan), "test")


def test_published_counts_in_another_order():
    published = np.array(RAF_DB.published_counts["test"])
    assert check_label_order([counted(published)]) == []
    order = ORDERS[RAF_DB.title]
    for counts in (published[list(order)], published[list(order)] - 2):  # exactly, and nearly
        (finding,) = check_label_order([counted(counts)])
        assert finding.level == MISTAKE and RAF_DB.title in finding.text
        assert finding.values["order"] == list(RAF_DB.label_order)


def test_published_counts_in_an_order_that_nobody_uses():
    published = np.array(RAF_DB.published_counts["test"])
    (finding,) = check_label_order([counted(np.roll(published, 1))])
    # What is numbered 0 has the count of the last class, 1 that of the first, ...
    assert finding.values["order"] == [CLASS_NAMES[k] for k in (6, 0, 1, 2, 3, 4, 5)]
    assert "another" in finding.text


def test_the_cure_names_the_map_of_class_folders():
    order = ORDERS[RAF_DB.title]
    split = made_up_split(numbered_in(order, TRUE), made_up_split(TRUE).valence_arousal)
    right = ",".join(f"{k + 1}={name}" for k, name in enumerate(RAF_DB.label_order))
    classes = f"--class_names={','.join(RAF_DB.label_order)}"
    folders = [str(label + 1) for label in split.labels]
    (finding,) = check_label_order([dataclasses.replace(split, originals=folders)])
    assert f"class_folders`: give --map={right}. " in finding.cure and classes in finding.cure
    (finding,) = check_label_order([split])  # it may be from class folders, or from elsewhere
    assert "--map" in finding.cure and "--map=" not in finding.cure and classes in finding.cure
    named = [RAF_DB.label_order[label] for label in split.labels]
    (finding,) = check_label_order([dataclasses.replace(split, originals=named)])
    assert "give no --map" in finding.cure
    noisy = np.random.default_rng(0).permutation(folders).tolist()
    (finding,) = check_label_order([dataclasses.replace(split, originals=noisy)])
    assert "--map=" not in finding.cure


def test_exchanged_classes_name_the_map_as_well():
    labels = TRUE.copy()
    labels[TRUE == 2], labels[TRUE == 6] = 6, 2
    split = made_up_split(labels, made_up_split(TRUE).valence_arousal)
    folders = [f"folder {label}" for label in labels]
    (finding,) = check_label_order([dataclasses.replace(split, originals=folders)])
    assert "folder 2=Anger" in finding.cure and "folder 6=Sad" in finding.cure
    assert "'--map=folder 0=Neutral" in finding.cure  # quoted for a shell


def test_real_faces_have_their_own_order(ferplus):
    from ldl_fer.preparation.doctor.split import read_split

    split = read_split("val", ferplus / "val.csv", ferplus / "images")
    assert [f.level for f in check_label_order([split])] == [FINE]
    for order in ORDERS.values():
        wrong = made_up_split(numbered_in(order, split.labels), split.valence_arousal)
        (finding,) = check_label_order([wrong])
        assert finding.level == MISTAKE
        assert finding.values["order"] == [CLASS_NAMES[k] for k in order]


@pytest.mark.parametrize("pair", [("Sad", "Anger"), ("Happy", "Sad"), ("Neutral", "Fear")])
def test_two_exchanged_classes_are_doubted(pair):
    first, second = (CLASS_NAMES.index(name) for name in pair)
    labels = TRUE.copy()
    labels[first == TRUE], labels[second == TRUE] = second, first
    right = made_up_split(TRUE)
    assert best_order(right) == tuple(range(7))
    (finding,) = check_label_order([made_up_split(labels, right.valence_arousal)])
    assert finding.level in (DOUBTFUL, MISTAKE)
    assert all(f"{name} (given as" in finding.text for name in pair)
