"""Files are written whole or not at all; one file is known by any of its paths."""

import errno
import fcntl
import subprocess
import sys

import pytest

from ldl_fer.errors import InputError
from ldl_fer.files import claimed, same_file, write_whole


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.txt"
    write_whole(path, "é\n")
    assert path.read_bytes() == "é\n".encode()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(InputError, match="a.txt: No space left"):
        write_whole(path, "other")
    assert path.read_text(encoding="utf-8") == "é\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_one_file_by_any_path(tmp_path):
    first, second, link = tmp_path / "a.txt", tmp_path / "b.txt", tmp_path / "c.txt"
    first.write_text("the same\n")
    second.write_text("the same\n")
    link.symlink_to(first)
    assert same_file(first, tmp_path / ".." / tmp_path.name / "a.txt")
    assert same_file(first, link)
    assert not same_file(first, second)
    assert not same_file(first, tmp_path / "absent") and not same_file(tmp_path / "absent", first)


def test_one_may_claim_until_it_ends(tmp_path):
    lock = tmp_path / "run/.lock"
    with claimed(lock) as first, claimed(lock) as second:
        assert first and not second
    with claimed(lock) as mine:
        assert mine
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot write into .*file: File exists"),
        claimed(tmp_path / "file/.lock"),
    ):
        pass


def test_a_claim_counts_in_other_processes_and_ends_with_a_kill(tmp_path):
    lock = tmp_path / ".lock"
    code = "import sys, time; from ldl_fer.files import claimed\n" + (
        "with claimed(sys.argv[1]) as mine:\n    print(mine, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        with claimed(lock) as mine:
            assert not mine
        other.kill()
    with claimed(lock) as mine:
        assert mine


def test_where_there_are_no_locks_the_answer_is_yes(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with claimed(tmp_path / ".lock") as mine:
        assert mine
