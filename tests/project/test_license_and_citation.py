"""License, citation and types: the files are there, whole, and agree with pyproject.toml."""

import hashlib
import re
import sys
from pathlib import Path

import ldl_fer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CITATION = (ROOT / "CITATION.cff").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
# Of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def stated(name):
    return re.search(rf'^ *{name}: "?(.*?)"?$', CITATION, re.M)[1]


def test_the_license_is_apache_2_to_the_byte():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert PYPROJECT["project"]["license"] == {"text": "Apache-2.0"}
    assert stated("license") == "Apache-2.0"


def test_the_version_is_the_same_everywhere():
    version = PYPROJECT["project"]["version"]
    assert ldl_fer.__version__ == version == stated("version")


def test_the_paper_is_cited_alike_in_both_places():
    paper = CITATION.partition("preferred-citation:")[2]
    (title,) = re.findall(r'^  title: "(.*)"$', paper, re.M)
    assert f"title     = {{{title}}}" in README
    names = re.findall(r"{family-names: (\w+), given-names: (\w+)}", paper)
    (authors,) = re.findall(r"author    = {(.*?)}", README, re.S)
    assert [f"{family}, {given}" for family, given in names] == re.split(r"\s+and\s+", authors)
    (year,) = re.findall(r"^  year: (\d+)$", paper, re.M)
    assert f"year      = {{{year}}}" in README


def test_types_are_shipped():
    assert (ROOT / "ldl_fer" / "py.typed").is_file()
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["ldl_fer"]
