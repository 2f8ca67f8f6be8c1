"""--help prints flags under their subject, with choices and default, each once."""

import subprocess
import sys

import pytest

from ldl_fer.config.help import table

SHOWN = """
import sys
from absl import flags
from ldl_fer.config.help import help_text, subject
others = set(flags.FLAGS)
flags.DEFINE_string("name", "", "What it is called.")
with subject("numbers"):
    flags.DEFINE_integer("count", 3, "How many.", 0)
    flags.DEFINE_bool("round", False, "To whole ones.")
with subject("words"):
    flags.DEFINE_enum("color", "red", ["red", "blue"], "Which.")
    flags.DEFINE_enum("shade", None, ["dark", "light"], "How. (default: as it is)")
    flags.DEFINE_list("list", ["a", "b"], "Some.")
    flags.DEFINE_multi_string("again", [], "May be given twice. (default: none is)")
    flags.DEFINE_string("needed", None, "Of which there is no default.", required=True)
with subject("numbers"):
    flags.DEFINE_float("a_name_that_has_a_line_of_its_own", None, f"At {'some ' * 20}length.")
print(help_text("Does it.", [name for name in flags.FLAGS if name not in others], "The end."))
"""
EXPECTED = """\
Does it.

flags:
  --name                      What it is called.

numbers:
  --count                     How many. (default: 3)
  --[no]round                 To whole ones. (default: false)
  --a_name_that_has_a_line_of_its_own
                              At some some some some some some some some some some some some some
                              some some some some some some some length.

words:
  --color                     Which. (red | blue; default: red)
  --shade                     How. (dark | light; default: as it is)
  --list                      Some. (default: a,b)
  --again                     May be given twice. (default: none is)
  --needed                    Of which there is no default. (required)

The end.
"""


def test_flags_by_subject(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    assert done.stdout == EXPECTED


@pytest.mark.parametrize(("columns", "widest"), [("70", 70), ("10", 60), ("300", 100)])
def test_lines_fit_the_terminal(monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", columns)
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)
    longest = max(map(len, done.stdout.splitlines()))
    assert widest - 8 < longest <= widest


def test_cells_go_on_in_the_next_line():
    rows = [["", "one_two", "b"], ["some_name", "x", "1,23,4"], ["y", "three", "none"]]
    assert table(rows).splitlines() == [
        "            one_  b",
        "            two",
        "  some_name x     1,",
        "                  23,4",
        "  y         three none",
    ]
