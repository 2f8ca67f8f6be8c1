"""How commands end: exit codes and sentences, without a traceback."""

import os
import subprocess
import sys

import pytest

ROOT_COMMAND = """
import os, signal, sys
from absl import flags
from ldl_fer.config import command_line
from ldl_fer.errors import InputError
def main(*names):
    if flags.FLAGS.do == "mistake":
        raise InputError("a.csv: row 3: no such class. Correct it.")
    if flags.FLAGS.do == "fill":
        open("/dev/full", "wb", buffering=0).write(b"x")
    if flags.FLAGS.do == "interrupt":
        raise KeyboardInterrupt
    if flags.FLAGS.do.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, flags.FLAGS.do))
    if flags.FLAGS.do == "much":
        for number in range(9_999):
            print("Zo\\u00eb \\U0001f600", number)
        print(command_line.unread(), file=sys.stderr)
        return 3
    print(names)
    return 1 if flags.FLAGS.do == "fail" else None
def define_flags():
    flags.DEFINE_string("do", "", "What.")
    if "writes" in positional:
        flags.DEFINE_multi_string("output", [], "File.")
        flags.DEFINE_string("output_dir", "/dev/null/unless/given", "Folder.")
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
        (
            ["", "--do=fill"],
            2,
            "",
            "error: [Errno 28] No space left on device. Make room, and run the command again.\n",
        ),
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
    code, out, error = ended("", "--doo=x", word)
    shown = "Does it.\n\nflags:\n  --do        What.\n  --progress  Bars, lines every 30 s, none"
    assert code == 0 and out.startswith(shown) and error == ""


def test_a_word_that_only_looks_like_a_call_for_help():
    assert ended("names", "--", "--help") == (0, "(['--help'],)\n", "")


def left_alone(argument, **settings):
    """(exit code, standard error) of a command whose standard output nobody reads."""
    command = [sys.executable, "-c", ROOT_COMMAND, "", argument]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
    )
    process.stdout.close()
    return process.wait(), process.stderr.read()


def test_help_that_nobody_reads_ends_in_silence():
    assert left_alone("--help") == (1, "")


def test_work_goes_on_when_its_reader_goes_away():
    note = "note: standard output is lost (Broken pipe); the work goes on without it.\n"
    assert left_alone("--do=much") == (3, f"{note}True\n")
    assert left_alone("--do=x") == (0, note)


def test_work_goes_on_where_standard_streams_are_closed_or_full():
    command = [sys.executable, "-c", ROOT_COMMAND, "", "--do=much"]
    quoted = ["bash", "-c", '"$@" >&- 2>&-', "bash", *command]
    assert subprocess.run(quoted, stdin=subprocess.DEVNULL).returncode == 3
    quoted[2] = '"$@" >/dev/full 2>/dev/full'
    assert subprocess.run(quoted).returncode == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_the_output_lacks_are_escaped(encoding):
    command = [sys.executable, "-c", ROOT_COMMAND, "names", "Zoë", "😀"]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment)
    expected = "(['Zoë', '😀'],)\n".encode(encoding, "backslashreplace")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, b"")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_with_a_sentence(name, code):
    assert ended("", f"--do={name}") == (code, "", f"error: stopped by {name}\n")


def test_what_nohup_ignores_stays_ignored():
    command = ["nohup", sys.executable, "-c", ROOT_COMMAND, "", "--do=SIGHUP"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, "()\n")


@pytest.mark.parametrize(
    ("flag", "error"),
    [
        ("--output={}/file/a.csv", "{}/file is no folder that can be written to"),
        ("--output={}/folder.csv", "--output={}/folder.csv is a folder. Name a file in it."),
        ("--output_dir={}/file", "{}/file is no folder that can be written to"),
        ("--output_dir={}/file/a/b", "{}/file is no folder that can be written to"),
    ],
)
def test_outputs_are_looked_at_before_the_work(tmp_path, flag, error):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    code, out, told = ended("writes", flag.format(tmp_path))
    assert (code, out) == (2, "") and error.format(tmp_path) in told
    assert "Traceback" not in told and told.count("\n") == 1


def test_outputs_that_can_be_made_are_not_made_yet(tmp_path):
    given = [f"--output={tmp_path}/a/b.csv", f"--output={tmp_path}/c.csv"]
    assert ended("writes", *given, f"--output_dir={tmp_path}/d/e")[0] == 0
    assert list(tmp_path.iterdir()) == []


LATIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_names_are_utf8_in_every_locale(tmp_path):
    """TensorFlow and OpenCV make of a name what they make of it in UTF-8."""
    code = ROOT_COMMAND.replace("print(names)", "print(ascii(names), sys.stdout.encoding)")
    command = [sys.executable, "-c", code, "names", "Zoë"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | LATIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "(['Zo\\xeb'],) ascii\n"  # names in UTF-8, output as the locale wants it


def test_outputs_whose_names_are_no_utf8_are_refused(tmp_path):
    given = os.fsencode(f"--output={tmp_path}/") + b"Zo\xeb.csv"
    code, _, told = ended("writes", given)
    assert code == 2 and "Zo\\udceb.csv': the name is no UTF-8" in told
    assert "Traceback" not in told
