"""Writes the doctor's findings as text for a terminal and as JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ldl_fer.files import without_home, write_whole
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, NOT_LOOKED_AT, Finding
from ldl_fer.preparation.doctor.split import Split

_TITLES = {
    NOT_LOOKED_AT: "What was not looked at",
    FINE: "What is fine",
    DOUBTFUL: "What is doubtful",
    MISTAKE: "What is a mistake",
}


def verdict(findings: Sequence[Finding]) -> str:
    """Returns a sentence: whether to train on the data set."""
    mistakes = sum(finding.level == MISTAKE for finding in findings)
    doubts = sum(finding.level == DOUBTFUL for finding in findings)
    if mistakes:
        return f"Do not train on it yet: {_count(mistakes, 'mistake')}, {_count(doubts, 'doubt')}."
    return f"Nothing forbids training on it; {_count(doubts, 'doubt')}."


def as_text(findings: Sequence[Finding], rows_shown: int = 5) -> str:
    """Formats the report; mistakes come last, where a terminal ends.

    Args:
      findings: of `examine`.
      rows_shown: of each finding, at most.
    """
    lines = []
    for level, title in _TITLES.items():
        some = [finding for finding in findings if finding.level == level]
        if not some:
            continue
        lines += [title, "-" * len(title)]
        for finding in some:
            lines.append(f"{finding.check}: {finding.text}")
            for row in finding.rows[:rows_shown]:
                note = f": {row.note}" if row.note else ""
                lines.append(f"    {row.split} row {row.row}, {row.path}{note}")
            if len(finding.rows) > rows_shown > 0:
                lines.append(f"    and {len(finding.rows) - rows_shown} more")
            if finding.cure:
                lines.append(f"    -> {finding.cure}")
        lines.append("")
    return "\n".join([*lines, verdict(findings)])


def as_json(findings: Sequence[Finding], splits: Sequence[Split]) -> dict[str, Any]:
    """Returns the report with all rows, ready for JSON."""
    return {
        "verdict": verdict(findings),
        "mistakes": sum(finding.level == MISTAKE for finding in findings),
        "doubts": sum(finding.level == DOUBTFUL for finding in findings),
        "class_names": list(splits[0].class_names),
        "splits": {
            split.name: {
                "csv": without_home(str(split.csv_path)),
                "image_dir": without_home(str(split.image_dir)),
            }
            for split in splits
        },
        "findings": [
            {
                "check": finding.check,
                "level": finding.level,
                "text": finding.text,
                "cure": finding.cure,
                "values": dict(finding.values),
                "rows": [row._asdict() for row in finding.rows],
            }
            for finding in findings
        ],
    }


def write_report(path: str | Path, findings: Sequence[Finding], splits: Sequence[Split]) -> None:
    """Writes `as_json`, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    write_whole(path, json.dumps(as_json(findings, splits), indent=1) + "\n")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
