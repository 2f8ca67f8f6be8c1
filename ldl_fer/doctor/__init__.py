"""What is wrong with a data set, before a training finds out: `python -m ldl_fer.doctor`.

split           an annotation CSV as it is, broken rows included
pictures        every picture, looked at once
signature       what a picture looks like
class_counts, label_order, plane, picture_checks, duplicates    the checks
examination     all of them
report          for people and for programs
"""

from ldl_fer.doctor.examination import examine
from ldl_fer.doctor.finding import DOUBTFUL, FINE, MISTAKE, NOT_LOOKED_AT, Finding, Row
from ldl_fer.doctor.picture_checks import MIN_SCORE
from ldl_fer.doctor.report import as_json, as_text, verdict, write_report
from ldl_fer.doctor.split import Split, read_split

__all__ = [
    "DOUBTFUL",
    "FINE",
    "MIN_SCORE",
    "MISTAKE",
    "NOT_LOOKED_AT",
    "Finding",
    "Row",
    "Split",
    "as_json",
    "as_text",
    "examine",
    "read_split",
    "verdict",
    "write_report",
]
