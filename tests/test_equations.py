"""Every equation against float64 loops, and what must hold whatever the numbers are.

The references are written from the formulas of the paper and of the released code, not from
`ldl_fer/equations.py`. `.ci/mutate_equations.py` breaks that module line by line and demands that
a test here turns red each time.
"""

import inspect
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import fields

ROOT = Path(__file__).resolve().parents[1]
FLOOR = -1.3
KERNELS = ("gaussian", "laplace")
SEPARATIONS = ("ordered_sqrt", "unordered")

# B, K, C, V, M: batch, neighbors, classes, features, rows of the center loss. C > M leaves classes
# without a row.
SIZES = [
    (1, 1, 2, 1, 1),
    (1, 8, 7, 5, 2),
    (2, 1, 3, 4, 12),
    (3, 2, 1, 2, 3),
    (4, 3, 7, 1, 5),
    (5, 4, 2, 9, 25),
    (6, 8, 7, 16, 54),
    (2, 5, 11, 3, 3),
]
SEEDS = range(4)


# ---------------------------------------------------------------------------- references: loops


def softmax(z):
    top = max(z)
    total = sum(math.exp(v - top) for v in z)
    return [math.exp(v - top) / total for v in z]


def cross_entropy(d, z, epsilon):
    # -sum_j d_j log(f_j + epsilon), f_j = exp(z_j) / sum_m exp(z_m); log f_j without epsilon
    top = max(z)
    log_total = top + math.log(sum(math.exp(v - top) for v in z))
    f = softmax(z)
    loss = 0.0
    for j in range(len(z)):
        loss -= d[j] * (math.log(f[j] + epsilon) if epsilon else z[j] - log_total)
    return loss


def reference_classification_loss(d, z, epsilon=0.0):
    return np.array([cross_entropy(d[i], z[i], epsilon) for i in range(len(z))])


def reference_local_similarity(a, b, delta, kernel):
    out = np.empty(b.shape[:2])
    for i in range(b.shape[0]):
        for k in range(b.shape[1]):
            dv, da = a[i][0] - b[i][k][0], a[i][1] - b[i][k][1]
            if kernel == "gaussian":
                out[i, k] = math.exp(-(dv**2 + da**2) / (delta * delta))
            else:
                out[i, k] = math.exp(-(abs(dv) + abs(da)) / delta)
    return out


def reference_calibration_score(g, floor):
    out = np.empty(g.shape)
    for place, value in np.ndenumerate(g):
        if floor is not None and value < floor:
            value = floor
        out[place] = 1 / (1 + math.exp(-value))
    return out


def reference_contribution_degree(zeta, s):
    out = np.empty(s.shape)
    for place in np.ndindex(s.shape):
        out[place] = zeta[place] * s[place]
    return out


def reference_aggregated_distribution(c, f, fallback):
    out = np.empty(fallback.shape)
    for i in range(f.shape[0]):
        total = sum(c[i][k] for k in range(f.shape[1]))
        for j in range(f.shape[2]):
            weighted = sum(c[i][k] * f[i][k][j] for k in range(f.shape[1]))
            out[i, j] = weighted / total if total > 0 else fallback[i, j]
    return out


def reference_target_distribution(label, aggregated, lam):
    out = np.empty(label.shape)
    for i, j in np.ndindex(label.shape):
        out[i, j] = (1 - lam[i]) * label[i, j] + lam[i] * aggregated[i, j]
    return out


def reference_uncertainty_gradient(label, aggregated, z):
    return np.array(
        [
            cross_entropy(aggregated[i], z[i], 0.0) - cross_entropy(label[i], z[i], 0.0)
            for i in range(len(z))
        ]
    )


def squared_distance(a, b):
    return sum((a[n] - b[n]) ** 2 for n in range(len(a)))


def reference_center_loss(v, own, w):
    return np.array([0.5 * w[i] * squared_distance(v[i], own[i]) for i in range(len(v))])


def reference_center_separation(mu, kernel):
    classes, size = mu.shape
    total = 0.0
    for j in range(classes):
        for k in range(classes):
            if kernel == "ordered_sqrt" and j != k:
                total += math.exp(-squared_distance(mu[j], mu[k]) / math.sqrt(size))
            if kernel == "unordered" and j < k:
                total += math.exp(-squared_distance(mu[j], mu[k]) / size)
    return total


def reference_separation_gradient(mu, kernel):
    # by mu_j: sum over the pairs that hold j of exp(-r^2 / t) * -2 (mu_j - mu_k) / t, where the
    # ordered sum holds each pair twice and has t = sqrt(V), the unordered one once and t = V
    classes, size = mu.shape
    t, times = (math.sqrt(size), 2) if kernel == "ordered_sqrt" else (size, 1)
    out = np.zeros(mu.shape)
    for j in range(classes):
        for k in range(classes):
            if j != k:
                pull = times * math.exp(-squared_distance(mu[j], mu[k]) / t)
                for n in range(size):
                    out[j, n] += pull * -2 * (mu[j, n] - mu[k, n]) / t
    return out


def reference_center_pull(v, own, w, y, classes):
    sums, counts = np.zeros((classes, v.shape[1])), np.zeros(classes)
    for i in range(len(v)):
        counts[y[i]] += 1
        for n in range(v.shape[1]):
            sums[y[i], n] += -w[i] * (v[i, n] - own[i, n])
    return sums, counts


# ------------------------------------------------------------------------------- draws and checks


def draw(seed, sizes, dtype=np.float64):
    """Random inputs of every equation. A row of contributions is all zero in every third sample."""
    b, k, c, v, m = sizes
    rng = np.random.default_rng([seed, *sizes])

    def rows(*shape):
        return rng.dirichlet(np.full(shape[-1], 0.7), shape[:-1])

    calibration = rng.uniform(size=(b, k))
    similarity = rng.uniform(size=(b, k)) * (rng.uniform(size=(b, k)) > 0.2)
    similarity[2::3] = 0
    labels = rng.integers(c, size=m)
    centers = rng.normal(size=(c, v))
    case = SimpleNamespace(
        logits=rng.normal(scale=rng.choice([0.1, 2.0, 15.0]), size=(b, c)),
        label=np.eye(c)[rng.integers(c, size=b)] if seed % 2 else rows(b, c),
        auxiliary=rng.uniform(-1, 1, (b, 2)),
        neighbor_auxiliary=rng.uniform(-1, 1, (b, k, 2)),
        calibration_logit=rng.normal(scale=3, size=(b, k)),
        calibration=calibration,
        similarity=similarity,
        contribution=calibration * similarity,
        neighbor_probabilities=rows(b, k, c),
        aggregated=rows(b, c),
        uncertainty=rng.uniform(size=b),
        features=rng.normal(size=(m, v)),
        weight=rng.uniform(size=m),
        centers=centers,
        own_centers=centers[labels],
    )
    for name, value in vars(case).items():
        setattr(case, name, value.astype(dtype))
    case.labels, case.classes = labels, c
    return case


@pytest.fixture(params=[(seed, sizes) for sizes in SIZES for seed in SEEDS], ids=str)
def case(request):
    return draw(*request.param)


def check(actual, expected, rtol=1e-11, atol=1e-12):
    """Same shape, and the same numbers within rounding."""
    actual = np.asarray(actual)
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def gradients(function, *arguments, dtype=tf.float64):
    """d sum(function) / d argument, for each argument, by autodiff; None where none flows."""
    arguments = [tf.constant(a, dtype) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = tf.reduce_sum(function(*arguments))
    return tape.gradient(value, arguments)


def central_differences(function, x, step=1e-6):
    """d function / dx, element by element: (F(x + h) - F(x - h)) / 2h."""
    out = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        out[place] = (function(up) - function(down)) / (2 * step)
    return out


# ------------------------------------------------------------------ values: module against loops


@pytest.mark.parametrize("epsilon", [0.0, 1e-10, 0.25])
def test_classification_loss(case, epsilon):
    expected = reference_classification_loss(case.label, case.logits, epsilon)
    check(equations.classification_loss(case.label, case.logits, epsilon), expected)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("delta", [0.5, 0.2, 3.0])
def test_local_similarity(case, delta, kernel):
    points = case.auxiliary, case.neighbor_auxiliary
    expected = reference_local_similarity(*points, delta, kernel)
    check(equations.local_similarity(*points, delta, kernel), expected)


@pytest.mark.parametrize("floor", [None, FLOOR, 0.0, 0.75])
def test_calibration_score(case, floor):
    expected = reference_calibration_score(case.calibration_logit, floor)
    check(equations.calibration_score(case.calibration_logit, floor), expected)


def test_contribution_degree(case):
    expected = reference_contribution_degree(case.calibration, case.similarity)
    check(equations.contribution_degree(case.calibration, case.similarity), expected)


def test_aggregated_distribution(case):
    inputs = case.contribution, case.neighbor_probabilities, case.label
    expected = reference_aggregated_distribution(*inputs)
    check(equations.aggregated_distribution(*inputs), expected)


def test_target_distribution(case):
    inputs = case.label, case.aggregated, case.uncertainty
    check(equations.target_distribution(*inputs), reference_target_distribution(*inputs))


def test_uncertainty_gradient(case):
    inputs = case.label, case.aggregated, case.logits
    check(equations.uncertainty_gradient(*inputs), reference_uncertainty_gradient(*inputs))


def test_center_loss(case):
    inputs = case.features, case.own_centers, case.weight
    check(equations.center_loss(*inputs), reference_center_loss(*inputs))


@pytest.mark.parametrize("kernel", SEPARATIONS)
def test_center_separation(case, kernel):
    expected = reference_center_separation(case.centers, kernel)
    check(equations.center_separation(case.centers, kernel), expected)


def test_center_pull(case):
    inputs = case.features, case.own_centers, case.weight, case.labels, case.classes
    sums, counts = equations.center_pull(*inputs)
    expected_sums, expected_counts = reference_center_pull(*inputs)
    check(sums, expected_sums)
    check(counts, expected_counts, rtol=0, atol=0)
    # pull_c = sums_c / (n_c + 1), which needs both in one dtype
    pull = sums / (counts + 1)[:, tf.newaxis]
    check(pull, [s / (n + 1) for s, n in zip(expected_sums, expected_counts, strict=True)])


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.01, 3.0])
def test_total_loss(case, gamma):
    first, second = case.uncertainty, case.label[:, 0]
    expected = [a + gamma * b for a, b in zip(first, second, strict=True)]
    check(equations.total_loss(first, second, gamma), expected)
    check(equations.total_loss(2.0, 3.0, gamma), 2.0 + gamma * 3.0, rtol=1e-6)


def test_defaults_are_the_papers(case):
    # epsilon 0, gaussian, no floor, ordered pairs with sqrt(V)
    points = case.auxiliary, case.neighbor_auxiliary
    check(
        equations.classification_loss(case.label, case.logits),
        reference_classification_loss(case.label, case.logits, 0.0),
    )
    check(
        equations.local_similarity(*points, 0.5),
        reference_local_similarity(*points, 0.5, "gaussian"),
    )
    check(
        equations.calibration_score(case.calibration_logit),
        reference_calibration_score(case.calibration_logit, None),
    )
    check(
        equations.center_separation(case.centers),
        reference_center_separation(case.centers, "ordered_sqrt"),
    )


# ------------------------------------------------------------------------------------ invariants


def test_rows_of_distributions_sum_to_one(case):
    aggregated = equations.aggregated_distribution(
        case.contribution, case.neighbor_probabilities, case.label
    )
    target = equations.target_distribution(case.label, aggregated, case.uncertainty)
    for rows in (aggregated, target):
        # sum_j d_j = 1
        check(tf.reduce_sum(rows, axis=-1), np.ones(len(case.label)))
        assert np.all(rows >= 0)


def test_aggregated_lies_between_the_neighbors(case):
    informed = np.sum(case.contribution, axis=1) > 0
    aggregated = equations.aggregated_distribution(
        case.contribution, case.neighbor_probabilities, case.label
    ).numpy()[informed]
    # min_k f_kj <= d~_j <= max_k f_kj: a weighted mean
    f = case.neighbor_probabilities[informed]
    assert np.all(aggregated >= f.min(axis=1) - 1e-12)
    assert np.all(aggregated <= f.max(axis=1) + 1e-12)


def test_equal_contributions_give_the_plain_mean(case):
    for level in (1.0, 0.3, 1e-30):
        aggregated = equations.aggregated_distribution(
            np.full(case.contribution.shape, level), case.neighbor_probabilities, case.label
        )
        # c_k = c for all k: d~ = 1/K sum_k f(x^k)
        check(aggregated, case.neighbor_probabilities.mean(axis=1))


def test_contributions_count_by_their_ratio(case):
    # c_k -> a c_k leaves d~ as it is, a > 0 (a power of two: without rounding)
    inputs = case.neighbor_probabilities, case.label
    plain = equations.aggregated_distribution(case.contribution, *inputs)
    scaled = equations.aggregated_distribution(case.contribution * 2.0**-40, *inputs)
    check(scaled, plain)


def test_one_contributing_neighbor_is_the_aggregate(case):
    last = np.zeros_like(case.contribution)
    last[:, -1] = 0.4
    # c = (0 .. 0, c_K): d~ = f(x^K)
    aggregated = equations.aggregated_distribution(last, case.neighbor_probabilities, case.label)
    check(aggregated, case.neighbor_probabilities[:, -1])


def test_order_of_neighbors_is_irrelevant(case):
    order = np.random.default_rng(0).permutation(case.contribution.shape[1])
    points, others = case.auxiliary, case.neighbor_auxiliary
    similarity = equations.local_similarity(points, others, 0.5).numpy()
    check(equations.local_similarity(points, others[:, order], 0.5), similarity[:, order])
    check(
        equations.aggregated_distribution(
            case.contribution[:, order], case.neighbor_probabilities[:, order], case.label
        ),
        equations.aggregated_distribution(
            case.contribution, case.neighbor_probabilities, case.label
        ),
    )


def test_bounds_of_similarity_calibration_and_contribution(case):
    for kernel in KERNELS:
        s = equations.local_similarity(case.auxiliary, case.neighbor_auxiliary, 0.5, kernel)
        assert np.all((s > 0) & (s < 1))  # random points never coincide
    zeta = equations.calibration_score(case.calibration_logit)
    assert np.all((zeta > 0) & (zeta < 1))
    # zeta >= sigmoid(-1.3) = 1 / (1 + e^1.3) = 0.21416501695744142
    floored = equations.calibration_score(case.calibration_logit, FLOOR)
    assert np.all(floored >= 0.21416501695744142 - 1e-15)
    assert np.all(floored >= zeta)
    c = equations.contribution_degree(zeta, s)
    assert np.all((c <= zeta) & (c <= s) & (c > 0))


def test_similarity_is_one_exactly_where_points_coincide():
    point = np.array([[0.3, -0.7]], np.float32)
    others = np.array([[[0.3, -0.7], [0.31, -0.7], [0.3, -0.71]]], np.float32)
    for kernel in KERNELS:
        s = equations.local_similarity(point, others, 0.5, kernel).numpy()[0]
        assert s[0] == 1
        assert s[1] < 1 and s[2] < 1


@pytest.mark.parametrize("kernel", KERNELS)
def test_similarity_at_the_kernels_width(kernel):
    # gaussian: |d|^2 = delta^2 gives exp(-1); laplace: |d|_1 = delta gives exp(-1)
    origin, corner = np.zeros((1, 2)), np.array([[0.25, 0.25]])
    s = equations.local_similarity(origin, np.array([[[0.5, 0.0], [0.0, -0.5]]]), 0.5, kernel)
    check(s, np.full((1, 2), math.exp(-1)))
    # both axes apart by 0.5: exp(-(0.25 + 0.25) / 0.25) = exp(-(0.5 + 0.5) / 0.5) = exp(-2)
    s = equations.local_similarity(corner, np.array([[[-0.25, 0.75]]]), 0.5, kernel)
    check(s, np.full((1, 1), math.exp(-2)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_similarity_in_more_dimensions_is_that_of_the_plane_spread_over_them(case, kernel):
    # Each axis m times, divided by sqrt(m): distances stay, sums of absolute differences grow.
    points, others = case.auxiliary, case.neighbor_auxiliary
    expected = equations.local_similarity(points, others, 0.5, kernel)
    for times in (2, 7):
        wide = [np.repeat(array, times, axis=-1) / np.sqrt(times) for array in (points, others)]
        check(equations.local_similarity(*wide, 0.5, kernel), expected)


def test_similarity_in_three_dimensions_by_hand():
    # |(0.1, 0.2, 0.4)|^2 = 0.21; its sum 0.7, times sqrt(2 / 3)
    points, others = np.zeros((1, 3)), np.array([[[0.1, -0.2, 0.4]]])
    s = equations.local_similarity(points, others, 0.5, "gaussian")
    check(s, np.full((1, 1), math.exp(-0.21 / 0.25)))
    s = equations.local_similarity(points, others, 0.5, "laplace")
    check(s, np.full((1, 1), math.exp(-math.sqrt(2 / 3) * 0.7 / 0.5)))


def test_target_is_the_label_at_zero_and_the_aggregate_at_one(case):
    zero, one = np.zeros(len(case.label)), np.ones(len(case.label))
    inputs = case.label, case.aggregated
    check(equations.target_distribution(*inputs, zero), case.label, rtol=0, atol=0)
    check(equations.target_distribution(*inputs, one), case.aggregated, rtol=0, atol=0)
    # lambda = 1/2: (l + d~) / 2
    middle = equations.target_distribution(*inputs, zero + 0.5)
    check(middle, (case.label + case.aggregated) / 2)


def test_loss_is_at_least_the_entropy_and_reaches_it(case):
    d = case.neighbor_probabilities[:, 0] + 1e-3
    d /= d.sum(axis=1, keepdims=True)
    entropy = [-sum(p * math.log(p) for p in row) for row in d]  # H(d) = -sum_j d_j log d_j
    assert np.all(equations.classification_loss(d, case.logits) >= np.array(entropy) - 1e-12)
    check(equations.classification_loss(d, np.log(d)), entropy)  # f = d
    # logits count by their differences: f(z + a) = f(z)
    shifted = equations.classification_loss(d, np.log(d) + 123.0)
    check(shifted, entropy)


def test_trusted_labels_get_less_uncertainty():
    label, aggregated = [[1.0, 0.0, 0.0]] * 3, [[0.0, 1.0, 0.0]] * 3
    logits = [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]]
    # CE(d~, f) - CE(l, f) = z_0 - z_1 here: the label is believed, the neighborhood is, neither
    check(equations.uncertainty_gradient(label, aggregated, logits), [2.0, -2.0, 0.0], atol=1e-6)


def test_center_loss_is_zero_at_the_center_and_counts_by_weight(case):
    check(
        equations.center_loss(case.own_centers, case.own_centers, case.weight),
        np.zeros(len(case.weight)),
        atol=0,
    )
    full = equations.center_loss(case.features, case.own_centers, np.ones_like(case.weight))
    none = equations.center_loss(case.features, case.own_centers, np.zeros_like(case.weight))
    # weight 1: 1/2 |v - mu|^2; weight 0: nothing
    check(full, 0.5 * np.sum((case.features - case.own_centers) ** 2, axis=1))
    check(none, np.zeros(len(case.weight)), atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separation_of_identical_and_of_far_centers(dtype):
    for classes in (1, 2, 7):
        same = np.full((classes, 5), 0.37, dtype)
        far = np.arange(classes, dtype=dtype)[:, None] * np.full((1, 5), 1e4, dtype)
        # exp(0) for each of the C (C - 1) ordered or C (C - 1) / 2 unordered pairs; exp(-inf) = 0
        pairs = classes * (classes - 1)
        assert equations.center_separation(same, "ordered_sqrt") == pairs
        assert equations.center_separation(same, "unordered") == pairs / 2
        assert equations.center_separation(far, "ordered_sqrt") == 0
        assert equations.center_separation(far, "unordered") == 0


@pytest.mark.parametrize("kernel", SEPARATIONS)
def test_separation_depends_on_differences_alone(kernel):
    # centers on a grid of 1/8 moved by 4096: exact in float32, so the differences are the same
    centers = np.random.default_rng(1).integers(-8, 9, (7, 16)).astype(np.float32) / 8
    expected = reference_center_separation(centers.astype(np.float64), kernel)
    check(equations.center_separation(centers, kernel), expected, rtol=1e-5)
    check(equations.center_separation(centers + 4096, kernel), expected, rtol=1e-5)


def test_classes_without_a_row_do_not_move():
    features, own_centers = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    sums, counts = equations.center_pull(
        features, own_centers, np.array([0.5, 1.0]), np.array([2, 2]), 4
    )
    # class 2: -0.5 (1, 2) - 1 (2, 4) = (-2.5, -5), two rows; the others 0 of 0
    check(sums, [[0, 0], [0, 0], [-2.5, -5], [0, 0]], atol=0)
    check(counts, [0, 0, 2, 0], atol=0)


def test_rows_without_a_class_count_nowhere():
    features, own_centers = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 0.0], [9.0, 9.0]])
    sums, counts = equations.center_pull(
        features, own_centers, np.array([0.5, 1.0]), np.array([1, -1]), 2
    )
    check(sums, [[0, 0], [-0.5, -1]], atol=0)  # -0.5 (1, 2)
    check(counts, [0, 1], atol=0)


def test_empty_batch():
    """A replica may get no row of the last batch."""
    nothing, zero, scalar = np.zeros((0, 3)), np.zeros((0, 4)), np.zeros(0)
    assert equations.classification_loss(nothing, nothing).shape == [0]
    assert equations.classification_loss(nothing, nothing, 1e-10).shape == [0]
    assert equations.local_similarity(np.zeros((0, 2)), np.zeros((0, 4, 2)), 1.0).shape == [0, 4]
    aggregated = equations.aggregated_distribution(zero, np.zeros((0, 4, 3)), nothing)
    assert equations.target_distribution(nothing, aggregated, scalar).shape == [0, 3]
    assert equations.center_loss(nothing, nothing, scalar).shape == [0]
    sums, counts = equations.center_pull(nothing, nothing, scalar, np.zeros(0, np.int32), 5)
    check(sums, np.zeros((5, 3)), atol=0)
    check(counts, np.zeros(5), atol=0)


# -------------------------------------------------------------------------------------- extremes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classification_loss_of_huge_logits(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, -1e4]], dtype)
    label = np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]], dtype)
    # log f: (0, -2e4, -1e4); (-2e4, 0, -1e4); (-log 2, -log 2, -2e4 - log 2)
    expected = [0, 2e4, 0.25 * 2e4 + math.log(2)]
    check(equations.classification_loss(label, logits), expected, rtol=1e-6)
    # f: (1, 0, 0); (0, 1, 0); (1/2, 1/2, 0), and log(0 + 1e-10) = -10 log 10
    nil = 10 * math.log(10)
    expected = [0, nil, 0.75 * math.log(2) + 0.25 * nil]
    check(equations.classification_loss(label, logits, 1e-10), expected, rtol=1e-6, atol=1e-6)
    aggregated = label[::-1].copy()
    # CE of (d~_i) minus CE of (l_i), with the log f above
    expected = [0.25 * 2e4 + 0.25 * 1e4, 0, math.log(2) - 0.25 * 2e4 - math.log(2)]
    check(equations.uncertainty_gradient(label, aggregated, logits), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_of_classification_loss_at_huge_logits(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [1e4, 1e4, -1e4]], dtype)
    label = np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]], dtype)
    (by_logits,) = gradients(lambda z: equations.classification_loss(label, z), logits, dtype=dtype)
    # dL/dz = f - d
    f = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])
    check(by_logits, f - label, rtol=1e-6)
    (by_logits,) = gradients(
        lambda z: equations.classification_loss(label, z, 1e-10), logits, dtype=dtype
    )
    # dL/dz_m = -r_m + f_m sum_j r_j, r_j = d_j f_j / (f_j + 1e-10): no pull where f_j = 0
    r = label * f / (f + 1e-10)
    check(by_logits, -r + f * r.sum(axis=1, keepdims=True), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_of_huge_logits(dtype):
    g = np.array([[1e4, -1e4, FLOOR - 1, FLOOR + 1]], dtype)
    low, high = 1 / (1 + math.exp(1.3)), 1 / (1 + math.exp(0.3))
    check(equations.calibration_score(g), [[1, 0, 1 / (1 + math.exp(2.3)), high]], rtol=1e-6)
    check(equations.calibration_score(g, FLOOR), [[1, low, low, high]], rtol=1e-6)
    for floor in (None, FLOOR):
        (by_g,) = gradients(
            lambda g, floor=floor: equations.calibration_score(g, floor), g, dtype=dtype
        )
        # zeta (1 - zeta) above the floor, nothing below it
        third = 1 / (1 + math.exp(2.3)) / (1 + math.exp(-2.3)) if floor is None else 0
        check(by_g, [[0, 0, third, high * (1 - high)]], rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_contributions_the_label_stands_in(dtype):
    f = np.array([[[0.2, 0.8], [0.6, 0.4]]] * 3, dtype)
    label = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    c = np.array([[0, 0], [1e-30, 3e-30], [0.5, 0]], dtype)
    # nothing -> label; (1 f_1 + 3 f_2) / 4; f_1
    expected = [[1, 0], [0.5, 0.5], [0.2, 0.8]]
    check(equations.aggregated_distribution(c, f, label), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_of_the_aggregate_without_contributions(dtype):
    f = np.array([[[0.2, 0.8], [0.6, 0.4]]] * 3, dtype)
    label = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    c = np.array([[0, 0], [1e-30, 3e-30], [0.5, 0]], dtype)
    first = np.array([1, 0], dtype)  # sum of d~_0
    by_c, by_f, by_label = gradients(
        lambda *inputs: equations.aggregated_distribution(*inputs) * first,
        c,
        f,
        label,
        dtype=dtype,
    )
    # by c_k: (f_k0 - d~_0) / sum c, and 0 where the label stands in: (0.2 - 0.5) / 4e-30 ...
    expected = [[0, 0], [-0.3 / 4e-30, 0.1 / 4e-30], [0, 0.4 / 0.5]]
    check(by_c, expected, rtol=1e-5, atol=1e-6)
    # by f_k0: c_k / sum c
    check(by_f[..., 0], [[0, 0], [0.25, 0.75], [1, 0]], rtol=1e-6)
    check(by_f[..., 1], np.zeros((3, 2)), atol=0)
    check(by_label, [[1, 0], [0, 0], [0, 0]], atol=0)


def test_loss_stays_finite_where_nothing_contributes():
    """lambda 1 and no informative neighbor: the label is the target, its gradients are finite."""
    label = np.array([[1, 0]], np.float32)

    def chain(z, g, f):
        zeta = equations.calibration_score(g)
        c = equations.contribution_degree(zeta, np.zeros((1, 2), np.float32))
        d = equations.target_distribution(
            label, equations.aggregated_distribution(c, f, label), np.ones(1, np.float32)
        )
        return equations.classification_loss(d, z)

    z, g, f = [[0.0, 1e4]], [[1e4, -1e4]], [[[0.1, 0.9], [0.5, 0.5]]]
    by_z, by_g, by_f = gradients(chain, z, g, f, dtype=tf.float32)
    check(by_z, [[-1, 1]])  # f - l
    check(by_g, [[0, 0]], atol=0)
    check(by_f, np.zeros((1, 2, 2)), atol=0)


@pytest.mark.parametrize("kernel", SEPARATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_of_the_separation_of_identical_and_far_centers(kernel, dtype):
    centers = np.zeros((4, 3), dtype)
    centers[2:] = 1e6  # two pairs of twins, far apart: no force anywhere
    (by_centers,) = gradients(
        lambda mu: equations.center_separation(mu, kernel), centers, dtype=dtype
    )
    check(by_centers, np.zeros((4, 3)), atol=0)


# --------------------------------------------------------------------------------- gradient flow


def loop_loss(case, z, g, lam, variant):
    """Sum over the batch of Eq. 1 of Eq. 6 of Eq. 5 of Eq. 4 of Eq. 3, in loops."""
    zeta = reference_calibration_score(g, variant.floor)
    c = reference_contribution_degree(zeta, case.similarity)
    aggregated = reference_aggregated_distribution(c, case.neighbor_probabilities, case.label)
    d = reference_target_distribution(case.label, aggregated, lam)
    return sum(reference_classification_loss(d, z, variant.epsilon))


def module_loss(case, z, g, lam, variant):
    """The same by the module, per sample."""
    zeta = equations.calibration_score(g, variant.floor)
    c = equations.contribution_degree(zeta, case.similarity)
    aggregated = equations.aggregated_distribution(c, case.neighbor_probabilities, case.label)
    d = equations.target_distribution(case.label, aggregated, lam)
    return equations.classification_loss(d, z, variant.epsilon)


VARIANTS = [
    pytest.param(SimpleNamespace(floor=None, epsilon=0.0), id="paper"),
    pytest.param(SimpleNamespace(floor=FLOOR, epsilon=1e-10), id="released"),
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("sizes", SIZES[:6], ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_equal_finite_differences(seed, sizes, variant):
    case = draw(seed, sizes)
    z, g, lam = np.clip(case.logits, -4, 4), case.calibration_logit, case.uncertainty
    assert np.all(np.abs(g - FLOOR) > 1e-5)  # the corner of the floor has no derivative
    by_z, by_g, by_lam = gradients(
        lambda z, g, lam: module_loss(case, z, g, lam, variant), z, g, lam
    )

    def differ(function, x):
        return central_differences(function, x)

    tolerance = {"rtol": 1e-5, "atol": 1e-7}
    check(by_z, differ(lambda x: loop_loss(case, x, g, lam, variant), z), **tolerance)
    check(by_g, differ(lambda x: loop_loss(case, z, x, lam, variant), g), **tolerance)
    check(by_lam, differ(lambda x: loop_loss(case, z, g, x, variant), lam), **tolerance)
    floored = g < (-np.inf if variant.floor is None else variant.floor)
    check(by_g.numpy()[floored], np.zeros(floored.sum()), atol=0)


def test_gradient_into_contributions_equals_finite_differences(case):
    c = case.contribution + 0.05  # away from 0, where the fallback makes a step
    f, label = case.neighbor_probabilities, case.label
    by_c, by_f, by_label = gradients(
        lambda c, f, label: equations.aggregated_distribution(c, f, label) ** 2, c, f, label
    )
    differences = central_differences(
        lambda c: np.sum(reference_aggregated_distribution(c, f, label) ** 2), c
    )
    check(by_c, differences, rtol=1e-5, atol=1e-7)
    # by f_kj: 2 d~_j c_k / sum c; none into the unused fallback
    aggregated = reference_aggregated_distribution(c, f, label)
    check(by_f, 2 * aggregated[:, None] * (c / c.sum(axis=1, keepdims=True))[..., None])
    check(by_label, np.zeros(label.shape), atol=0)


def test_closed_form_of_eq_7_to_9_equals_autodiff(case):
    def loss(lam):
        d = equations.target_distribution(case.label, case.aggregated, lam)
        return equations.classification_loss(d, case.logits)

    (by_lam,) = gradients(loss, case.uncertainty)
    closed = equations.uncertainty_gradient(case.label, case.aggregated, case.logits)
    check(closed, by_lam, rtol=1e-9, atol=1e-9)


def test_contribution_degree_passes_gradient_to_both_factors(case):
    by_zeta, by_s = gradients(equations.contribution_degree, case.calibration, case.similarity)
    # c = zeta s: dc/dzeta = s, dc/ds = zeta
    check(by_zeta, case.similarity)
    check(by_s, case.calibration)


def test_gradient_of_center_loss(case):
    by_features, by_centers, by_weight = gradients(
        equations.center_loss, case.features, case.own_centers, case.weight
    )
    # by v: w (v - mu), by mu: the opposite; lambda is out of its reach (None, not zeros)
    pull = case.weight[:, None] * (case.features - case.own_centers)
    check(by_features, pull)
    check(by_centers, -pull)
    assert by_weight is None


def test_no_gradient_of_center_loss_reaches_the_uncertainty(case):
    lam = tf.Variable(np.resize(case.uncertainty, len(case.weight)))
    with tf.GradientTape() as tape:
        loss = equations.center_loss(case.features, case.own_centers, 1 - lam)
    assert tape.gradient(loss, lam) is None


def test_the_gradient_that_center_loss_stops_is_an_argument(case):
    def loss(weight, stop):
        return equations.center_loss(case.features, case.own_centers, weight, stop)

    (by_weight,) = gradients(lambda w: loss(w, False), case.weight)
    # dL_i/dw^i = 1/2 |v^i - mu|^2; the value is the same
    check(by_weight, ((case.features - case.own_centers) ** 2).sum(axis=1) / 2)
    check(loss(case.weight, False), loss(case.weight, True))
    assert gradients(lambda w: loss(w, True), case.weight) == [None]


@pytest.mark.parametrize("kernel", SEPARATIONS)
def test_gradient_of_center_separation(case, kernel):
    (by_centers,) = gradients(lambda mu: equations.center_separation(mu, kernel), case.centers)
    check(by_centers, reference_separation_gradient(case.centers, kernel))


def test_center_pull_is_the_gradient_of_center_loss(case):
    # d/dmu_c sum_i 1/2 w_i |v_i - mu_{y_i}|^2 = sum_{i: y_i = c} -w_i (v_i - mu_c) = sums_c:
    # subtracting the pull is descent; only the division by n_c + 1 is not the gradient's
    for weight in (case.weight, np.ones_like(case.weight)):
        (by_centers,) = gradients(
            lambda mu, weight=weight: equations.center_loss(
                case.features, tf.gather(mu, case.labels), weight
            ),
            case.centers,
        )
        sums, counts = equations.center_pull(
            case.features, case.own_centers, weight, case.labels, case.classes
        )
        check(sums, tf.convert_to_tensor(by_centers))
        # weights 1: a step of 1 / n_c puts the center of a class on its rows' mean
        present = counts.numpy() > 0
        moved = case.centers[present] - sums.numpy()[present] / counts.numpy()[present, None]
        if np.all(weight == 1):
            means = [case.features[case.labels == c].mean(axis=0) for c in np.where(present)[0]]
            check(moved, means)


def test_separation_pushes_centers_apart():
    centers = np.array([[0.0, 0.0], [0.5, 0.0]])
    for kernel in SEPARATIONS:
        (by_centers,) = gradients(lambda mu, k=kernel: equations.center_separation(mu, k), centers)
        after = centers - 0.1 * by_centers.numpy()
        assert after[1, 0] - after[0, 0] > 0.5


def test_total_loss_passes_gradient_to_both_terms():
    first, second = gradients(lambda a, b: equations.total_loss(a, b, 0.1), [1.0, 2.0], [3.0, 4.0])
    check(first, [1, 1])  # L = L_cls + gamma L_D
    check(second, [0.1, 0.1])


# ----------------------------------------------------- float32, compiled graphs, refused arguments


def everything(case, floor, epsilon, similarity_kernel, separation_kernel):
    """The path of a training step through every equation."""
    s = equations.local_similarity(
        case["auxiliary"], case["neighbor_auxiliary"], 0.5, similarity_kernel
    )
    zeta = equations.calibration_score(case["calibration_logit"], floor)
    c = equations.contribution_degree(zeta, s)
    aggregated = equations.aggregated_distribution(c, case["neighbor_probabilities"], case["label"])
    d = equations.target_distribution(case["label"], aggregated, case["uncertainty"])
    rows = case["features"], case["own_centers"], case["weight"]
    loss = equations.classification_loss(d, case["logits"], epsilon)
    sums, counts = equations.center_pull(*rows, case["labels"], 7)
    return {
        "s": s,
        "zeta": zeta,
        "c": c,
        "aggregated": aggregated,
        "d": d,
        "loss": loss,
        "by_lambda": equations.uncertainty_gradient(case["label"], aggregated, case["logits"]),
        "center": equations.center_loss(*rows),
        "separation": equations.center_separation(case["centers"], separation_kernel),
        "sums": sums,
        "counts": counts,
        "total": equations.total_loss(loss, loss * 0.5, 0.1),
    }


def tensors(case, dtype):
    names = set(vars(case)) - {"labels", "classes"}
    inputs = {name: tf.constant(getattr(case, name), dtype) for name in names}
    return {**inputs, "labels": tf.constant(case.labels, tf.int32)}


PATHS = [
    pytest.param((None, 0.0, "gaussian", "ordered_sqrt"), id="paper"),
    pytest.param((FLOOR, 1e-10, "laplace", "unordered"), id="released"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", SEEDS)
def test_float32_agrees_with_float64(seed, path):
    case = draw(seed, SIZES[6], np.float32)
    case.logits = np.clip(case.logits, -10, 10)
    single = everything(tensors(case, tf.float32), *path)
    double = everything(tensors(case, tf.float64), *path)
    for name, value in single.items():
        assert value.dtype == tf.float32, name
        assert double[name].dtype == tf.float64, name
        check(value, double[name], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("path", PATHS)
def test_compiled_with_unknown_sizes_equals_eager(path):
    first, second = draw(0, SIZES[6]), draw(1, (3, 2, 7, 16, 4))
    unknown = {
        name: tf.TensorSpec([None] * value.shape.rank, value.dtype)
        for name, value in tensors(first, tf.float64).items()
    }
    compiled = tf.function(lambda case: everything(case, *path), input_signature=[unknown])
    for case in (first, second):
        inputs = tensors(case, tf.float64)
        eager = everything(inputs, *path)
        for name, value in compiled(inputs).items():
            check(value, eager[name], rtol=1e-13, atol=1e-14)


def test_compiled_refuses_sizes_that_do_not_match():
    def unknown(rank):
        return tf.TensorSpec([None] * rank, tf.float32)

    function = tf.function(
        equations.target_distribution, input_signature=[unknown(2), unknown(2), unknown(1)]
    )
    assert function(tf.ones([4, 3]), tf.ones([4, 3]), tf.ones([4])).shape == [4, 3]
    with pytest.raises(tf.errors.InvalidArgumentError):
        function(tf.ones([4, 3]), tf.ones([1, 3]), tf.ones([4]))  # would broadcast in silence


# arguments in order, as axes; a number is an axis of that size, another value is passed as it is
SIGNATURES = {
    "classification_loss": ["BC", "BC"],
    "local_similarity": ["B2", "BK2", 0.5],
    "calibration_score": ["BK"],
    "contribution_degree": ["BK", "BK"],
    "aggregated_distribution": ["BK", "BKC", "BC"],
    "target_distribution": ["BC", "BC", "B"],
    "uncertainty_gradient": ["BC", "BC", "BC"],
    "center_loss": ["MV", "MV", "M"],
    "center_separation": ["CV"],
    "center_pull": ["MV", "MV", "M", "M", 3],
    "total_loss": ["B", "B", 0.1],
}
AXES = {"B": 4, "K": 5, "C": 3, "V": 6, "M": 8, "2": 2}
PUBLIC = [
    name
    for name, value in vars(equations).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_is_in_every_table(name):
    """CONTRIBUTING.md, "To add an equation"."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert name in SIGNATURES
    assert f"equations.{name}(" in inspect.getsource(everything)
    assert re.search(rf"^\| *[\d-]+ *\| {name} ", equations.__doc__, re.M)
    assert f"`{name}`" in readme.partition("\n## The equations")[2].partition("\n## ")[0]


def arguments_of(name):
    arguments = []
    for place, axes in enumerate(SIGNATURES[name]):
        if isinstance(axes, str):
            kind = np.int32 if (name, place) == ("center_pull", 3) else np.float32
            axes = np.zeros([AXES[a] for a in axes], kind)
        arguments.append(axes)
    return arguments


def wrong_shapes():
    for name, signature in SIGNATURES.items():
        for place, axes in enumerate(signature):
            if not isinstance(axes, str):
                continue
            for axis in range(len(axes)):
                if sum(axes[axis] in other for other in signature if isinstance(other, str)) > 1:
                    yield name, place, axis, 1  # would broadcast in silence
                    yield name, place, axis, AXES[axes[axis]] + 1
            yield name, place, None, "one axis more"
            yield name, place, None, "one axis less"


@pytest.mark.parametrize("name, place, axis, size", wrong_shapes())
def test_shapes_that_do_not_match_are_refused(name, place, axis, size):
    arguments = arguments_of(name)
    getattr(equations, name)(*arguments)
    shape = list(arguments[place].shape)
    if axis is not None:
        shape[axis] = size
    else:
        shape = [1, *shape] if size == "one axis more" else shape[1:]
    arguments[place] = np.zeros(shape, arguments[place].dtype)
    with pytest.raises(ValueError):
        getattr(equations, name)(*arguments)


def test_points_of_two_spaces_are_refused():
    with pytest.raises(ValueError):
        equations.local_similarity(np.zeros((4, 3)), np.zeros((4, 5, 2)), 0.5)


def test_a_nan_contribution_is_not_hidden_by_the_fallback():
    label = tf.constant([[1.0, 0.0]])
    made = equations.aggregated_distribution(
        tf.constant([[np.nan, 1.0]]), tf.constant([[[0.5, 0.5], [0.5, 0.5]]]), label
    )
    assert np.isnan(made).all()


def test_uncertainty_gradient_with_epsilon_agrees_with_autodiff():
    label, aggregated = tf.constant([[1.0, 0.0]]), tf.constant([[0.25, 0.75]])
    logits, uncertainty = tf.constant([[40.0, -40.0]]), tf.constant([0.5])
    with tf.GradientTape() as tape:
        tape.watch(uncertainty)
        target = equations.target_distribution(label, aggregated, uncertainty)
        loss = equations.classification_loss(target, logits, 1e-10)
    closed = equations.uncertainty_gradient(label, aggregated, logits, 1e-10)
    # f = (1, 0): CE(d~) - CE(l) = -0.75 log(1e-10)
    np.testing.assert_allclose(closed, [-0.75 * np.log(1e-10)], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, uncertainty), closed, rtol=1e-5)


def test_unknown_kernels_are_refused():
    with pytest.raises(ValueError, match="cauchy"):
        equations.local_similarity(np.zeros((1, 2)), np.zeros((1, 1, 2)), 0.5, "cauchy")
    with pytest.raises(ValueError, match="cauchy"):
        equations.center_separation(np.zeros((2, 3)), "cauchy")


def test_settings_offer_every_kernel():
    choices = {name: field.metadata["choices"] for name, field in fields("ldlva").items()}
    assert choices["similarity_kernel"] == KERNELS
    assert choices["separation_kernel"] == SEPARATIONS


# ------------------------------------------------------------ numbers recorded from released code


@pytest.mark.parametrize("step", [1, 2, 3])
def test_released_numbers(request, step):
    """Targets, losses and centers' steps of the released code, from the equations alone."""
    folder = request.config.getoption("--golden")
    files = sorted(Path(folder).glob("released_*.npz"))
    if not files:
        pytest.skip(f"no golden files in {folder}")
    for file in files:
        check_released_step(np.load(file), step)


def check_released_step(golden, step):
    here = {k.split("/")[1]: golden[k] for k in golden.files if k.startswith(f"step{step}/")}
    before = "init" if step == 1 else f"step{step - 1}"
    state = {k.split("/")[1]: golden[k] for k in golden.files if k.startswith(before + "/")}
    labels, gamma = golden["labels"], golden["hparams"][1]
    classes = state["centers"].shape[0]

    def network(images):
        flat = images.reshape(len(images), -1)
        features = np.maximum(flat @ state["backbone_kernel"] + state["backbone_bias"], 0)
        return features, features @ state["head_kernel"] + state["head_bias"]

    rows, neighbor_rows = here["indices"], here["neighbor_indices"]
    features, logits = network(here["images"])
    flat_images = here["neighbor_images"].reshape(-1, *here["images"].shape[1:])
    neighbor_features, neighbor_logits = network(flat_images)
    neighbor_probabilities = tf.reshape(
        tf.nn.softmax(neighbor_logits), [*neighbor_rows.shape, classes]
    )
    label = np.eye(classes, dtype=np.float32)[labels[rows]]
    weight = tf.sigmoid(state["lambda_logits"]).numpy()  # 1 - lambda

    c = equations.contribution_degree(here["calibration"], here["local_similarity"])
    aggregated = equations.aggregated_distribution(c, neighbor_probabilities, label)
    d = equations.target_distribution(label, aggregated, 1 - weight[rows])
    check(d, here["target"], rtol=1e-4, atol=1e-5)
    # floor: zeta >= sigmoid(-1.3)
    assert here["calibration"].min() >= equations.calibration_score([[-99.0]], FLOOR) - 1e-6

    loss = equations.classification_loss(d, logits, 1e-10)
    if "class_weights" in golden.files:
        loss *= golden["class_weights"][labels[rows]]
    check(tf.reduce_mean(loss), here["classification_loss"], rtol=1e-4, atol=1e-5)

    everyone = np.concatenate([rows, neighbor_rows.ravel()])
    y, centers = labels[everyone], state["centers"]
    pulled = np.concatenate([features, neighbor_features]), centers[y], weight[everyone]
    center = tf.reduce_sum(equations.center_loss(*pulled)) / len(y)
    check(center, here["center_loss"], rtol=1e-4, atol=1e-5)
    total = equations.total_loss(tf.reduce_mean(loss), center, gamma)
    check(total, here["total_loss"], rtol=1e-4, atol=1e-5)

    sums, counts = equations.center_pull(*pulled, y, classes)
    centers = centers - 0.5 * (sums / (counts + 1)[:, tf.newaxis]).numpy() / len(y)
    (push,) = gradients(
        lambda mu: equations.center_separation(mu, "unordered"), centers, dtype=tf.float32
    )
    check(centers - 0.5 * 0.1 * push.numpy(), here["centers"], rtol=1e-4, atol=1e-5)
