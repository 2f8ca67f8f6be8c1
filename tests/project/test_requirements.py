"""The sets of requirements, the ranges of pyproject.toml, and who installs which."""

import importlib.util
import sys

import pytest
from helpers.source import PROJECT, ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

RANGES = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["extras"]


def install_script():
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETS = {
    (asked or "pinned", python): files
    for asked, sets in install_script().SETS.items()
    for python, files in sets.items()
}


def requirements(lines, python):
    """Name -> requirement, of those for a Python; a name may come once."""
    texts = [line.partition("#")[0].strip() for line in lines]
    every = [Requirement(text) for text in texts if text]
    here = [r for r in every if not r.marker or r.marker.evaluate({"python_version": python})]
    named = {canonicalize_name(r.name): r.specifier for r in here}
    assert len(named) == len(here)
    return named


@pytest.mark.parametrize(("asked", "python"), SETS)
def test_every_set_lies_within_the_ranges(asked, python):
    assert f"{python}.0" in SpecifierSet(PROJECT["requires-python"])
    lines = [x for file in SETS[asked, python] for x in (ROOT / file).read_text().splitlines()]
    pins, ranges = requirements(lines, python), requirements(RANGES, python)
    assert pins.keys() == ranges.keys()
    for name, pin in pins.items():
        (exact,) = pin
        assert exact.operator == "==" and exact.version in ranges[name], name


def test_lower_bounds_are_those_of_the_oldest_set():
    lines = (ROOT / "requirements-oldest.txt").read_text().splitlines()
    pins, ranges = requirements(lines, "3.10"), requirements(RANGES, "3.10")
    for name, versions in ranges.items():
        (lower,) = (bound.version for bound in versions if bound.operator == ">=")
        assert Version(lower) in pins[name], name


@pytest.mark.parametrize("version", [(3, 9), (3, 13), (2, 7)])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "ldl_fer needs Python 3.10, 3.11 or 3.12, and .*PYTHON=/path/to/python3.11'"),
        (
            "oldest",
            "the oldest packages needs Python 3.10, and .*PYTHON_OLDEST=/path/to/python3.10",
        ),
        (
            "newest",
            "the newest packages needs Python 3.12, and .*PYTHON_NEWEST=/path/to/python3.12",
        ),
    ],
)
def test_another_python_is_refused_in_one_sentence_or_two(asked, said, version, monkeypatch):
    monkeypatch.setattr(sys, "version_info", version)
    problem = install_script().install(asked)
    assert problem is not None
    with pytest.raises(RuntimeError, match=said):
        raise RuntimeError(problem)
