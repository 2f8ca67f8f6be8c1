"""Files are written whole or not at all; one file is known by any of its paths."""

import errno
import fcntl
import hashlib
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.files import (
    CHECKSUMS,
    allocate,
    check_checksums,
    check_place,
    check_replaceable,
    check_utf8,
    claimed,
    full_disk,
    made_folder,
    plain_path,
    same_file,
    sha256,
    told_when_full,
    values_without_home,
    with_home,
    without_home,
    write_checksums,
    write_whole,
)


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


def test_places_that_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file/a/b"):
        with pytest.raises(InputError, match=f"cannot write into {path}"):
            made_folder(path)
        with pytest.raises(InputError, match="file is no folder that can be written to"):
            check_place(path / "c", "--output=c")
    check_place(tmp_path / "file")
    check_place(tmp_path / "new/a/b.csv")
    assert made_folder(str(tmp_path / "made/a")) == tmp_path / "made/a"
    monkeypatch.setattr("os.access", lambda *_: False)  # as for who is not root
    with pytest.raises(InputError, match=f"made/a: {tmp_path}/made/a is no folder that can"):
        made_folder(tmp_path / "made/a")
    with pytest.raises(InputError, match="made is no folder that can be written to"):
        write_whole(tmp_path / "made/b.txt", "")


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


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "m"
    (made / "sub").mkdir(parents=True)
    (made / "a.bin").write_bytes(b"abc" * 10**6)
    (made / "sub" / "b c.txt").write_text("x")
    (made / "card.md").write_text("x")
    write_checksums(made, ["card.md"])
    return made


def test_lines_are_those_of_sha256sum(folder):
    content = (folder / "a.bin").read_bytes()
    assert sha256(folder / "a.bin") == hashlib.sha256(content).hexdigest()
    assert (folder / CHECKSUMS).read_text() == (
        f"{hashlib.sha256(content).hexdigest()}  a.bin\n"
        f"{hashlib.sha256(b'x').hexdigest()}  sub/b c.txt\n"
    )
    done = subprocess.run(["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True)
    assert done.returncode == 0


def test_an_unchanged_folder_passes_and_one_without_sums(folder):
    (folder / "card.md").write_text("edited")
    check_checksums(folder)
    (folder / CHECKSUMS).unlink()
    check_checksums(folder)


def test_changes_are_named_with_the_cure(folder):
    (folder / "sub" / "b c.txt").write_text("y")
    with pytest.raises(
        InputError, match="b c.txt is not what was written.*anew.*delete SHA256SUMS"
    ):
        check_checksums(folder)
    (folder / "sub" / "b c.txt").unlink()
    with pytest.raises(InputError, match="b c.txt is missing"):
        check_checksums(folder)


@pytest.mark.parametrize("line", [b"", b"nonsense", 64 * b"0" + b"  ../x", b"\xff\xfe"])
def test_damaged_sums_are_named(folder, line):
    (folder / CHECKSUMS).write_bytes(line + b"\n")
    with pytest.raises(InputError, match="SHA256SUMS is damaged"):
        check_checksums(folder)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a work folder in it, which is the current one."""
    folder = tmp_path / "ann"
    (folder / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder / "work")
    return str(folder)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("HOME/work/data/a.csv", "data/a.csv"),
        ("HOME/work", "."),
        ("HOME/faces", "~/faces"),
        ("HOME", "~"),
        ("HOME/work.old/x", "~/work.old/x"),
        ("HOMEs/x", "HOMEs/x"),
        ("/mntHOME/x", "/mntHOME/x"),
        ("../x", "../x"),
        ("--data=HOME/faces", "--data=~/faces"),
        ('see HOME/work/a, "HOME/b"; HOME/work/', 'see a, "~/b"; .'),
    ],
)
def test_paths_are_written_without_home(path, expected, home):
    assert without_home(path.replace("HOME", home)) == expected.replace("HOME", home)


def test_links_are_seen_through(home, tmp_path, monkeypatch):
    os.symlink(home, tmp_path / "link")
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    assert without_home(f"{home}/x") == without_home(f"{tmp_path}/link/x") == "~/x"
    monkeypatch.setenv("PWD", "/elsewhere")  # left over from another process
    assert without_home("/elsewhere/x") == "/elsewhere/x"


def test_the_root_as_home_hides_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    monkeypatch.chdir("/")
    assert without_home("/mnt/x") == "/mnt/x"


def test_values_within_values(home):
    given = {"a": [f"{home}/x", 1], "b": {"c": (f"{home}/work/y", None)}}
    assert values_without_home(given) == {"a": ["~/x", 1], "b": {"c": ("y", None)}}


def test_back_again(home):
    assert with_home("~/x") == f"{home}/x"
    assert with_home("--data=~/x") == f"--data={home}/x"
    for same in ("~", "a/~/x", "x=~/y", "--flag", "/mnt/x", "~ann/x"):
        assert with_home(same) == same


def test_files_of_other_origin_are_not_replaced(tmp_path):
    path = tmp_path / "a.json"
    check_replaceable(path, "mine")
    for text in ("", '{"mine": 1}'):
        path.write_text(text)
        check_replaceable(path, "mine")
    for content in (b'{"yours": 1}', b"\xff\xd8\xff", b"x" * 5000 + b"mine"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.json is there, this command did not write it"):
            check_replaceable(path, "mine")


def test_a_full_disk_is_told_from_other_errors():
    text = "cannot write here: No space left on device. Nothing of it was kept"
    words = os.strerror(errno.ENOSPC)
    for error in (OSError(errno.ENOSPC, words), RuntimeError(f"errno = 28, message = '{words}'")):
        with pytest.raises(InputError, match=text), told_when_full("here"):
            raise error
    with pytest.raises(RuntimeError, match="else"), told_when_full("here"):
        raise RuntimeError("something else")
    assert full_disk(OSError(errno.EFBIG, os.strerror(errno.EFBIG))) == "File too large"
    assert full_disk(ValueError("no")) == ""


def test_a_memory_map_has_its_space_before_it_is_filled(tmp_path):
    with (tmp_path / "a").open("w+b") as file:
        allocate(file.fileno())  # of nothing
        file.truncate(1 << 20)
        assert os.fstat(file.fileno()).st_blocks == 0
        allocate(file.fileno())
        assert os.fstat(file.fileno()).st_blocks * 512 >= 1 << 20


@pytest.mark.parametrize("name", ["lr=[1e-3]", "a\\b", "a*b?", "]["])
def test_paths_that_tensorflow_takes_for_patterns_get_a_link(tmp_path, name):
    plain = tmp_path / "plain {a,b} é"
    assert plain_path(plain) == plain
    folder = tmp_path / name
    folder.mkdir()
    checkpoint = tf.train.Checkpoint(x=tf.Variable(3.0))
    checkpoint.write(str(plain_path(folder) / "a"))
    assert (folder / "a.index").is_file()
    assert tf.train.load_checkpoint(str(plain_path(folder) / "a")).get_variable_to_shape_map()
    inner = plain_path(folder / "new" / "newer")  # not there yet
    inner.mkdir(parents=True)
    assert (folder / "new" / "newer").is_dir()
    assert plain_path(folder) == plain_path(folder)


def test_a_link_ends_with_its_process(tmp_path):
    (tmp_path / "[1]").mkdir()
    code = f"from ldl_fer.files import plain_path; print(plain_path({str(tmp_path / '[1]')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout and not os.path.lexists(done.stdout.strip())


def test_names_that_are_no_utf8_are_refused():
    check_utf8("a/Zoë 😀 [1]")
    odd = os.fsdecode(b"a/Zo\xeb")
    with pytest.raises(InputError, match=r"'a/Zo\\udceb': the name is no UTF-8 text"):
        check_utf8(odd)
    with pytest.raises(InputError, match="--run_dir: the name is no UTF-8"):
        check_utf8(odd, "--run_dir")
