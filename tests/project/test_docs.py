"""Modules, functions, files and links that the documents name are there."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", README]
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
        if parts[0] not in MODULES or parts[-1] in ("py", "md", "csv", "json", "txt", "h5", "html"):
            continue
        module = max(i for i in range(1, len(parts) + 1) if ".".join(parts[:i]) in MODULES)
        known = names_of(MODULES[".".join(parts[:module])])
        wrong += [dotted for part in parts[module:] if part not in known]
    return wrong


def tables(text):
    """Returns the tables of a document: lists of rows, those lists of cells; heads included."""
    found = re.findall(r"(?:^ *\|.*\|\n)+", text, re.M)
    return [
        [
            [cell.strip() for cell in row.strip().strip("|").split(" | ")]
            for row in table.splitlines()
        ]
        for table in found
    ]


def test_the_readme_names_every_equation_in_order():
    tree = ast.parse((ROOT / "ldl_fer" / "equations.py").read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    text = README.read_text(encoding="utf-8")
    (table,) = (table for table in tables(text) if table[0][0] == "Eq.")
    named = [name for row in table[2:] for name in re.findall(r"`(\w+)`", row[2])]
    assert named == [name for name in functions if not name.startswith("_")]


def percent_or_number(summary, method, metric, noise, percent):
    row = summary[
        (summary["method"] == method) & (summary["metric"] == metric) & (summary["noise"] == noise)
    ]
    if row.empty:
        return "-"
    mean, error = (float(value) for value in row[["mean", "stderr"]].values[0])
    return f"{100 * mean:.1f} ± {100 * error:.1f}" if percent else f"{mean:.3f} ± {error:.3f}"


ACCURACIES = [
    (metric, noise, True)
    for noise in ("none", "symmetric 0.1", "symmetric 0.2", "symmetric 0.3")
    for metric in ("accuracy", "accuracy_last")
]
OTHERS = ["nll", "expected_calibration_error", "kl", "flips_auc"]


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        (README, [*ACCURACIES[:2], *ACCURACIES[-2:]]),
        (
            ROOT / "docs" / "results.md",
            [
                *ACCURACIES,
                ("mean_class_accuracy", "symmetric 0.3", True),
                *((metric, "symmetric 0.3", False) for metric in OTHERS),
            ],
        ),
    ],
    ids=["README", "results"],
)
def test_the_table_of_methods_is_what_was_measured(path, columns):
    summary = pd.concat(
        pd.read_csv(ROOT / "results" / name / "summary.csv", keep_default_na=False)
        for name in ("original", "noise")
    )
    table = next(t for t in tables(path.read_text(encoding="utf-8")) if t[0][1] == "clean, best")
    methods = [re.sub(r" \[\d\]$", "", row[0]) for row in table[2:]]
    assert methods == list(dict.fromkeys(summary["method"]))
    for method, row in zip(methods, table[2:], strict=True):
        expected = [percent_or_number(summary, method, *column) for column in columns]
        assert [cell.strip("*") for cell in row[1:]] == expected, method


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_exist(path):
    assert missing(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_exist(path):
    text = path.read_text(encoding="utf-8")
    files = re.findall(r"`((?:ldl_fer|benchmarks|tests|docs|\.ci)/[\w/.]+\.(?:py|md|csv))`", text)
    files += [link for link in re.findall(r"\]\(([\w/.-]+)(?:#[\w-]+)?\)", text)]
    assert [
        name
        for name in files
        if "NAME" not in name and not (ROOT / name).exists() and not (path.parent / name).exists()
    ] == []


def anchors(path):
    """Returns what GitHub makes of the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_anchors_exist(path):
    links = re.findall(r"\]\(([\w/.-]*)#([\w-]+)\)", path.read_text(encoding="utf-8"))
    assert [
        (file, anchor)
        for file, anchor in links
        if anchor not in anchors(path.parent / file if file else path)
    ] == []


def test_the_readme_is_two_pages_and_names_all_documents():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    index = set(re.findall(r"\]\(docs/(\w+\.md)\)", text.partition("## Documents")[2]))
    assert index == {path.name for path in (ROOT / "docs").glob("*.md")}


def test_these_tests_see_what_is_missing():
    assert missing("`equations.total_loss` `methods.ldlva.LDLVA.losses` `np.array`") == []
    assert missing("`equations.total_los` `methods.ldlva.LDLVA.loses`") == [
        "equations.total_los",
        "methods.ldlva.LDLVA.loses",
    ]
    assert tables("a\n| x | y |\n|---|---|\n| 1 | **2** |\n\n  | z |\n")[0][2] == ["1", "**2**"]
