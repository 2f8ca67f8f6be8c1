"""What commands leave can be handed on: no file tells the home folder of who ran them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_set import CLASS_NAMES, make_set

ROOT = Path(__file__).resolve().parents[1]
CLASSES = f"--class_names={','.join(CLASS_NAMES)}"


@pytest.mark.slow
def test_no_file_tells_the_home_folder_and_resuming_works(tmp_path):
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
    # What the settings say is still found, from the same folder.
    run(ROOT / "train.py", "--run_dir=run", "--resume", "--epochs=2", "--nopictures")
    assert len((work / "run" / "log.csv").read_text().splitlines()) == 1 + 2
