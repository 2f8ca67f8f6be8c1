"""No path of a machine: neither in what commands leave, nor in the repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.made_up_set import CLASS_NAMES, make_set

ROOT = Path(__file__).resolve().parents[2]
CLASSES = f"--class_names={','.join(CLASS_NAMES)}"


# Folders in which people and machines work; not those of web addresses, nor below "." or "~".
MACHINE = re.compile(r"(?<![\w.~/-])/(?:work|root|home|tmp|Users|mnt)(?![\w-])(?:/[\w.-]+)?")
EXAMPLES = {"/home/ann", "/mnt/faces", "/mnt/large"}  # of docstrings: nobody's


def machine_paths(text):
    return [found for found in MACHINE.findall(text) if found not in EXAMPLES]


def test_no_file_of_the_repository_names_a_folder_of_a_machine():
    """Tests excepted: their paths are made up."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    names = [name for name in listed.stdout.splitlines() if not name.startswith("tests/")]
    assert "results/field/summary.md" in names
    texts = {name: (ROOT / name).read_bytes().decode(errors="replace") for name in names}
    assert {name: paths for name, text in texts.items() if (paths := machine_paths(text))} == {}


def test_machine_paths_are_seen():
    seen = machine_paths("--x=/work/a/b.csv see /root, '/tmp/y' \"/home/bob/z\"")
    assert seen == ["/work/a", "/root", "/tmp/y", "/home/bob"]
    for text in ("https://x.org/home/a", "../work/a", "~/work/a", "/home/ann/x", "/workers"):
        assert machine_paths(text) == []


@pytest.mark.slow
def test_no_file_names_the_home_folder_and_resuming_works(tmp_path):
    """Data by absolute paths below the home folder; the work folder is below it, too."""
    home, work = tmp_path / "ann", tmp_path / "ann" / "work"
    work.mkdir(parents=True)
    for name, seed in (("train", 0), ("test", 1)):
        folder = home / "faces" / name
        make_set(folder, 48, seed, size=32).write(folder / "set.csv")
    train, test = home / "faces" / "train", home / "faces" / "test"
    of_test = (f"--test_data_path={test}/set.csv", f"--test_image_dir={test}/images")

    def run(*command):
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=work,
            env=os.environ | {"HOME": str(home), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    run(
        *(ROOT / "train.py", "--preset=small", CLASSES, "--image_size=32", "--batch_size=16"),
        *(f"--train_data_path={train}/set.csv", f"--train_image_dir={train}/images"),
        *("--epochs=1", "--num_neighbors=2", "--nopictures"),
        *(f"--run_dir={work}/run", f"--records_dir={work}/records"),
    )
    run(ROOT / "evaluate.py", "--run_dir=run", *of_test)
    run(
        *("-m", "ldl_fer", "temperature", "--run_dir=run"),
        *("--val_data_path=~/faces/test/set.csv", "--val_image_dir=~/faces/test/images"),
    )
    run("-m", "ldl_fer", "export", f"--run_dir={work}/run", "--format=saved_model,tflite")
    run("-m", "ldl_fer", "audit", "run")
    run(
        *("-m", "ldl_fer", "doctor", CLASSES, f"--train={train}/set.csv", "--output=doctor.json"),
        f"--image_dir={train}/images",
    )
    files = [path for path in work.rglob("*") if path.is_file()]
    assert {"config.json", "result.json", "temperature.json", "audit.html", "doctor.json",
            "manifest.json", "MODEL_CARD.md", "info.json"} <= {f.name for f in files}  # fmt: skip
    assert [file for file in files if str(home).encode() in file.read_bytes()] == []
    # Files of the settings are still found, from the same folder.
    run(ROOT / "train.py", "--run_dir=run", "--resume", "--epochs=2", "--nopictures")
    assert len((work / "run" / "log.csv").read_text().splitlines()) == 1 + 2
