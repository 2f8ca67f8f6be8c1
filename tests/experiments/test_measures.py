"""Measures of runs, from tables made by hand: every number by its formula."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from ldl_fer.evaluation.audit.suspicion import suspicion
from ldl_fer.experiments.measures import (
    MEASURES,
    Finished,
    auxiliary,
    read_metrics,
    uncertainty,
    validation,
    votes,
)
from ldl_fer.experiments.measures import test as measured_test
from ldl_fer.experiments.tables import Variant

NAMES = ("A", "B", "C")
# Five samples; the second and the fourth have had their label changed.
LABELS = np.array([0, 1, 2, 0, 1])
CLEAN = np.array([0, 2, 2, 1, 1])
FLIPPED = LABELS != CLEAN
VOTES = np.array([[6, 2, 2], [0, 0, 8], [1, 1, 2], [0, 0, 0], [0, 5, 5]])
PROBABILITY = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.5, 0.2], [0.2, 0.2, 0.6], [0.1, 0.7, 0.2], [0.25, 0.7, 0.05]]
)
TARGET = np.array(
    [[0.9, 0.05, 0.05], [0.1, 0.4, 0.5], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2]]
)
AGGREGATED = np.array(
    [[0.5, 0.25, 0.25], [0.2, 0.1, 0.7], [0.3, 0.1, 0.6], [0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]
)
UNCERTAINTY = np.array([0.2, 0.7, 0.7, 0.9, 0.1])
RESULTS = {
    "mine": {"best": {"accuracy": 0.75, "kl": 0.5}, "last": {"accuracy": 0.7, "kl": 0.6}},
    "theirs": {"best": {"accuracy": 0.55}, "last": {"accuracy": 0.5}},
}
LAST_EPOCHS = {"mine": 0.68, "theirs": 0.52}
LOG = pd.DataFrame({"epoch": range(7), "val_accuracy": [0.1, 0.9, 0.5, 0.6, 0.7, 0.8, 0.4]})


def columns(part, values):
    return {f"{part}_{name.lower()}": values[:, j] for j, name in enumerate(NAMES)}


def finished(method="ldlva", clean=CLEAN, human=True, cross_validated=None, smoothing=0.1):
    table = {"expression": LABELS, "clean_expression": clean, **columns("probability", PROBABILITY)}
    if human:
        table |= columns("votes", VOTES)
    if method == "ldlva":
        table |= {"uncertainty": UNCERTAINTY}
        table |= columns("target", TARGET) | columns("aggregated", AGGREGATED)
    variant = Variant("ME", {"method": method}, "a setting")
    samples = pd.DataFrame(table)
    return Finished(variant, samples, RESULTS, LAST_EPOCHS, LOG, NAMES, smoothing, cross_validated)


def test_validation_accuracy_is_of_the_best_and_of_the_last_five_epochs():
    [row] = validation(finished())
    assert (row.method, row.dataset, row.setting) == ("ME", "mine", "a setting")
    assert row.values == {
        "validation_accuracy": 0.9,
        "validation_accuracy_last5": pytest.approx(0.6),
    }


def auc(scores, flipped):
    """Part of the pairs (flipped, other) where the flipped one scores higher, ties half."""
    pairs = [(a, b) for a in scores[flipped] for b in scores[~flipped]]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def kl(reference, distributions):
    """Mean over voted rows of sum_j r_j log(r_j / p_j), with p at least 1e-12."""
    total, rows = 0.0, 0
    for counts, p in zip(reference, distributions, strict=True):
        if counts.sum():
            r = counts / counts.sum()
            total += sum(a * np.log(a / max(b, 1e-12)) for a, b in zip(r, p, strict=True) if a)
            rows += 1
    return total / rows


def ranks(values):
    """From 1; ties share the mean of their ranks."""
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def spearman(first, second):
    """Correlation of the ranks: sum a b / sqrt(sum a^2 sum b^2), a and b less their means."""
    a, b = ranks(first) - ranks(first).mean(), ranks(second) - ranks(second).mean()
    return (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())


def by_row(measured):
    rows = [(row.method, row.dataset, row.setting) for row in measured]
    assert len(set(rows)) == len(rows)
    return {(row.method, row.setting): row.values for row in measured}


def test_all_measures_are_registered():
    named = {"votes": votes, "uncertainty": uncertainty, "validation": validation}
    assert named | {"test": measured_test, "auxiliary": auxiliary} == MEASURES


def test_rows_of_test_have_best_and_last_epoch_and_flips_found():
    first, second = measured_test(finished())
    assert (first.method, first.dataset, first.setting) == ("ME", "mine", "a setting")
    assert (second.method, second.dataset, second.setting) == ("ME", "theirs", "a setting")
    # Pairs of lambda (0.7, 0.9) with (0.2, 0.7, 0.1): 1 + 1/2 + 1 and 1 + 1 + 1, of 6.
    assert auc(UNCERTAINTY, FLIPPED) == pytest.approx(5.5 / 6)
    assert first.values == pytest.approx(
        {
            **{"accuracy": 0.75, "kl": 0.5, "accuracy_last": 0.7, "kl_last": 0.6},
            **{"accuracy_last5": 0.68, "flips_auc": 5.5 / 6},
        }
    )
    assert second.values == pytest.approx(
        {"accuracy": 0.55, "accuracy_last": 0.5, "accuracy_last5": 0.52, "flips_auc": 5.5 / 6}
    )


def test_neighbors_are_compared_by_clean_labels():
    run = finished()
    count = len(LABELS)
    clean = LABELS.copy()
    clean[FLIPPED] = (LABELS[FLIPPED] + 1) % len(NAMES)
    neighbors = [[(row + 1) % count, (row + 2) % count] for row in range(count)]
    run.samples["neighbors"] = [";".join(map(str, row)) for row in neighbors]
    run.samples["clean_expression"] = clean
    same = [clean[other] == clean[row] for row in range(count) for other in neighbors[row]]
    first, second = auxiliary(run)
    assert first.values["label_agreement"] == pytest.approx(np.mean(same))
    assert second.values["label_agreement"] == first.values["label_agreement"]
    assert first.values["kl_neighbors"] == pytest.approx(kl(VOTES, AGGREGATED))
    assert first.values["accuracy_last"] == 0.7 and second.values["accuracy_last"] == 0.5
    run.samples.drop(columns=[name for name in run.samples if "votes" in name], inplace=True)
    assert "kl_neighbors" not in next(auxiliary(run)).values


def test_there_are_no_flips_to_be_found_without_noise_or_without_lambda():
    for run in (finished(clean=LABELS), finished("cross_entropy")):
        assert not any("flips_auc" in row.values for row in measured_test(run))


def test_a_lambda_that_is_fixed_finds_nothing():
    run = finished()
    run.samples["uncertainty"] = 0.5
    assert not any("flips_auc" in row.values for row in measured_test(run))


def test_votes_against_all_distributions_of_ldlva():
    rows = by_row(list(votes(finished())))
    expected = {
        "ME: softmax": PROBABILITY,
        "ME: target d": TARGET,
        "ME: neighbors' d~": AGGREGATED,
    }
    assert rows.keys() == {(name, "training faces") for name in expected} | {("ME", "test faces")}
    for name, distributions in expected.items():
        values = rows[name, "training faces"]
        assert values.keys() == {
            *("kl", "jensen_shannon", "chebyshev", "cosine", "clark", "canberra", "intersection")
        }
        assert values["kl"] == pytest.approx(kl(VOTES, distributions))
        # Four rows have votes.
        gaps = np.abs(VOTES[[0, 1, 2, 4]] / [[10], [8], [4], [10]] - distributions[[0, 1, 2, 4]])
        assert values["chebyshev"] == pytest.approx(gaps.max(axis=1).mean())


def test_votes_against_one_hot_labels():
    values = by_row(list(votes(finished("cross_entropy"))))["one-hot label", "training faces"]
    big = np.log(1e12)
    by_hand = [
        0.6 * np.log(0.6) + 2 * 0.2 * (np.log(0.2) + big),
        big,  # all say C, the label is B
        2 * 0.25 * (np.log(0.25) + big) + 0.5 * np.log(0.5),
        0.5 * np.log(0.5) + 0.5 * (np.log(0.5) + big),
    ]
    assert values["kl"] == pytest.approx(np.mean(by_hand))
    # |0.6 - 1|, |0 - 1|, |0.5 - 1|, |0.5 - 1|
    assert values["chebyshev"] == pytest.approx((0.4 + 1 + 0.5 + 0.5) / 4)


def test_votes_against_smoothed_labels():
    rows = by_row(list(votes(finished("label_smoothing", smoothing=0.3))))
    assert ("one-hot label", "training faces") not in rows
    # 1 - 0.3 + 0.3 / 3 for the label, 0.3 / 3 for the others
    high, low = 0.8, 0.1
    by_hand = [
        0.6 * np.log(0.6 / high) + 2 * 0.2 * np.log(0.2 / low),
        np.log(1 / low),
        2 * 0.25 * np.log(0.25 / low) + 0.5 * np.log(0.5 / high),
        0.5 * np.log(0.5 / high) + 0.5 * np.log(0.5 / low),
    ]
    assert rows["smoothed label", "training faces"]["kl"] == pytest.approx(np.mean(by_hand))


def test_votes_of_test_faces_are_those_of_the_results():
    rows = list(votes(finished("cross_entropy")))
    tests = [(row.dataset, row.values) for row in rows if row.setting == "test faces"]
    assert tests == [(name, RESULTS[name]["best"]) for name in ("mine", "theirs")]
    assert {row.dataset for row in rows if row.setting == "training faces"} == {"mine"}


def test_distributions_scaled_by_a_temperature():
    """T 2: square roots, made to sum to 1."""
    results = {"mine": RESULTS["mine"] | {"scaled": {"kl": 0.125}}}
    run = dataclasses.replace(finished(), temperature=2.0, results=results)
    rows = by_row(list(votes(run)))
    roots = np.sqrt(PROBABILITY)
    expected = kl(VOTES, roots / roots.sum(axis=1, keepdims=True))
    assert rows["ME: scaled softmax", "training faces"]["kl"] == pytest.approx(expected)
    assert rows["ME: scaled", "test faces"] == {"kl": 0.125}


def test_without_votes_only_test_faces_have_rows():
    assert [row.setting for row in votes(finished(human=False))] == ["test faces"] * 2


def precision_at_rate(scores, flipped):
    """Expected hits among the n = #flipped highest, ties at the border drawn evenly, over n."""
    count = flipped.sum()
    border = np.sort(scores)[::-1][count - 1]
    above, tied = scores > border, scores == border
    return (flipped[above].sum() + (count - above.sum()) * flipped[tied].mean()) / count


def test_scores_that_find_flips_and_follow_the_votes():
    rows = by_row(list(uncertainty(finished())))
    at = np.arange(5)
    expected = {
        "ME: 1 - p(label)": 1 - PROBABILITY[at, LABELS],
        "ME: suspicion": suspicion(PROBABILITY, LABELS),
        "ME: lambda": UNCERTAINTY,
        "ME: 1 - d(label)": 1 - TARGET[at, LABELS],
        "ME: 1 - d~(label)": 1 - AGGREGATED[at, LABELS],
    }
    assert rows.keys() == {(name, "a setting") for name in expected}
    # Samples whose label stands and that have votes: A 6 2 2, C 1 1 2, B 0 5 5.
    kept = [0, 2, 4]
    doubt = np.array(
        [-sum(p * np.log(p) for p in r if p) for r in (VOTES[kept] / [[10], [4], [10]])]
    )
    for name, scores in expected.items():
        values = rows[name, "a setting"]
        assert values["roc_auc"] == pytest.approx(auc(scores, FLIPPED)), name
        assert values["precision_at_rate"] == pytest.approx(precision_at_rate(scores, FLIPPED))
        assert values["entropy_correlation"] == pytest.approx(spearman(scores[kept], doubt))
        assert "issues_precision" not in values
    # By hand: lambda's two highest are the fourth (flipped), then the second or the third.
    assert rows["ME: lambda", "a setting"]["precision_at_rate"] == pytest.approx(1.5 / 2)
    # lambda of the kept 0.2, 0.7, 0.1, ranks 2 3 1; entropies 0.950, 1.040, 0.693, ranks 2 3 1.
    assert rows["ME: lambda", "a setting"]["entropy_correlation"] == pytest.approx(1.0)
    # 1 - p of them 0.2, 0.4, 0.3, ranks 1 3 2: 1 - 6 (1 + 0 + 1) / (3 * 8)
    assert rows["ME: 1 - p(label)", "a setting"]["entropy_correlation"] == pytest.approx(0.5)


@pytest.mark.parametrize("method", ["ldlva", "cross_entropy"])
def test_the_methods_own_cross_validation(method):
    outside = PROBABILITY[::-1]
    rows = by_row(list(uncertainty(finished(method, cross_validated=outside))))
    scores = 1 - outside[np.arange(5), LABELS]
    found = rows["ME: 1 - p(label), 5 folds", "a setting"]
    assert found["roc_auc"] == pytest.approx(auc(scores, FLIPPED))
    assert not any("cleanlab" in name for name, _ in rows)
    both = suspicion((PROBABILITY + outside) / 2, LABELS)
    together = rows["ME: suspicion, with 5 folds", "a setting"]
    assert together["roc_auc"] == pytest.approx(auc(both, FLIPPED))
    assert together["roc_auc"] != found["roc_auc"]


def test_without_flips_only_the_correlation_and_without_votes_only_the_flips():
    for values in by_row(list(uncertainty(finished(clean=LABELS)))).values():
        assert values.keys() == {"entropy_correlation"}
    for values in by_row(list(uncertainty(finished(human=False)))).values():
        assert values.keys() == {"roc_auc", "average_precision", "precision_at_rate"}


def made_up_predictions(count=60, seed=0):
    """Labels of which some are wrong, and predictions that mostly know better."""
    random = np.random.default_rng(seed)
    clean = np.arange(count) % 3
    labels = clean.copy()
    wrong = random.choice(count, count // 4, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    says = np.where(random.random(count) < 0.15, (clean + 2) % 3, clean)
    probabilities = random.uniform(0.02, 0.2, [count, 3])
    probabilities[np.arange(count), says] += random.uniform(0.4, 2.0, count)
    return labels, clean, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_cleanlab_on_the_linear_predictions():
    filters = pytest.importorskip("cleanlab.filter", reason="needs the package cleanlab")
    labels, clean, predicted = made_up_predictions()
    table = {"expression": labels, "clean_expression": clean}
    table |= columns("probability", np.full([60, 3], 1 / 3))
    samples = pd.DataFrame(table)

    variant = Variant("ME", {"method": "cross_entropy"}, "")
    run = Finished(
        variant, samples, RESULTS, LAST_EPOCHS, LOG, NAMES, smoothing=0.1, linear=predicted
    )
    rows, flipped = by_row(list(uncertainty(run))), labels != clean
    assert {name for name, _ in rows} == {
        *("ME: 1 - p(label)", "ME: suspicion", "linear: suspicion, 5 folds"),
        *("cleanlab: self_confidence", "cleanlab: normalized_margin"),
        "cleanlab: confidence_weighted_entropy",
    }
    # Self-confidence p_y; normalized margin (p_y - max_{j != y} p_j + 1) / 2.
    own = predicted[np.arange(60), labels]
    others = predicted.copy()
    others[np.arange(60), labels] = -1
    scores = {"self_confidence": 1 - own, "normalized_margin": others.max(axis=1) - own}
    for kind, score in scores.items():
        values = rows[f"cleanlab: {kind}", ""]
        assert values["roc_auc"] == pytest.approx(auc(score, flipped))
        assert values["precision_at_rate"] == pytest.approx(precision_at_rate(score, flipped))
    odds = others.max(axis=1) / (own + others.max(axis=1))
    assert rows["linear: suspicion, 5 folds", ""]["roc_auc"] == pytest.approx(auc(odds, flipped))
    # Chance: 1 - 1/3 for all.
    assert rows["ME: 1 - p(label)", ""]["roc_auc"] == 0.5
    found = filters.find_label_issues(labels, predicted)
    hits = sum(bool(f and t) for f, t in zip(found, flipped, strict=True))
    assert 0 < hits < found.sum()
    values = rows["cleanlab: self_confidence", ""]
    assert values["issues_precision"] == pytest.approx(hits / found.sum())
    assert values["issues_recall"] == pytest.approx(hits / 15)
    assert "issues_precision" not in rows["cleanlab: normalized_margin", ""]


def test_read_metrics(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"metrics": {"kl": 0.25}, "count": 3}))
    assert read_metrics(tmp_path / "result.json") == {"kl": 0.25}
