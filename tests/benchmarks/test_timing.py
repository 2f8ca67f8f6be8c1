"""Turns, ratios and rows, on given numbers. No test looks at a time."""

import numpy as np
import pytest

from benchmarks.timing import Row, compare, median_ratio, rotated, take_turns, timed


def test_the_order_rotates():
    assert [rotated("abc", turn) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_each_variant_runs_once_a_turn_and_the_first_turn_does_not_count():
    runs = []

    def variant(name):
        def run():
            runs.append(name)
            return float(len(runs))  # so that a time says when it was taken

        return run

    seconds = take_turns({n: variant(n) for n in "abc"}, 3, "test", progress=False)
    assert "".join(runs) == "abc" + "bca" + "cab" + "abc"
    # a runs first, then 3rd of turn 1, 2nd of turn 2, 1st of turn 3: 3 + 3, 6 + 2, 9 + 1.
    assert {name: list(values) for name, values in seconds.items()} == {
        "a": [6, 8, 10],
        "b": [4, 9, 11],
        "c": [5, 7, 12],
    }


def test_a_limit_ends_turns_and_names_what_has_not_warmed_up(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("benchmarks.timing.settle", lambda: None)

    def run():
        clock[0] += 10.0
        return 1.0

    variants = dict.fromkeys("abcd", run)
    # Each warms up in 10 s: c by 30 s, within nine tenths of the limit, d not by 40 s.
    taken = take_turns(variants, 9, "test", progress=False, limit=36.0)
    assert {name: len(values) for name, values in taken.items()} == {"a": 1, "b": 1, "c": 1}
    assert capsys.readouterr().out == "test: d does not fit into 36 s and is left out\n"
    # All four warm up in 40 s. A second turn would end at 120 s, a third at 160 s.
    for limit, turns in ((119.0, 1), (120.0, 2), (159.0, 2)):
        taken = take_turns(variants, 9, "test", progress=False, limit=limit)
        assert {name: len(values) for name, values in taken.items()} == dict.fromkeys("abcd", turns)
    # The first has one turn in any case.
    taken = take_turns(variants, 9, "test", progress=False, limit=0.0)
    assert {name: len(values) for name, values in taken.items()} == {"a": 1}


def test_the_ratio_is_the_median_of_the_turns_ratios():
    # 2/1, 3/2, 30/10 = 2, 1.5, 3: median 2. The ratio of medians would be 3/2, that of means 35/13.
    assert median_ratio([2, 3, 30], [1, 2, 10]) == 2.0


def test_a_machine_that_slows_down_leaves_the_ratio_alone():
    slow = np.array([1.0, 1.0, 5.0, 7.0])
    assert median_ratio(1.25 * slow, slow) == pytest.approx(1.25, abs=1e-12)


def test_timed_divides_by_the_count(monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert timed(lambda: None, 4)() == 1.5  # (16 - 10) / 4


def test_rows_compare_with_the_unit_first_and_then_with_others():
    seconds = {"plain": np.array([1.0, 2.0]), "K 8": np.array([1.5, 3.0]), "K 16": np.array([3, 6])}
    once, twice, three = ([value] * 2 for value in (1.0, 2.0, 3.0))
    targets = {
        ("K 8", "plain"): 1.5,
        ("K 16", "K 8"): 1.9,
        ("K 32", "K 8"): 1.1,  # not measured
        ("K 8", "K 16"): None,
    }
    assert compare("s", seconds, "plain", targets, "step") == [
        Row("s", "plain", 1.5, 1.0, "plain", None, None, "step", once),
        Row("s", "K 8", 2.25, 1.5, "plain", 1.5, True, "step", [1.5] * 2),  # at most: equal is met
        Row("s", "K 16", 4.5, 3.0, "plain", None, None, "step", three),
        Row("s", "K 16", 4.5, 2.0, "K 8", 1.9, False, "step", twice),
        Row("s", "K 8", 2.25, 0.5, "K 16", None, None, "step", [0.5] * 2),
    ]
