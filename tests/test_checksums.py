"""SHA256SUMS: as sha256sum has it; every change, loss and slip is named."""

import hashlib
import subprocess

import pytest

from ldl_fer.checksums import FILE, check_checksums, sha256, write_checksums
from ldl_fer.errors import InputError


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
    assert (folder / FILE).read_text() == (
        f"{hashlib.sha256(content).hexdigest()}  a.bin\n"
        f"{hashlib.sha256(b'x').hexdigest()}  sub/b c.txt\n"
    )
    assert (
        subprocess.run(["sha256sum", "-c", FILE], cwd=folder, capture_output=True).returncode == 0
    )


def test_an_unchanged_folder_passes_and_one_without_sums(folder):
    (folder / "card.md").write_text("edited")
    check_checksums(folder)
    (folder / FILE).unlink()
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
def test_damaged_sums_are_told(folder, line):
    (folder / FILE).write_bytes(line + b"\n")
    with pytest.raises(InputError, match="SHA256SUMS is damaged"):
        check_checksums(folder)
