"""Processors are counted as affinity and control groups leave them."""

import math
import os

import pytest

from ldl_fer.config.processors import processors, quota


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "max 100000"}, math.inf),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "50000 100000"}, 0.5),
        ("0::/of/the/host\n", {"cpu.max": "300000 100000"}, 3.0),
        (
            "4:memory:/a\n2:cpu,cpuacct:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "2:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        ("", {"cpu.max": "100000 100000"}, math.inf),
    ],
    ids=str,
)
def test_the_smallest_quota_counts(tmp_path, own, files, expected):
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert quota(tmp_path / "mounted", tmp_path / "own") == expected


def test_affinity_and_quota_bound_the_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    for allowed, expected in ((math.inf, 6), (8.0, 6), (2.5, 3), (0.25, 1)):
        monkeypatch.setattr("ldl_fer.config.processors.quota", lambda allowed=allowed: allowed)
        assert processors() == expected
    monkeypatch.setattr("ldl_fer.config.processors.quota", lambda: math.inf)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors() == os.cpu_count()
