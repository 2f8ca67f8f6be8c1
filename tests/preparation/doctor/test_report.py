"""The report has sections, the first rows of each finding, and a verdict."""

from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, Finding, Row
from ldl_fer.preparation.doctor.report import as_text, verdict


def test_the_report_is_in_sections_and_shows_a_few_rows():
    rows = tuple(Row("train", n, f"{n}.png", "so") for n in range(3))
    findings = [
        Finding("b", MISTAKE, "is wrong.", "Mend it.", rows),
        Finding("c", DOUBTFUL, "may be wrong."),
        Finding("a", FINE, "is right."),
    ]
    assert as_text(findings, rows_shown=2).splitlines() == [
        *("What is fine", "------------", "a: is right.", ""),
        *("What is doubtful", "----------------", "c: may be wrong.", ""),
        *("What is a mistake", "-----------------", "b: is wrong."),
        *("    train row 0, 0.png: so", "    train row 1, 1.png: so", "    and 1 more"),
        *("    -> Mend it.", ""),
        "Do not train on it yet: 1 mistake, 1 doubt.",
    ]
    assert verdict(findings[2:]) == "Nothing forbids training on it; 0 doubts."
