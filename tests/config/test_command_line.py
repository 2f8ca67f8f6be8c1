"""How commands end: exit codes and sentences, without a traceback."""

import subprocess
import sys

import pytest

ROOT_COMMAND = """
import sys
from absl import flags
from ldl_fer.config import command_line
from ldl_fer.errors import InputError
def main(*names):
    if flags.FLAGS.do == "mistake":
        raise InputError("a.csv: row 3: no such class. Correct it.")
    if flags.FLAGS.do == "interrupt":
        raise KeyboardInterrupt
    print(names)
    return 1 if flags.FLAGS.do == "fail" else None
def define_flags():
    flags.DEFINE_string("do", "", "What.")
    if "needy" in positional:
        flags.DEFINE_string("folder", None, "Where it is. Not a file.", required=True)
        flags.DEFINE_list("files", None, "Which.", required=True)
positional = sys.argv.pop(1)
command_line.start(main, define_flags, "Does it.", positional=positional)
"""


def ended(positional, *arguments):
    """(exit code, standard output, standard error) of a command made up here."""
    command = [sys.executable, "-c", ROOT_COMMAND, positional, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("given", "code", "out", "error"),
    [
        (["", "--do=x"], 0, "()\n", ""),
        (["names", "a", "--do=x", "b"], 0, "(['a', 'b'],)\n", ""),
        (["", "--do=fail"], 1, "()\n", ""),
        (["", "--do=mistake"], 2, "", "error: a.csv: row 3: no such class. Correct it.\n"),
        (["", "--do=interrupt"], 130, "", "error: interrupted\n"),
        (["", "a"], 2, "", "error: unexpected argument 'a'; flags start with --. See --help.\n"),
        (
            ["", "--doo=x"],
            2,
            "",
            "error: Unknown command line flag 'doo'. Did you mean: do ?\nSee --help.\n",
        ),
        (
            ["needy"],
            2,
            "",
            "error: --folder is missing: Where it is.\n--files is missing: Which.\nSee --help.\n",
        ),
    ],
)
def test_exit_code_and_words(given, code, out, error):
    assert ended(*given) == (code, out, error)


@pytest.mark.parametrize("word", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help_succeeds(word):
    shown = "Does it.\n\nflags:\n  --do  What.\n"
    assert ended("", "--doo=x", word) == (0, shown, "")


def test_a_word_that_only_looks_like_a_call_for_help():
    assert ended("names", "--", "--help") == (0, "(['--help'],)\n", "")


@pytest.mark.parametrize("argument", ["--help", "--do=x"])
def test_a_reader_that_goes_away_leaves_no_traceback(argument):
    command = [sys.executable, "-c", ROOT_COMMAND, "", argument]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", 1)
