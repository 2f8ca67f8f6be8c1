"""The blocks of commands in README.md and docs/, run as they stand, where all that they name is.

Nothing in a block is replaced. `ldl-fer` adds what keeps a training short (SHORTER), and what a
reader would have to do before a second training into the same --run_dir: it removes the first.
"""

import os
import shutil
import subprocess
import sys

import cv2
import pandas as pd
import pytest
from helpers.commands import ROOT
from helpers.data_set_copies import text
from helpers.documents import blocks, documents
from helpers.frozen_faces import write_mobilefacenet
from helpers.landmark_models import bright_spot_model
from helpers.tfjs_files import faceres_graph, write_tfjs

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

pytestmark = pytest.mark.slow

# What a block holds -> why its commands are only parsed (in test_documentation.py).
NOT_RUN = {
    "make demo ": "installs, trains for minutes, and runs the tests",
    "TF_CONFIG": "several GPUs, and two machines",
    "python -m benchmarks ": "measures for half an hour",
    "benchmarks/gpu.sh ": "measures GPUs; tests/benchmarks/test_command.py runs it on the CPU",
    "--import=project.json": "takes what people corrected in Label Studio",
    "ldl-fer serve": "serves until it is stopped; tests/inference/serve has its tests",
    "import mlflow": "needs two packages; test_trackers.py runs it with stand-ins",
}
# How a command begins -> what is added to it.
SHORTER = {
    "train": ["--epochs=1"],
    "affect train": ["--epochs=1"],
    "experiments": [
        "--epochs=1",
        "--subset=160",
        "--seeds=0",
        "--only=LDLVA",
        "--only_noise=symmetric 0.3",
    ],
}
YUNET = "yunet.onnx"
LDL_FER = f"""#!{sys.executable}
import os, shutil, sys
words = sys.argv[1:]
said = " ".join(words)
for start, more in {SHORTER!r}.items():
    if said.startswith(start + " "):
        words += more
        for word in words:
            if word.startswith("--run_dir=") and "--resume" not in words:
                shutil.rmtree(word.partition("=")[2], ignore_errors=True)
if not os.path.exists({YUNET!r}):  # Then OpenCV's cascade finds the faces.
    words = [word for word in words if word != "--detector={YUNET}"]
os.execv(sys.executable, [sys.executable, "-m", "ldl_fer", *words])
"""
# Shows what there is to show once, instead of curves until it is stopped.
TENSORBOARD = f'#!/bin/sh\nexec "{sys.executable}" -m tensorboard.main --inspect "$@"\n'

DOCUMENTS = [file for file in documents() if file.name != "CONTRIBUTING.md"]
BLOCKS = [
    block
    for document in DOCUMENTS
    for block in blocks(document)
    if block.language in ("sh", "python")
]


def reasons(block):
    return [reason for part, reason in NOT_RUN.items() if part in block.text]


def test_what_is_not_run_is_there():
    for part in NOT_RUN:
        assert sum(part in block.text for block in BLOCKS) == 1, part


@pytest.fixture(scope="module")
def furnished(tmp_path_factory, pytestconfig):
    """A folder with all that the blocks name, and a run with its export in checkpoints/mine."""
    folder = tmp_path_factory.mktemp("documents")
    draw_faces(folder, train=160, test=80, size=48, progress=False)
    tested = pd.read_csv(folder / "test.csv")
    tested[::2].to_csv(folder / "test.csv", index=False)
    tested[1::2].to_csv(folder / "val.csv", index=False)
    shutil.copytree(ROOT / "results" / "tuning", folder / "results" / "tuning")
    shutil.copy(folder / "train.csv", folder / "other.csv")
    shutil.copytree(folder / "images", folder / "other")
    table = pd.read_csv(folder / "train.csv")
    for path, label in zip(table["subDirectory_filePath"], table["expression"], strict=True):
        photo = folder / "photos" / CLASS_NAMES[label] / os.path.basename(path)
        photo.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "images" / path, photo)
    pictures = [cv2.imread(str(folder / "images" / path)) for path in table.iloc[:8, 0]]
    for name in ("holiday/1.jpg", "more/of/it/2.jpg", "photo.jpg", "face.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), pictures[0])
    size = pictures[0].shape[1::-1]
    video = cv2.VideoWriter(str(folder / "clip.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, size)
    for picture in pictures:
        video.write(picture)
    video.release()
    write_mobilefacenet(folder / "MobileFaceNet.onnx")
    write_tfjs(folder / "faceres-deep.json", *faceres_graph()[1:])
    yunet = pytestconfig.rootpath.parent / "shared" / "models" / "yunet_n_320_320.onnx"
    if yunet.exists():
        shutil.copy(yunet, folder / YUNET)
    bright_spot_model(folder / "face_landmark.tflite", several_shapes=True)
    for path in table["subDirectory_filePath"]:
        stem = os.path.splitext(os.path.basename(path))[0]
        text(folder / f"Annotation/auto/{stem}_auto_attri.txt", *["1.5 2"] * 37)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").touch()
    (folder / "bin").mkdir()
    for name, script in {"ldl-fer": LDL_FER, "tensorboard": TENSORBOARD}.items():
        (folder / "bin" / name).write_text(script)
        (folder / "bin" / name).chmod(0o755)
    run(
        folder,
        "ldl-fer train --preset=small --train_data_path=train.csv --train_image_dir=images "
        "--run_dir=checkpoints/mine && ldl-fer export --run_dir=checkpoints/mine",
    )
    return folder


def run(folder, script):
    env = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "F": str(folder),
    }
    shell = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if not reasons(b)], ids=str)
def test_block_runs(block, furnished, tmp_path):
    folder = tmp_path / "here"
    shutil.copytree(furnished, folder, symlinks=True)
    if block.language == "sh":
        run(folder, block.text)
        return
    if YUNET in block.text and not (folder / YUNET).exists():
        pytest.skip("YuNet is not at hand")
    (folder / "block.py").write_text(block.text)
    run(folder, f"{sys.executable} block.py")
