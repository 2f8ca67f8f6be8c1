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


def module_of(dotted):
    parts = dotted.split(".")
    heads = [".".join(parts[:i]) for i in range(len(parts), 0, -1)]
    return next((head for head in heads if head in MODULES), None)


def callers(function):
    """Modules that call a function of ldl_fer.equations, but for that module itself."""
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        names = {ast.unparse(called) for called in calls}
        if module != "equations" and names & {function, f"equations.{function}"}:
            yield module


def test_called_by_names_every_module_that_calls():
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = [line.split(" | ") for line in text.splitlines() if "`equations." in line]
    assert len(rows) > 10
    for row in rows:
        function = re.search(r"`equations\.(\w+)`", row[-2])[1]
        told = {module_of(name) for name in re.findall(r"`([\w.]+)`", row[-1])}
        assert told == set(callers(function)), function


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
    assert missing("`equations.total_loss` `methods.ldlva.LDLVA.losses` `np.array`") == []
    assert missing("`equations.total_los` `methods.ldlva.LDLVA.loses`") == [
        "equations.total_los",
        "methods.ldlva.LDLVA.loses",
    ]
