"""Modules, functions, files and links that the documents name are there."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

from ldl_fer.experiments.tables import TITLES

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


NOISES = {
    **{"clean": "none", "10 %": "symmetric 0.1", "20 %": "symmetric 0.2", "30 %": "symmetric 0.3"},
    **{"pairs": "pair 0.3", "votes": "votes 0.3"},
}
METRICS = {  # as columns are called; whether in percent
    "chosen": ("accuracy", True),
    "last": ("accuracy_last", True),
    "last five": ("accuracy_last5", True),
    "mean class": ("mean_class_accuracy", True),
    "NLL": ("nll", False),
    "calib. error": ("expected_calibration_error", False),
    "KL to votes": ("kl", False),
    "JS": ("jensen_shannon", False),
    "flips found (AUC)": ("flips_auc", False),
}
RESULTS = ROOT / "docs" / "results.md"


@pytest.mark.parametrize(
    ("path", "first", "rest"),
    [
        (README, "clean, chosen", None),
        (RESULTS, "clean, chosen", None),
        (RESULTS, "clean, last", None),
        (RESULTS, "30 %, last five", "30 %"),
        (RESULTS, "clean, last five", "clean"),
    ],
    ids=["README", "chosen", "last", "30 %", "clean"],
)
def test_the_tables_of_methods_are_what_was_measured(path, first, rest):
    """A column is called by noise and metric; `rest` is the noise where it is not named again."""
    summary = pd.read_csv(ROOT / "results" / "field" / "summary.csv", keep_default_na=False)
    table = next(t for t in tables(path.read_text(encoding="utf-8")) if t[0][1] == first)
    methods = [re.sub(r" \[[\d, ]+\]$", "", row[0]) for row in table[2:]]
    known = list(dict.fromkeys(summary["method"]))
    chosen = pd.read_csv(ROOT / "results" / "tuning" / "chosen.csv").to_dict("records")
    scalars = {TITLES[row["method"]]: f"`{row['setting']}` {row['value']:g}" for row in chosen}
    assert methods == (known if path == RESULTS else [name for name in known if name in methods])
    for place, title in enumerate(table[0][1:], 1):
        noise, _, column = title.rpartition(", ")
        cells = [row[place].strip("*") for row in table[2:]]
        if column == "scalar":
            assert cells == [scalars[method] for method in methods]
        if column == "1,000 parameters added":
            held = summary[summary["metric"] == "million_parameters"]
            held = held[held["noise"] == "none"].set_index("method")["mean"].astype(float)
            assert cells == [f"{1e3 * (held[m] - held['cross-entropy']):,.0f}" for m in methods]
        if column in ("minutes", "scalar", "1,000 parameters added"):
            continue
        metric, percent = METRICS[column]
        wanted = NOISES[noise or rest]
        assert cells == [percent_or_number(summary, m, metric, wanted, percent) for m in methods]


CLEAN, FLIPPED = {"noise": "none"}, {"noise": "symmetric 0.3"}
FOUND = [("roc_auc", {"noise": n}) for n in ("symmetric 0.3", "pair 0.3", "votes 0.3")]
FOUND = [column for one in FOUND for column in (one, ("precision_at_rate", one[1]))]
NEAR = [(name, noise) for noise in (CLEAN, FLIPPED) for name in ("kl", "jensen_shannon")]
TESTED = [("accuracy", {}), ("accuracy_last", {}), ("accuracy_last5", {})]
MAJORITY, ONE_VOTE = {"dataset": "FER+"}, {"dataset": "FER+ (one vote)"}
ALL_WEIGHTS = [
    *TESTED,
    *((name, {}) for name in ("mean_class_accuracy", "nll", "expected_calibration_error")),
    *((name, {}) for name in ("kl", "jensen_shannon", "flips_auc")),
]


def by_method(cell):
    return {"method": cell}


# First cells of a table -> folder of results, columns, and what the first cell of a row names.
SHOWN = {
    ("score", "30 %: AUC"): (
        "uncertainty",
        [*FOUND, ("entropy_correlation", FLIPPED)],
        by_method,
    ),
    ("training faces", "KL, clean"): (
        "votes",
        NEAR,
        lambda cell: {"method": cell, "setting": "training faces"},
    ),
    ("test faces", "KL, clean"): (
        "votes",
        NEAR,
        lambda cell: {"method": cell, "setting": "test faces"},
    ),
    ("all weights", "chosen"): (
        "fine_tuned/field",
        ALL_WEIGHTS,
        by_method,
    ),
    ("all weights, clean", "chosen"): (
        "fine_tuned/clean/field",
        ALL_WEIGHTS[:-1],
        by_method,
    ),
    ("rate 0.0001", "chosen"): (
        "fine_tuned/low_rate/field",
        ALL_WEIGHTS,
        by_method,
    ),
    ("K", "clean, chosen"): (
        "neighbors",
        [
            *(
                (name, noise)
                for noise in (CLEAN, FLIPPED)
                for name in ("accuracy", "accuracy_last", "kl")
            ),
            ("flips_auc", FLIPPED),
        ],
        lambda cell: {"setting": f"K {cell}"},
    ),
    ("parts", "labels"): (
        "ablation",
        [*TESTED, ("mean_class_accuracy", {}), ("nll", {}), ("kl", {}), ("flips_auc", {})],
        lambda cell: {"setting": cell},
    ),
    ("", "chosen", "last", "last five", "one vote: chosen"): (
        "inconsistent",
        [
            *((name, MAJORITY) for name, _ in TESTED),
            *((name, ONE_VOTE) for name, _ in TESTED[:2]),
            ("kl", MAJORITY),
        ],
        by_method,
    ),
}


@pytest.mark.parametrize("first", SHOWN, ids=lambda first: SHOWN[first][0] + "-" + first[0])
def test_the_other_tables_are_what_was_measured(first):
    name, columns, of_row = SHOWN[first]
    summary = pd.read_csv(ROOT / "results" / name / "summary.csv", keep_default_na=False)
    (table,) = (
        table
        for table in tables(RESULTS.read_text(encoding="utf-8"))
        if tuple(table[0][: len(first)]) == first
    )
    assert len(table) > 4
    for label, *cells in table[2:]:
        keys = of_row(label)
        if name == "ablation":  # called (ii) LD + AS, lambda 0.5 for all; the noise is a column
            keys = {"noise": NOISES[cells.pop(0)]}
            (keys["setting"],) = {s for s in summary["setting"] if s.split()[0] == label.split()[0]}
        for cell, (metric, others) in zip(cells, columns, strict=True):
            chosen = summary[summary["metric"] == metric]
            for key, value in (keys | others).items():
                chosen = chosen[chosen[key] == value]
            if cell == "-":
                assert chosen.empty
                continue
            (shown,) = chosen[["mean", "stderr"]].to_numpy()
            digits = len(cell.split()[0].split(".")[1])
            factor = 100 if "accuracy" in metric else 1
            texts = [f"{factor * float(value):.{digits}f}" for value in shown if value != ""]
            assert cell.strip("*") in (texts[0], " ± ".join(texts)), (label, metric, keys | others)


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
