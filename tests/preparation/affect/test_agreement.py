"""CCC, Pearson and RMSE by their definitions; intervals that cover, and that a seed repeats."""

import numpy as np
import pytest

from ldl_fer.preparation.affect.agreement import (
    agreement,
    agreement_table,
    concordance,
    pearson,
    rmse,
    sign_agreement,
    worse_than_constant,
)


def test_concordance_by_hand():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 6.0])
    # means 1 and 3, variances 2/3 and 14/3, covariance 5/3: 2 (5/3) / (2/3 + 14/3 + 4)
    assert concordance(x, y) == pytest.approx((10 / 3) / (28 / 3))
    assert concordance(x, x + 1) == pytest.approx((4 / 3) / (4 / 3 + 1))  # r is 1, means differ
    assert concordance(x, -x + 2) == pytest.approx(-1.0)


def test_pearson_and_rmse_agree_with_numpy():
    x, y = np.random.default_rng(0).normal(size=[2, 50])
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert rmse(x, y) == pytest.approx(np.linalg.norm(x - y) / np.sqrt(50))


def test_equal_signs():
    x, y = np.array([0.5, -0.5, 0.0, 0.0, -1.0]), np.array([0.1, 0.1, 0.0, 0.3, -0.2])
    assert sign_agreement(x, y) == pytest.approx(3 / 5)
    given = np.array([[0.5, -0.1], [-0.5, 0.1], [0.2, 0.3], [0.1, 0.1]])
    found = agreement(given, given * [1, -1], resamples=20)
    assert found["sign_agreement"]["valence"]["value"] == 1.0
    assert found["sign_agreement"]["arousal"]["value"] == 0.0
    assert found["sign_agreement"]["mean"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    lines = agreement_table(found).splitlines()
    assert [line.split("  ")[0] for line in lines[:5]] == [
        *("4 rows", "CCC", "Pearson", "RMSE", "same sign"),
    ]
    assert {len(line) for line in lines} == {len(lines[0])} and len(lines[0]) < 90


def test_a_constant_prediction_concords_with_nothing_and_has_no_correlation():
    given = np.random.default_rng(0).uniform(-1, 1, [40, 2])
    found = agreement(given, np.full_like(given, 0.3), resamples=50)
    assert found["ccc"]["mean"]["value"] == 0.0
    assert found["pearson"]["mean"] == {"value": None, "low": None, "high": None}
    assert "undefined" in agreement_table(found)


def test_valence_and_arousal_are_measured_apart():
    given = np.random.default_rng(0).uniform(-1, 1, [40, 2])
    predicted = np.stack([given[:, 0], given[:, 1] + 0.5], axis=1)
    found = agreement(given, predicted, resamples=50)
    assert found["rmse"]["valence"]["value"] == 0.0
    assert found["rmse"]["arousal"]["value"] == pytest.approx(0.5)
    assert found["rmse"]["mean"]["value"] == pytest.approx(0.25)  # (0 + 0.5) / 2
    assert found["rows"] == 40


def test_predictions_worse_than_the_mean_are_named():
    given = np.array([[0.3, 0.1], [-0.3, -0.1]] * 10)  # standard deviations 0.3 and 0.1
    found = agreement(given, np.full_like(given, [0.05, 0.2]), resamples=20)
    assert found["standard_deviation"] == pytest.approx(
        {"valence": 0.3, "arousal": 0.1, "mean": 0.2}
    )
    # A constant that is off by b has an RMSE of sqrt(s^2 + b^2): 0.304 and 0.224.
    first, second = worse_than_constant(found)
    assert first.startswith("the RMSE of valence, 0.30, exceeds")
    assert (
        second.startswith("the RMSE of arousal, 0.22, exceeds") and "given values, 0.10" in second
    )
    assert agreement_table(found).splitlines()[-1].split() == [
        *("standard", "deviation", "0.300", "0.100", "0.200")
    ]
    assert worse_than_constant(agreement(given, 0.5 * given, resamples=20)) == []


def test_intervals_cover_the_truth_about_as_often_as_they_claim():
    covered = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        x = random.normal(size=[150, 2])
        y = 0.8 * x + 0.6 * random.normal(size=x.shape)  # r = 0.8 in the population
        cell = agreement(x, y, seed, resamples=300)["pearson"]["valence"]
        covered += cell["low"] < 0.8 < cell["high"]
    # 95 % of 60 is 57; fewer than 50 has a chance below 0.1 % even at a true coverage of 93 %
    assert 50 <= covered <= 60


def test_a_seed_repeats_the_interval_and_another_does_not():
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 1, [2, 60, 2])
    assert agreement(x, y, 1, 100) == agreement(x, y, 1, 100) != agreement(x, y, 2, 100)


@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (5,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="not both"):
        agreement(np.zeros(shape), np.zeros(shape))
    with pytest.raises(ValueError, match="not finite"):
        agreement(np.full([4, 2], np.nan), np.zeros([4, 2]))
