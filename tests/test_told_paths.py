"""Paths without the home folder, and back."""

import os

import pytest

from ldl_fer.told_paths import expanded, told, told_values


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
def test_paths_are_told_without_home(path, expected, home):
    assert told(path.replace("HOME", home)) == expected.replace("HOME", home)


def test_links_are_seen_through(home, tmp_path, monkeypatch):
    os.symlink(home, tmp_path / "link")
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    assert told(f"{home}/x") == told(f"{tmp_path}/link/x") == "~/x"
    monkeypatch.setenv("PWD", "/elsewhere")  # left over from another process
    assert told("/elsewhere/x") == "/elsewhere/x"


def test_the_root_as_home_hides_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    monkeypatch.chdir("/")
    assert told("/mnt/x") == "/mnt/x"


def test_values_within_values(home):
    given = {"a": [f"{home}/x", 1], "b": {"c": (f"{home}/work/y", None)}}
    assert told_values(given) == {"a": ["~/x", 1], "b": {"c": ("y", None)}}


def test_back_again(home):
    assert expanded("~/x") == f"{home}/x"
    assert expanded("--data=~/x") == f"--data={home}/x"
    for same in ("~", "a/~/x", "x=~/y", "--flag", "/mnt/x", "~ann/x"):
        assert expanded(same) == same
