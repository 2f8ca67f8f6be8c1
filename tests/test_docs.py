"""What the documents name is there: modules, functions, files, links."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
MODULES = {
    ".".join(path.relative_to(ROOT / "ldl_fer").with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in (ROOT / "ldl_fer").rglob("*.py")
}


def names_of(path):
    """Functions, classes, their members and constants of a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def missing(text):
    """Dotted names of the code that do not exist; a first word that is no module is not ours."""
    wrong = []
    for dotted in re.findall(r"`(?:ldl_fer\.)?([a-z_]+(?:\.[A-Za-z_]+)+)(?:\(.*?\))?`", text):
        parts = dotted.split(".")
        if parts[0] not in MODULES or parts[-1] in ("py", "md", "csv", "json", "txt", "h5"):
            continue
        module = max(i for i in range(1, len(parts) + 1) if ".".join(parts[:i]) in MODULES)
        known = names_of(MODULES[".".join(parts[:module])])
        wrong += [dotted for part in parts[module:] if part not in known]
    return wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_exist(path):
    assert missing(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_exist(path):
    text = path.read_text(encoding="utf-8")
    files = re.findall(r"`((?:ldl_fer|tests|docs|\.ci)/[\w/.]+\.(?:py|md|csv))`", text)
    files += [link for link in re.findall(r"\]\(([\w/.-]+\.(?:md|py|png))", text)]
    assert [
        name
        for name in files
        if "NAME" not in name and not (ROOT / name).exists() and not (path.parent / name).exists()
    ] == []


def test_these_tests_see_what_is_missing():
    assert missing("`equations.total_loss` `model.LDLVA.losses` `np.array`") == []
    assert missing("`equations.total_los` `model.LDLVA.loses`") == [
        "equations.total_los",
        "model.LDLVA.loses",
    ]
