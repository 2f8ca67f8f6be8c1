"""Valence and arousal: absent, unusual for the class, or of no use for neighbors."""

import numpy as np
import pytest
from helpers.annotation_files import csv_file
from helpers.made_up_split import made_up_split

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.data.annotations import read_annotations
from ldl_fer.preparation.affect.human_values import HUMAN_MEANS
from ldl_fer.preparation.doctor import plane as plane_checks
from ldl_fer.preparation.doctor.class_counts import check_cells
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE
from ldl_fer.preparation.doctor.plane import check_plane, unusual_distances
from ldl_fer.preparation.doctor.split import read_split

LABELS = np.tile(np.arange(7), 60)


def of_check(findings, check):
    return [finding for finding in findings if finding.check == check]


def test_absent_values_are_a_mistake_with_rows():
    plane = made_up_split(LABELS).valence_arousal
    plane[[3, 8]] = np.nan
    (finding,) = of_check(check_plane([made_up_split(LABELS, plane)]), "valence-arousal")
    assert finding.level == MISTAKE and [row.row for row in finding.rows] == [3, 8]


@pytest.mark.parametrize(("value", "text"), [(np.nan, "no row has"), (0.0, "are the same")])
def test_absent_or_constant_values_are_a_mistake(value, text):
    split = made_up_split(LABELS, np.full([len(LABELS), 2], value))
    finding = of_check(check_plane([split]), "valence-arousal")[0]
    assert finding.level == MISTAKE and text in finding.text and not finding.rows


@pytest.mark.parametrize("name", ["val", "test"])
def test_only_the_training_set_needs_values(name):
    split = made_up_split(LABELS, np.full([len(LABELS), 2], np.nan), name=name)
    (finding,) = check_plane([split])
    assert finding.level == FINE and f"{name}: 420 of 420 rows have none" in finding.text


def test_saturated_values_are_doubted():
    plane = made_up_split(LABELS).valence_arousal.clip(-0.98, 0.98)
    plane[:21, 1] = -0.995  # 21 of 420 are 5 %, no more
    (finding,) = of_check(check_plane([made_up_split(LABELS, plane)]), "valence-arousal")
    assert finding.level == FINE
    plane[100, 0] = 1.0
    fine, finding = of_check(check_plane([made_up_split(LABELS, plane)]), "valence-arousal")
    assert fine.level == FINE and finding.level == DOUBTFUL and "22 rows (5.2%)" in finding.text
    assert "valence_arousal_source" in finding.cure and "ldl-fer affect" in finding.cure
    assert [row.row for row in finding.rows] == [100, *range(21)]
    assert finding.rows[0].note.startswith("at (1.00, ")


def test_shifted_class_means_are_doubted_though_they_correlate():
    human = np.array([HUMAN_MEANS[name] for name in CLASS_NAMES])
    (finding,) = of_check(check_plane([made_up_split(LABELS, human[LABELS])]), "class means")
    assert finding.level == FINE and len(finding.values["means"]) == 14
    shrunk = 0.4 * human[LABELS] + [-0.2, 0.3]
    (finding,) = of_check(check_plane([made_up_split(LABELS, shrunk)]), "class means")
    assert finding.level == DOUBTFUL and "valence of Happy 0.07 (0.67)" in finding.text
    assert "ldl-fer affect" in finding.cure
    absent = made_up_split(LABELS, np.full([len(LABELS), 2], np.nan), name="test")
    assert of_check(check_plane([absent]), "class means") == []


def test_distance_is_that_of_mahalanobis():
    random = np.random.default_rng(0)
    plane = random.normal(0, [0.3, 0.1], [4000, 2])
    plane[0], plane[1] = [0.0, 0.8], [-2.0, 0.0]
    distances = unusual_distances(made_up_split(np.zeros(4000, int), plane))
    # Variances plus 0.05²: 0.8 / sqrt(0.1² + 0.05²) and 2 / sqrt(0.3² + 0.05²).
    np.testing.assert_allclose(distances[:2], [7.16, 6.58], rtol=0.1)


def test_the_unusual_rows_are_listed_worst_first():
    plane = made_up_split(LABELS).valence_arousal
    plane[1], plane[8] = [-0.9, 0.0], [-0.1, 0.5]  # rows of Happy
    (finding,) = of_check(check_plane([made_up_split(LABELS, plane)]), "unusual valence-arousal")
    assert finding.level == DOUBTFUL and [row.row for row in finding.rows] == [1, 8]
    assert "Happy at (-0.90, 0.00)" in finding.rows[0].note
    (finding,) = of_check(check_plane([made_up_split(LABELS)]), "unusual valence-arousal")
    assert finding.level == FINE


def test_a_class_of_one_point_does_not_make_others_infinitely_unusual():
    plane = np.zeros([60, 2])
    plane[0] = [0.1, 0.0]
    distances = unusual_distances(made_up_split(np.zeros(60, int), plane))
    assert distances[0] == pytest.approx(2.0, rel=0.05)  # 0.1 / 0.05
    assert distances[1:].max() < 0.1
    assert np.isnan(unusual_distances(made_up_split(np.zeros(19, int), plane[:19]))).all()


def test_share_of_neighbors_with_the_same_label():
    # Two points far apart, each with 5 rows; the second has one row of class 0.
    labels = [0] * 5 + [1] * 4 + [0]
    plane = [[-0.5, 0]] * 5 + [[0.5, 0]] * 5
    (finding,) = of_check(check_plane([made_up_split(labels, plane)], 4), "neighbors")
    # 5 rows: 4 of 4 alike; 4 rows: 3 of 4; 1 row: none. Chance of another row: 5/9 and 3/9.
    assert finding.values["same_label"] == pytest.approx((5 * 1 + 4 * 0.75) / 10)
    assert finding.values["chance"] == pytest.approx(0.6 * 5 / 9 + 0.4 * 3 / 9)
    assert finding.values["same_label_per_class"][:2] == pytest.approx([5 / 6, 0.75])
    assert finding.level == FINE


def test_neighbors_no_better_than_chance_are_doubted():
    plane = np.random.default_rng(0).uniform(-1, 1, [len(LABELS), 2])
    (finding,) = of_check(check_plane([made_up_split(LABELS, plane)]), "neighbors")
    assert finding.level == DOUBTFUL and "ldl-fer affect" in finding.cure


def test_neighbors_are_looked_at_in_the_training_set_only():
    assert not of_check(check_plane([made_up_split(LABELS, name="test")]), "neighbors")


@pytest.mark.parametrize("progress", [True, False])
def test_bars_are_shown_if_they_are_wanted(monkeypatch, progress):
    asked, real = [], plane_checks.nearest_neighbors

    def nearest(points, k, shown):
        asked.append((k, shown))
        return real(points, k, shown)

    monkeypatch.setattr(plane_checks, "nearest_neighbors", nearest)
    check_plane([made_up_split(LABELS, np.zeros([len(LABELS), 2]))], 3, progress)
    assert asked == [(3, progress)]


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_method_without_neighbors_needs_no_values(value):
    split = made_up_split(LABELS, np.full([len(LABELS), 2], value))
    assert {finding.level for finding in check_plane([split], 0)} == {FINE}


@pytest.mark.parametrize("cells", [",", "-2,-2", "-2.0,nan", " NaN ,", "0.5,-0.5", "3,0", "x,0"])
@pytest.mark.parametrize("name", ["train", "test"])
def test_the_doctor_and_training_agree_on_what_is_needed(tmp_path, cells, name):
    path = csv_file(tmp_path, f"a.png,0,{cells}", "b.png,1,0.1,0.2", "c.png,2,0.3,0.2")
    for neighbors in (0, 1):
        try:
            read_annotations(path, plane=name == "train" and neighbors > 0)
            accepted = True
        except AnnotationError:
            accepted = False
        split = read_split(name, path, tmp_path)
        found = check_cells([split]) + check_plane([split], neighbors)
        assert accepted == all(finding.level != MISTAKE for finding in found)


def test_more_neighbors_than_rows_are_a_mistake_as_training_says():
    split = made_up_split([0, 1, 2, 3])
    (_, finding) = check_plane([split], 4)
    assert finding.level == MISTAKE and "4 rows; 4 neighbors need more than 4" in finding.text
    assert all(found.level == FINE for found in check_plane([split], 3)[:1])
