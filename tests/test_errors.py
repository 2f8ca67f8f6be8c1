"""Packages that may be missing."""

import json
import sys

import pytest

from ldl_fer.errors import InputError, extra_package


def test_a_package_that_is_there_is_answered():
    assert extra_package("json", "nobody") is json


def test_a_package_that_is_missing_ends_in_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "json", None)
    words = r"^the moon needs the package json, .*: pip install .* -r requirements-extras.txt"
    with pytest.raises(InputError, match=words):
        extra_package("json", "the moon")


def test_a_package_that_breaks_on_import_counts_as_missing(monkeypatch, tmp_path):
    (tmp_path / "halved.py").write_text("import json; json.float4_e2m1fn")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="package halved.*has no attribute 'float4_e2m1fn'.*pip"):
        extra_package("halved", "the moon")
