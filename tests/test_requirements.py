"""What is pinned lies within what pyproject.toml allows; the installation refuses other Pythons."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
INSTALL = runpy.run_path(str(ROOT / ".ci" / "install.py"))
INSTALLED = [
    (folder, version, files)
    for folder, (_, sets) in INSTALL["SETS"].items()
    for version, files in sets.items()
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def allowed(version):
    """{package: range} on that Python, extras included."""
    python = {"python_version": ".".join(map(str, version))}
    every = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["extras"]]
    ranges = [Requirement(text) for text in every]
    return {r.name: r.specifier for r in ranges if not r.marker or r.marker.evaluate(python)}


def pins(files):
    """{package: version}"""
    lines = [line for file in files for line in (ROOT / file).read_text().splitlines()]
    found = [line.split("#")[0].strip().split("==") for line in lines]
    return {pin[0]: pin[1] for pin in found if pin != [""]}


@pytest.mark.parametrize(("folder", "version", "files"), INSTALLED)
def test_every_package_is_pinned_within_its_range(folder, version, files):
    ranges, pinned = allowed(version), pins(files)
    assert set(pinned) == set(ranges)
    assert [name for name in pinned if pinned[name] not in ranges[name]] == []
    assert (
        ".".join(map(str, version)) in Requirement(f"python{PROJECT['requires-python']}").specifier
    )


def test_the_oldest_set_is_the_lower_bounds():
    ranges = allowed((3, 10))
    for name, version in pins(["requirements-oldest.txt"]).items():
        assert f">={version}" in str(ranges[name]).split(","), name


def test_keras_2_is_of_the_minor_version_of_tensorflow():
    newest = pins(["requirements-newest.txt"])
    minor = [Version(newest[name]).release[:2] for name in ("tensorflow", "tf-keras")]
    assert minor[0] == minor[1]


@pytest.mark.parametrize(
    ("folder", "version", "text"),
    [
        (".venv", (3, 9), "needs Python 3.10 or 3.11 or 3.12, .* PYTHON=/path/to/python3.11"),
        (".venv", (3, 13), "is Python 3.13"),
        (".venv-oldest", (3, 11), "needs Python 3.10, .* PYTHON_OLDEST=/path/to/python3.10"),
        (".venv-newest", (3, 11), "needs Python 3.12, .* PYTHON_NEWEST=/path/to/python3.12"),
    ],
)
def test_other_pythons_are_refused_in_a_sentence(folder, version, text):
    refusal = INSTALL["main"](folder, version)
    assert "\n" not in refusal
    assert re.search(text, refusal)
