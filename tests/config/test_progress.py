"""Progress as a bar, as lines, or not at all."""

import io
import itertools

import pytest
from helpers.called import call

from ldl_fer.config import progress
from ldl_fer.config.progress import shown_as, tqdm


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Stands for time.time: a second passes between two looks at it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr("tqdm.std.time", Clock())


def text_of(mode, file, count=12, **settings):
    with shown_as(mode):
        for _ in tqdm(range(count), "work", file=file, mininterval=0, **settings):
            pass
    return file.getvalue()


def test_auto_is_a_bar_on_a_terminal_and_lines_elsewhere():
    on_terminal, in_log = text_of("auto", Terminal()), text_of("auto", io.StringIO())
    assert "\r" in on_terminal and "100%|" in on_terminal
    assert in_log == "work: 12 of 12 it (100%), 00:00\n"
    assert "\r" in text_of("bar", io.StringIO())
    assert text_of("lines", Terminal()) == in_log


def test_none_is_silent():
    assert text_of("none", Terminal()) == ""
    assert text_of("bar", Terminal(), disable=True) == text_of("lines", Terminal(), disable=True)


def test_lines_come_every_so_often(clock):
    lines = text_of("lines", io.StringIO(), count=100, unit="face").splitlines()
    assert len(lines) > 5 and lines[-1].startswith("work: 100 of 100 face (100%), ")
    passed = [line.split("), ")[1][:5].split(":") for line in lines[:-1]]
    seconds = [60 * int(minutes) + int(rest) for minutes, rest in passed]
    assert all(30 <= b - a < 45 for a, b in itertools.pairwise(seconds))
    assert lines[0].endswith(" left") and "\r" not in "".join(lines)
    counts = [int(line.split()[1]) for line in lines]
    assert counts == sorted(set(counts))  # none says what the one before said


def test_the_time_left_is_of_what_is_still_to_do(clock):
    file = io.StringIO()
    with shown_as("lines"), tqdm(total=1000, initial=900, file=file) as bar:
        bar.start_t -= 100
        bar.update(50)
        bar._write_line()
    _, passed, left = file.getvalue().splitlines()[0].split(", ")
    assert passed.startswith("01:4") and left == f"{passed} left"  # 50 are done, 50 are left


def test_what_is_done_before_the_delay_says_nothing():
    assert text_of("lines", io.StringIO(), delay=2) == ""
    assert text_of("bar", io.StringIO(), delay=2).strip("\r\n ") == ""


def test_sentences_between_do_not_repeat_lines(capsys):
    with shown_as("lines"), tqdm(total=3, desc="work") as bar:
        for number in range(3):
            bar.update()
            tqdm.write(f"sentence {number}")
    out, err = capsys.readouterr()
    assert out == "sentence 0\nsentence 1\nsentence 2\n"
    assert err == "work: 3 of 3 it (100%), 00:00\n"


def test_a_bar_without_a_total():
    with shown_as("lines"):
        file = io.StringIO()
        with tqdm(iter("abc"), file=file, unit=" images") as bar:
            assert list(bar) == ["a", "b", "c"]
    assert file.getvalue() == "3 images, 00:00\n"


def test_every_command_takes_the_flag(tmp_path):
    folder = tmp_path / "faces"
    words = ("drawn_faces", "--train=4", "--test=2", f"--output_dir={folder}")
    done = call(*words, "--progress=none")
    assert done.returncode == 0 and "drawing" not in done.stderr, done.stderr
    assert call(*words, "--progress=dots").returncode == 2
    assert progress._mode == "auto"  # what a command sets ends with it
    with pytest.raises(ValueError, match="not dots"), shown_as("dots"):
        pass
